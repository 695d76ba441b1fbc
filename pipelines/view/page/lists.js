// What is listed: cards of samples, one sample in full, rejects, draws of a lock.
import { chips, drawBoxes, grouped, lighting, make, picture, turns } from "./sample.js";

const worst = (record) => Math.max(0, ...record.boxes.slice(0, 5000).map((one) => one.loss ?? 0));
const first = (sample, order = "") => {
  if (order === "loss") return sample.records.reduce((one, other) => (worst(other) > worst(one) ? other : one), sample.records[0]);
  return order ? sample.records[0] : sample.records.find((record) => record.boxes.length) ?? sample.records[0];
};
const name = (sample) => sample.image?.id ?? sample.records[0]?.key ?? sample.at;

export function card(sample, state) {
  const record = first(sample, state.words.get("order") ?? "");
  const held = make("article", { className: sample.image ? "card" : "card alone" });
  const stage = make("div", { className: "stage" });
  if (sample.image) {
    const frame = picture(state.asset(`picture/${sample.at}`), sample.image, "212px");
    drawBoxes(frame, record, state.exact);
    stage.append(frame);
  }
  const open = make("a", { className: "open", href: state.link({ sample: sample.at, record: record ? String(record.place) : "" }), textContent: name(sample) });
  Object.assign(open.dataset, { at: sample.at, place: record?.place ?? "" });
  const more = sample.matching > 1 ? `${grouped(sample.matching)} records` : "1 record";
  const text = make("div", { className: "text" }, make("p", { className: "chips" }, open,
    make("span", { textContent: sample.error ? "cannot be read" : sample.image ? more : `text alone, ${more}` })));
  if (sample.error) text.append(make("p", { className: "odd", textContent: sample.error }));
  if (record) text.append(chips(record), turns(record));
  held.append(...(sample.image ? [stage, text] : [text]));
  lighting(held);
  return held;
}

export function detail(sample, state) {
  const held = make("div");
  const pinned = () => sample.records.find((one) => String(one.place) === state.words.get("record")) ?? first(sample);
  const bar = make("div", { className: "bar" }, make("h2", { textContent: name(sample) }));
  for (const [id, label, to] of [["before", "← Previous", state.beside(-1)], ["after", "Next →", state.beside(1)]]) {
    bar.append(make("button", { id, textContent: label, disabled: !to, onclick: () => state.go({ sample: to, record: "" }) }));
  }
  bar.append(make("button", { id: "copy", textContent: "Copy link", onclick: () => navigator.clipboard?.writeText(location.href) }),
    make("button", { id: "close", textContent: "Back to all", onclick: () => state.go({ sample: "", record: "" }) }));
  held.append(bar);
  if (sample.error) held.append(make("p", { className: "odd", textContent: sample.error }));
  const frame = sample.image && picture(state.asset(`picture/${sample.at}`), sample.image, "68vh");
  const sides = make("div", { className: frame ? "sides" : "sides alone" });
  if (frame) sides.append(make("div", { className: "figure" }, frame, facts(sample)));
  sample.records.sort((one, other) => Boolean(other.boxes.length) - Boolean(one.boxes.length));
  const records = sample.records.map((record) => full(record, state));
  sides.append(make("div", { className: "records" }, ...records));
  held.append(sides);
  let now = null;
  const show = (record) => {
    if (record && now !== record) drawBoxes(frame, record, state.exact);
    now = record;
    records.forEach((one, at) => one.classList.toggle("shown", sample.records[at] === record));
  };
  records.forEach((one, at) => one.addEventListener("pointerenter", () => show(sample.records[at])));
  sides.lastChild.addEventListener("pointerleave", () => show(pinned()));
  sides.addEventListener("record", (event) => show(sample.records.find((one) => String(one.place) === event.detail)));
  show(pinned());
  lighting(sides);
  return held;
}

function full(record, state) {
  const pressed = state.words.get("record") === String(record.place);
  const head = chips(record);
  if (record.boxes.length) {
    const pin = () => state.go({ record: pressed ? "" : String(record.place) }, true);
    const label = `Keep the boxes of ${record.key} shown`;
    head.append(make("button", { textContent: "Keep shown", "aria-pressed": String(pressed), "aria-label": label, onclick: pin }));
  }
  const held = make("article", { className: "record" }, head, turns(record, true));
  held.dataset.record = record.place;
  if (record.odd) held.append(make("p", { className: "odd", textContent: record.odd }));
  const known = [["key", record.key], ...record.meta, ...record.answers.map(([text, count]) => [`${count} ×`, text])];
  held.append(make("details", {}, make("summary", { textContent: "More of this record" }), pairs(known)));
  return held;
}

function pairs(known) {
  const list = make("dl", { className: "facts" });
  for (const [key, value] of known) list.append(make("dt", { textContent: key }), make("dd", { textContent: value, dir: "auto" }));
  return list;
}

function facts(sample) {
  const image = sample.image;
  const known = [["picture", `${image.id}, ${image.width} × ${image.height}`], ["sample", `shard ${sample.at.replace(".", ", number ")}`]];
  if (image.aliases.length) known.push(["also", image.aliases.join(", ")]);
  if (image.license) known.push(["licence", image.license]);
  return pairs([...known, ...image.scores]);
}

export function reasons(about, state) {
  const held = make("div", { className: "reasons", role: "group", ariaLabel: "Reasons" });
  for (const [reason, count] of about.rejected) {
    const pressed = state.words.get("reason") === reason;
    const button = make("button", { "aria-pressed": String(pressed), onclick: () => state.go({ reason: pressed ? "" : reason, from: "" }) },
      make("span", { className: "count", textContent: grouped(count) }), make("span", { textContent: reason }));
    held.append(button);
  }
  return held;
}

export function rejects(lines) {
  const body = make("tbody");
  for (const line of lines) {
    const cells = [`${line.source}/${line.split}/${line.task ?? "chat"}`, line.key, line.image ?? "", line.detail];
    body.append(make("tr", {}, ...cells.map((text) => make("td", { textContent: text, dir: "auto" }))));
  }
  const heads = ["Part", "Candidate", "Picture", "Why"].map((text) => make("th", { textContent: text, scope: "col" }));
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body);
  return make("div", { className: "table", tabIndex: 0, role: "region", ariaLabel: "Rejects" }, table);
}

export function draw(one, state) {
  const held = make("article", { className: one.picture ? "draw" : "draw alone" });
  const records = make("div");
  const image = { id: `draw ${one.at}`, width: 1, height: 1 };
  const frame = one.picture && picture(state.asset(`picture/${one.at}`), image, "224px", true);
  const number = one.at.endsWith(".0") ? one.at.slice(0, -2) : one.at;
  records.append(make("p", { className: "chips" }, make("b", { textContent: `draw ${grouped(Number(number.split(".")[0]))}` }),
    number.includes(".") ? make("span", { textContent: `place ${number.split(".")[1]}` }) : null,
    make("span", { className: "task", textContent: one.part }), make("span", { textContent: `epoch ${one.epoch}` })));
  one.records.forEach((record, at) => {
    const said = turns(record, true);
    said.dataset.record = at;
    records.append(said);
  });
  const all = { boxes: one.records.flatMap((record) => record.boxes) };
  if (frame) {
    drawBoxes(frame, all, state.exact);
    held.append(frame);
  }
  held.append(records);
  if (one.tokens) held.append(ids(one));
  lighting(held);
  return held;
}

function ids(one) {
  if (typeof one.tokens === "string") return make("p", { className: "odd", textContent: one.tokens });
  const strip = make("div", { className: "ids", tabIndex: 0, role: "group", ariaLabel: `Tokens of draw ${one.at}` });
  for (const [text, kind, id] of one.tokens) {
    const shown = kind === "other" ? `${text} × ${grouped(id)}` : text;
    strip.append(make("span", { className: `id ${kind}`, textContent: shown, title: kind === "other" ? "" : `id ${id}, ${kind}` }), " ");
  }
  return strip;
}

export function legend() {
  const line = make("p", { className: "legend" }, "Tokens: ");
  for (const [kind, text] of [["", "seen only"], ["trained", "loss is taken"], ["boxed", "loss is taken, of a box"], ["other", "the picture"]]) {
    line.append(make("span", { className: `id ${kind}`, textContent: text }), " ");
  }
  return line;
}
