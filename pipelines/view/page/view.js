// The page's state is its address: whatever is chosen is a word there, so that a link shows another person the same.
import { card, detail, draw, legend, reasons, rejects } from "./lists.js";
import { grouped, make } from "./sample.js";

const FULL = 24;
const $ = (id) => document.getElementById(id);
const kind = document.documentElement.dataset.kind;
const fields = ["q", "source", "split", "task", "order", "boxes_min", "boxes_max", "area_min", "area_max", "shard"];
let about = null, listed = null, running = new AbortController(), depth = 0, found = [];

const state = {
  get words() { return new URLSearchParams(location.search); },
  get exact() { return this.words.get("boxes") === "exact"; },
  get tab() { return this.words.get("view") || (kind === "lock" ? "stream" : "samples"); },
  link(changes) {
    const words = this.words;
    for (const [key, value] of Object.entries(changes)) value ? words.set(key, value) : words.delete(key);
    return `?${words}`;
  },
  go(changes, replacing = false) {
    history[replacing ? "replaceState" : "pushState"]({ depth: replacing ? depth : ++depth }, "", this.link(changes));
    return render();
  },
  asset(path) {
    const token = this.words.get("token");
    return token ? `${path}?token=${encodeURIComponent(token)}` : path;
  },
  beside(step) {
    const at = found.findIndex((sample) => sample.at === this.words.get("sample"));
    return at < 0 ? null : found[at + step]?.at ?? null;
  },
};

async function ask(path, words, signal) {
  const asked = new URLSearchParams(words);
  if (state.words.get("token")) asked.set("token", state.words.get("token"));
  const answer = await fetch(`api/${path}?${asked}`, { signal });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

function say(text, error = false) {
  $("status").textContent = text;
  $("status").classList.toggle("error", error);
}

function filters() {
  const words = new URLSearchParams();
  for (const name of fields) if (state.words.get(name)) words.set(name, state.words.get(name));
  if (state.words.get("reason")) words.set("reason", state.words.get("reason"));
  if (state.words.get("from")) words.set("from", state.words.get("from"));
  return words;
}

async function samples(signal) {
  const words = filters(), grid = make("div", { className: "grid" });
  $("list").replaceChildren(grid);
  found = [];
  for (let after = null; ; ) {
    words.set("size", FULL - found.length);
    const page = await ask("page", words, signal);
    found.push(...page.samples);
    grid.append(...page.samples.map((sample) => card(sample, state)));
    after = page.next;
    const sorted = state.words.get("order") && page.shards > 16 ? ", 16 sorted at a time" : "";
    const looked = page.shards > 1 ? `; looked at ${grouped(page.looked)} of ${grouped(page.shards)} shards${sorted}` : "";
    say(after || found.length ? `${found.length} samples${looked}` : `No sample matches${looked}`);
    if (!after || found.length >= FULL) return after;
    words.set("from", after);
  }
}

async function rejected(signal) {
  const words = filters(), lines = [], table = make("div");
  $("list").replaceChildren(reasons(about, state), table);
  for (;;) {
    const page = await ask("rejects", words, signal);
    lines.push(...page.rejects);
    say(lines.length ? `${grouped(lines.length)} rejects on this page` : "No rejects");
    if (lines.length) table.replaceChildren(rejects(lines));
    if (!page.next || lines.length >= 100) return page.next;
    words.set("from", page.next);
  }
}

async function streamed(signal) {
  const page = await ask("draws", filters(), signal);
  const held = make("div", { className: "stream" }, ...page.draws.map((one) => draw(one, state)));
  $("list").replaceChildren(...(about.tokens ? [legend(), held] : [held]));
  say(`${page.draws.length} sequences as the model sees them, of ${grouped(about.draws)} draws`);
  return page.next;
}

const TABS = { samples, rejects: rejected, stream: streamed };

async function list() {
  const words = state.words;
  ["sample", "record"].forEach((name) => words.delete(name));
  if (listed === String(words)) return;
  listed = String(words);
  running.abort();
  running = new AbortController();
  $("pager").hidden = true;
  say("Looking …");
  const signal = running.signal;
  try {
    about ??= await opened();
    const next = await TABS[state.tab](signal);
    $("pager").hidden = !next && !state.words.get("from");
    $("previous").disabled = !state.words.get("from");
    $("next").disabled = !next;
    $("next").dataset.from = next ?? "";
    performance.mark("listed");
  } catch (error) {
    if (signal.aborted) return;
    $("list").replaceChildren();
    say(error.message, true);
  }
}

async function one() {
  const at = state.words.get("sample");
  $("detail").hidden = !at;
  $("all").hidden = Boolean(at);
  $("filters").hidden = Boolean(at) || state.tab === "stream";
  $("exact").parentElement.hidden = state.tab === "rejects";
  if (!at) return;
  try {
    $("detail").replaceChildren(detail(await ask("sample", { at }), state));
  } catch (error) {
    $("detail").replaceChildren(make("p", { className: "error", textContent: error.message }));
  }
}

function render() {
  for (const name of fields) $("filters").elements[name].value = state.words.get(name) ?? "";
  $("exact").checked = state.exact;
  $("seek").hidden = state.tab !== "stream";
  document.querySelectorAll("form .samples").forEach((part) => (part.hidden = state.tab !== "samples"));
  for (const tab of $("tabs").children) {
    tab.toggleAttribute("aria-current", tab.dataset.view === state.tab);
    tab.href = state.link({ view: tab.dataset.view, from: "", sample: "", record: "", reason: "" });
  }
  document.title = `${state.words.get("sample") ?? state.tab} – ${about?.name ?? "Boxcar"}`;
  return Promise.all([list(), one()]);
}

async function opened() {
  const said = await ask("about", {});
  $("name").textContent = said.name;
  $("counts").textContent = said.kind === "lock"
    ? `${grouped(said.draws)} draws in ${grouped(said.steps)} steps, unit ${said.unit}`
    : `${grouped(said.samples)} samples, ${grouped(said.records)} records, ${grouped(said.shards)} shard${said.shards === 1 ? "" : "s"}`;
  const tabs = said.kind === "lock" ? ["stream"] : ["samples", "rejects"];
  $("tabs").replaceChildren(...tabs.map((view) => {
    const tab = make("a", { textContent: view[0].toUpperCase() + view.slice(1), onclick: (event) => {
      event.preventDefault();
      state.go({ view, from: "", sample: "", record: "", reason: "" });
    } });
    tab.dataset.view = view;
    tab.toggleAttribute("aria-current", view === state.tab);
    return tab;
  }));
  if (said.kind === "pool") {
    ["source", "split", "task"].forEach((name, column) => {
      for (const value of [...new Set(said.parts.map((part) => part[column]))].sort()) {
        $("filters").elements[name].append(make("option", { value, textContent: value }));
      }
      $("filters").elements[name].value = state.words.get(name) ?? "";
    });
  }
  return said;
}

function chosen() {
  const changes = { from: "" };
  for (const name of fields) changes[name] = $("filters").elements[name].value.trim();
  state.go(changes);
}

function move(key) {
  const links = [...document.querySelectorAll(".card .open")], at = links.indexOf(document.activeElement);
  if (!links.length) return;
  const across = links.filter((link) => link.closest(".card").offsetTop === links[0].closest(".card").offsetTop).length;
  const to = at < 0 ? 0 : at + { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[key];
  links[Math.min(Math.max(to, 0), links.length - 1)].focus();
}

function pressed(event) {
  const typing = event.target.matches("input:not([type=checkbox]), select");
  if (event.key === "Escape") return typing ? event.target.blur() : state.words.get("sample") && state.go({ sample: "", record: "" });
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" || event.key === "f") {
    if ($("filters").hidden) return;
    event.preventDefault();
    if (event.key === "f") open(true);
    $("filters").elements[event.key === "/" ? "q" : "source"].focus();
  } else if (event.key === "e") state.go({ boxes: state.exact ? "" : "exact" }, true);
  else if (event.key.startsWith("Arrow") && state.tab === "samples") {
    if (event.target.closest(".turns")) return;
    const to = state.words.get("sample") && { ArrowLeft: state.beside(-1), ArrowRight: state.beside(1) }[event.key];
    if (to) state.go({ sample: to, record: "" }, true);
    else if (!state.words.get("sample")) {
      event.preventDefault();
      move(event.key);
    }
  }
}

function open(shown) {
  $("bounds").classList.toggle("shown", shown);
  $("more").setAttribute("aria-expanded", String(shown));
}

$("filters").addEventListener("change", chosen);
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("filters").addEventListener("reset", (event) => {
  event.preventDefault();
  state.go({ ...Object.fromEntries(fields.map((name) => [name, ""])), from: "" });
});
$("more").addEventListener("click", () => open($("more").getAttribute("aria-expanded") !== "true"));
$("seek").addEventListener("submit", (event) => {
  event.preventDefault();
  const k = $("seek").elements.k.value;
  state.go({ from: k ? `${k}.0` : "" });
});
$("exact").addEventListener("change", () => state.go({ boxes: $("exact").checked ? "exact" : "" }, true));
$("next").addEventListener("click", () => state.go({ from: $("next").dataset.from }).then(() => scrollTo(0, 0)));
$("previous").addEventListener("click", () => (depth ? history.back() : state.go({ from: "" })));
document.addEventListener("click", (event) => {
  const link = event.target.closest(".open");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  state.go({ sample: link.dataset.at, record: link.dataset.place }).then(() => scrollTo(0, 0));
});
document.addEventListener("keydown", pressed);
addEventListener("popstate", (event) => {
  depth = event.state?.depth ?? 0;
  render();
});
render();
