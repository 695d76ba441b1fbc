// A sample's picture with its boxes, and its conversation. Whatever a record says becomes text, never markup.
const COLOURS = 8;
const SVG = "http://www.w3.org/2000/svg";

export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export const colour = (group) => `c${(group ?? 0) % COLOURS}`;
export const grouped = (number) => number.toLocaleString("en");

function box(sides, group) {
  const held = document.createElementNS(SVG, "g");
  held.setAttribute("class", colour(group));
  held.dataset.group = group ?? "";
  const [left, top, right, bottom] = sides;
  for (const kind of ["halo", ""]) {
    const rect = document.createElementNS(SVG, "rect");
    rect.setAttribute("class", kind);
    rect.setAttribute("x", left * 1000);
    rect.setAttribute("y", top * 1000);
    rect.setAttribute("width", (right - left) * 1000);
    rect.setAttribute("height", (bottom - top) * 1000);
    held.append(rect);
  }
  return held;
}

// The picture, `tall` CSS pixels at most (or a CSS length), its boxes above it: those of the tokens, or the exact ones.
export function picture(source, image, tall, square = false) {
  const told = image.width / image.height;
  const ratio = square || !(told > 0 && told < Infinity) ? 1 : Math.min(Math.max(told, 0.05), 20);
  const shown = make("img", { alt: image.id, loading: "lazy", decoding: "async" });
  const boxes = document.createElementNS(SVG, "svg");
  boxes.setAttribute("viewBox", "0 0 1000 1000");
  boxes.setAttribute("preserveAspectRatio", "none");
  boxes.setAttribute("aria-hidden", "true");
  const frame = make("div", { className: "frame" }, shown, boxes);
  frame.style.aspectRatio = String(ratio);
  frame.style.width = `min(100%, calc(${tall} * ${ratio}))`;
  shown.addEventListener("error", () => frame.classList.add("broken"));
  shown.src = source;
  return frame;
}

export function drawBoxes(frame, record, exact) {
  const kind = exact ? "exact" : "token";
  const drawn = (record?.boxes ?? []).filter((one) => one[kind]).map((one) => box(one[kind], one.group));
  frame?.querySelector("svg").replaceChildren(...drawn);
}

function piece([kind, text, group], reached) {
  if (kind === "plain") return document.createTextNode(text);
  if (kind === "task") return make("span", { className: "head", textContent: text });
  const marked = make("mark", { className: `${kind} ${colour(group)}` }, make("bdi", { textContent: text }));
  marked.dataset.group = group;
  if (reached) marked.tabIndex = 0;
  return marked;
}

export function turns(record, reached = false) {
  const said = make("div", { className: "turns" });
  if (reached) Object.assign(said, { tabIndex: 0, role: "group", ariaLabel: `Conversation ${record.key}` });
  for (const turn of record.turns) {
    const line = make("p", { className: turn.role, dir: "auto" }, ...turn.pieces.map((one) => piece(one, reached)));
    said.append(line);
  }
  return said;
}

export function chips(record) {
  const worst = Math.max(0, ...record.boxes.slice(0, 5000).map((one) => one.loss ?? 0));
  const boxes = record.of ? make("span", { textContent: `${grouped(record.of)} box${record.of === 1 ? "" : "es"}` }) : null;
  const loss = worst > 0 ? make("span", { textContent: `loss ${(100 * worst).toFixed(1)} %` }) : null;
  if (loss) loss.title = "1 - IoU of an exact box and what its token says: the largest of this record";
  return make("p", { className: "chips" }, make("b", { textContent: `${record.source}/${record.split}` }),
    make("span", { className: "task", textContent: record.task ?? "chat" }), boxes, loss);
}

// Whatever is pointed at in `held`, a phrase or a box, lights up with all that has its number there.
export function lighting(held) {
  const over = (event) => {
    const group = event.target.closest("[data-group]")?.dataset.group;
    if (group === undefined) return out();
    const record = event.target.closest("[data-record]");
    if (record) held.dispatchEvent(new CustomEvent("record", { detail: record.dataset.record }));
    held.classList.add("lighting");
    for (const one of held.querySelectorAll("[data-group]")) {
      const near = one.closest("[data-record]");
      one.classList.toggle("lit", one.dataset.group === group && (!near || !record || near === record));
    }
  };
  const out = () => {
    held.classList.remove("lighting");
    held.querySelectorAll(".lit").forEach((one) => one.classList.remove("lit"));
  };
  held.addEventListener("pointerover", over);
  held.addEventListener("focusin", over);
  held.addEventListener("pointerleave", out);
  held.addEventListener("focusout", out);
}
