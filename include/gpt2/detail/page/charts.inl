R"page(
// Charts and controls: bars, curves, labelled maps, sliders that move the state.

const state = {
  language: "en", theme: "light", step: 0, row: 0, layer: 0, depth: 0, head: 0, other: 0,
  which: "head", temperature: 1, top_k: 0, top_p: 1, playing: false,
};

/** The phrase of a name, in the reader's language; {x} stands for values.x. */
function say(name, values = {}) {
  const phrase = words[state.language][name];
  return phrase.replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

/**
 * Bars, one a line: {name, share, value, before, style}. `share` in [0, 1]; `before` is an outline
 * over it; `signed` puts 0 in the middle.
 */
function bars(entries, signed = false) {
  const node = el("div", { class: "bars" });
  for (const { name, share, value, before, style = "", title } of entries) {
    const label = typeof name === "string" ? el("span", { class: "name" }, name) : name;
    if (style) label.classList.add(style);
    const track = el("div", { class: "track" });
    const width = 100 * Math.min(Math.max(Math.abs(share) || 0, 0), 1) / (signed ? 2 : 1);
    const left = signed ? (share < 0 ? 50 - width : 50) : 0;
    track.append(el("i", { class: share < 0 ? "negative" : "",
      style: `left:${left}%;width:${width}%` }));
    if (before !== undefined)
      track.append(el("i", { class: "before", style: `left:0;width:${100 * before}%` }));
    if (title) track.title = title;
    node.append(label, track, el("span", { class: "value " + style }, value));
  }
  return node;
}

const strokes = {
  light: ["#0b6b70", "#b8500e", "#3a56a8", "#6d6d6d"],
  dark: ["#5fc9c4", "#f0a05c", "#a9bcf5", "#b9b9b9"],
};
const dashes = ["", "7 4", "2 3", "10 3 2 3"];

/**
 * Curves over a common axis: series of {name, values}, `ends` the words below its two ends,
 * `tell(i)` the numbers at a place, `mark()` the place that is picked, `pick(i)` takes one.
 */
function curve({ label, series, ends, tell, mark, pick }) {
  const count = series[0].values.length;
  const finite = series.flatMap(one => one.values).filter(Number.isFinite);
  const high = Math.max(...finite, 1e-9), low = Math.min(...finite, 0);
  const x = i => count > 1 ? 100 * i / (count - 1) : 50;
  const y = value => 100 - 100 * (value - low) / (high - low || 1);
  const make = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  const picture = make("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none",
    "aria-hidden": "true" });
  for (const at of [0, 50, 100]) picture.append(make("line", { x1: 0, x2: 100, y1: at, y2: at }));
  const marker = make("line", { y1: 0, y2: 100, style: "stroke:var(--accent)" });
  picture.append(marker);
  const keys = el("div", { class: "keys" });
  series.forEach(({ name, values }, i) => {
    const stroke = strokes[state.theme][i];
    let path = "", pen = "M";
    values.forEach((value, place) => {
      if (Number.isFinite(value)) path += `${pen}${x(place)} ${y(value)}`;
      pen = Number.isFinite(value) ? "L" : "M";
    });
    if (count === 1) path = `M0 ${y(values[0])}H100`;
    picture.append(make("path", { d: path, stroke, "stroke-dasharray": dashes[i] }));
    if (series.length > 1) keys.append(el("span", {},
      el("i", { style: `border-color:${stroke};border-top-style:${i ? "dashed" : "solid"}` }),
      name));
  });
  const frame = el("div", { class: "curve", tabindex: "0", role: pick ? "application" : "img",
    "aria-label": label }, picture);
  let here = mark ? mark() : 0;
  const show = () => {
    marker.setAttribute("x1", x(here));
    marker.setAttribute("x2", x(here));
  };
  const nearest = event => {
    const box = frame.getBoundingClientRect();
    const at = Math.round((event.clientX - box.left) / box.width * (count - 1));
    return Math.min(Math.max(at, 0), count - 1);
  };
  on_pointer(frame, event => tell(nearest(event)));
  frame.addEventListener("blur", hide_tip);
  if (pick) frame.addEventListener("click", event => pick(nearest(event)));
  frame.addEventListener("keydown", event => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    here = Math.min(Math.max(here + step, 0), count - 1);
    show();
    if (pick) pick(here);
    const box = frame.getBoundingClientRect();
    spoken.textContent = tell(here);
    show_tip(box.left + box.width * x(here) / 100, box.top + box.height / 2, tell(here));
  });
  show();
  return el("div", {}, keys,
    el("div", { class: "ends" }, el("span", {}, figure(high)), el("span", {})), frame,
    el("div", { class: "ends" }, ...ends.map(text => el("span", {}, text))));
}

/** Puts a new part where the old one was; the keyboard's focus stays where it was. */
function swap(place, ...parts) {
  const inside = [...place.querySelectorAll("[tabindex], button")];
  const focused = inside.indexOf(document.activeElement);
  place.replaceChildren(...parts);
  if (focused >= 0) place.querySelectorAll("[tabindex], button")[focused]?.focus();
}

/** A slider that moves the state. `words_of(value)` is what stands beside it. */
function slider({ name, label, low, high, each = 1, read, write, words_of }) {
  const id = `${name}-${++slider.count}`;
  const range = el("input", { type: "range", id, min: low, max: high, step: each,
    "data-slider": name });
  const output = el("output", { for: id });
  range.addEventListener("input", () => write(Number(range.value)));
  const node = el("div", { class: "slider" }, el("label", { for: id }, label), range, output);
  node.update = () => {
    range.value = read();
    output.textContent = words_of();
    range.setAttribute("aria-valuetext", output.textContent);
  };
  return node;
}
slider.count = 0;

const layer_slider = () => slider({
  name: "layer", label: say("layer"), low: 0, high: model.layers - 1, read: () => state.layer,
  write: layer => set({ layer }), words_of: () => `${state.layer + 1} / ${model.layers}`,
});

const head_slider = () => slider({
  name: "head", label: say("head"), low: 0, high: model.heads - 1, read: () => state.head,
  write: head => set({ head }), words_of: () => `${state.head + 1} / ${model.heads}`,
});

/** Controls in a row, and the function that brings them up to date. */
function controls(...sliders) {
  const node = el("div", { class: "controls" }, ...sliders);
  node.update = () => sliders.forEach(one => one.update());
  return node;
}

/** A map of tokens beside which they stand; columns are named where there is room. */
function labelled(map, { columns = false, most = 8 } = {}) {
  const side = el("div", { class: "rows", "aria-hidden": "true" });
  const below = el("div", { class: "columns", "aria-hidden": "true" });
  const node = el("div", { class: "map" }, side, map, columns ? below : null);
  node.update = count => {
    const label = row => el("span", { class: row === state.row ? "on" : "" },
      short(text_of_row(row), most));
    const names = Array.from({ length: count }, (_, row) => label(row));
    side.replaceChildren(...names);
    map.redraw();
    const tall = map.getBoundingClientRect().height / count;
    side.classList.toggle("hidden", tall > 0 && tall < 10.5);
    if (!columns) return;
    below.replaceChildren(...names.map(name => name.cloneNode(true)));
    below.classList.toggle("hidden", map.getBoundingClientRect().width / count < 13);
  };
  return node;
}

/** A strip of values, one cell each: red-brown above 0, blue below. */
function strip({ label, values, limit, tell, high = 26 }) {
  const map = heat({
    label, shape: () => [1, values.length], high: () => high,
    colour: (_, column) => signed_colour(limit)(values[column]),
    tell: (_, column) => tell(column),
  });
  map.redraw();
  return map;
}

/** Sliders of sampling hold places in this list: 0 stands for off. */
const top_k_choices = (() => {
  const most = steps.length ? steps[0].candidates.ids.length : 1;
  const all = new Set([walk.sampling.top_k]);
  for (let k = 1; k <= most; k = k < 20 ? k + 1 : Math.ceil(k * 1.2)) all.add(k);
  all.add(most);
  const counts = [...all].filter(k => k > 0 && k <= most).sort((a, b) => a - b);
  return [...counts, 0];
})();
)page"
