R"page(
// Parts that pages are made of: elements, texts that show what cannot be seen, colours, maps.

/** An element. What comes from texts goes in as children, which are never read as HTML. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.filter(child => child !== null));
  return node;
}

const signs = { "\n": "↵", "\r": "␍", "\t": "⇥" };
const unseen = /[\p{C}\p{Zl}\p{Zp}\u00a0\u115f\u1160\u3164\uffa0]/u;

/** A text cut into what shows as itself, spaces, and escapes of what would not show. */
function parts_of(text) {
  const parts = [];
  const add = (kind, piece) => {
    const last = parts[parts.length - 1];
    if (last && last.kind === kind && kind === "plain") last.text += piece;
    else parts.push({ kind, text: piece });
  };
  for (const c of text) {
    if (c === " ") add("space", "·");
    else if (signs[c]) add("space", signs[c]);
    else if (unseen.test(c))
      add("escape", "U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0"));
    else if (/^\p{M}/u.test(c) && !parts.length) add("plain", "◌" + c);
    else add("plain", c);
  }
  return parts;
}

/** A text that runs from right to left turns nothing that stands around it. */
const isolated = text =>
  /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/.test(text) ? `\u2068${text}\u2069` : text;

/** A text as plain characters, without what cannot be seen. */
const plain = (text, space) => parts_of(text).map(part =>
  part.kind === "escape" ? `⟨${part.text}⟩` : part.text === "·" && part.kind === "space" ? space
    : part.text).join("");

const visible = text => isolated(plain(text, "·"));

/** The same with its spaces, for sentences. */
const visible_prose = text => isolated(plain(text, " "));

/** At most `most` characters of it. */
function short(text, most = 9) {
  const all = [...plain(text, "·")];
  return isolated(all.length > most ? all.slice(0, most - 1).join("") + "…" : all.join(""));
}

/** A text in an element of its own direction. `prose`: spaces and line ends as they are. */
function shown(text, prose = false, name = "") {
  const node = el("bdi", name ? { class: name } : {});
  for (const part of parts_of(text)) {
    if (part.kind === "plain") node.append(part.text);
    else if (part.kind === "space" && prose && part.text !== "␍")
      node.append(part.text === "·" ? " " : part.text === "↵" ? "\n" : "\t");
    else node.append(el("span", { class: part.kind }, part.text));
  }
  return node;
}

/** The text of an id, or the id. */
const shown_id = id => shown(text_of(id).text, false, "token");

/** Words in which _{…} is below and ^{…} above the line. */
function formula(text) {
  const node = el("div", { class: "formula" });
  for (const part of text.split(/([_^]\{[^}]*\}|\n)/)) {
    if (part === "\n") node.append(el("br"));
    else if (/^[_^]\{/.test(part))
      node.append(el(part[0] === "_" ? "sub" : "sup", {}, part.slice(2, -1)));
    else node.append(part);
  }
  return node;
}

/** A number for readers, in their language. */
function figure(value, digits = 3) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size && (size < 1e-3 || size >= 1e6))
    return value.toExponential(2).replace(".", state.language === "es" ? "," : ".");
  return value.toLocaleString(state.language,
    { maximumSignificantDigits: size >= 1000 ? 6 : digits }).replace("-", "−");
}

const whole = value => value.toLocaleString(state.language);

function percent(value) {
  if (!Number.isFinite(value)) return figure(value);
  const digits = value && value < 0.001 ? 3 : value < 0.1 ? 2 : 1;
  return value.toLocaleString(state.language,
    { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits });
}

// Colours: lightness runs one way, so that no hue need be told from another.
const ramps = {
  light: [[241, 239, 232], [196, 221, 208], [118, 186, 178], [47, 141, 152], [24, 93, 130],
    [28, 45, 92], [26, 16, 52]],
  dark: [[34, 39, 46], [28, 62, 84], [24, 103, 120], [45, 148, 138], [114, 190, 138],
    [194, 222, 140], [252, 247, 190]],
  light_signed: [[20, 58, 120], [86, 134, 192], [241, 239, 232], [224, 148, 84], [140, 52, 8]],
  dark_signed: [[156, 200, 250], [58, 104, 156], [34, 39, 46], [160, 92, 34], [255, 186, 120]],
};
const not_finite = [214, 0, 147];

/** The 256 colours of a ramp. */
const shades = Object.fromEntries(Object.entries(ramps).map(([name, stops]) =>
  [name, Array.from({ length: 256 }, (_, i) => {
    const at = i / 255 * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2), part = at - low;
    return stops[low].map((c, k) => Math.round(c + (stops[low + 1][k] - c) * part));
  })]));

/** Colour of a share in [0, 1] of a ramp. */
function ramp_colour(share, signed) {
  if (!Number.isFinite(share)) return not_finite;
  return shades[signed ? state.theme + "_signed" : state.theme][
    Math.round(255 * Math.min(Math.max(share, 0), 1))];
}

/** Colour of a weight in [0, 1]; the root lets small ones be seen. */
const weight_colour = weight =>
  ramp_colour(weight === undefined ? NaN : Math.sqrt(Math.max(weight, 0)), false);

/** Colour of a value between -limit and limit. */
const signed_colour = limit => value => ramp_colour(0.5 + 0.5 * value / (limit || 1), true);

/** Colour between two limits. */
const range_colour = (low, high) => value =>
  ramp_colour(high > low ? (value - low) / (high - low) : 0.5, false);

/** Black or white, whichever reads better on a colour: by its luminance, as WCAG defines it. */
function ink_on(colour) {
  const [r, g, b] = colour.map(c => ((c / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}

const css = colour => `rgb(${colour.join(",")})`;

/** The largest size of a finite value. */
function largest(values) {
  let most = 0;
  for (const value of values)
    if (Number.isFinite(value) && Math.abs(value) > most) most = Math.abs(value);
  return most;
}

/** Where a ramp of signed values ends: at the largest, unless that is an outlier. */
function limit_of(values) {
  let squares = 0;
  for (const value of values) if (Number.isFinite(value)) squares += value * value;
  return Math.min(largest(values), 4 * Math.sqrt(squares / (values.length || 1)));
}

/** What the ramp of signed values means, of which some may lie outside. */
function signed_legend(limit, values) {
  const over = largest(values) > limit;
  return legend((over ? "≤ " : "") + figure(-limit), (over ? "≥ " : "") + figure(limit), true);
}

/** What the ramp means: a strip between two numbers. */
function legend(low, high, signed) {
  const stops = [];
  for (let i = 0; i <= 12; ++i) stops.push(css(ramp_colour(i / 12, signed)));
  return el("div", { class: "legend" }, el("span", {}, low),
    el("i", { style: `background:linear-gradient(90deg,${stops.join(",")})` }),
    el("span", {}, high));
}

const tip = el("div", { class: "tip hidden" });
const spoken = el("div", { class: "aside", "aria-live": "polite" });

/** Shows numbers beside a place; those that a pointer asked for go when it leaves `owner`. */
function show_tip(x, y, text, owner = null) {
  tip.owner = owner;
  tip.textContent = text;
  tip.classList.remove("hidden");
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - box.width - 4)) + "px";
  tip.style.top = (y + 18 + box.height > innerHeight ? Math.max(4, y - box.height - 12)
    : y + 18) + "px";
}

const hide_tip = () => tip.classList.add("hidden");

/** Has `tell(event)` say the numbers below the pointer; after a tap they stay. */
function on_pointer(node, tell) {
  const point = event => {
    const text = tell(event);
    if (text) show_tip(event.clientX, event.clientY, text, node);
    else hide_tip();
  };
  node.addEventListener("pointermove", point);
  node.addEventListener("pointerdown", point);
  node.addEventListener("pointerleave", event => {
    if (tip.owner === node && event.pointerType !== "touch") hide_tip();
  });
}

addEventListener("pointerdown", hide_tip, true);

/**
 * Paints rows × columns cells, each row on so many `lines` of the canvas; where `colour(row,
 * column)` is null the paper shows.
 */
function paint(canvas, height, width, colour, lines = 1) {
  canvas.width = width;
  canvas.height = height * lines;
  const context = canvas.getContext("2d"), image = context.createImageData(width, height * lines);
  const data = image.data, stride = 4 * width;
  for (let row = 0; row < height; ++row) {
    const begin = row * lines * stride;
    for (let column = 0, at = begin; column < width; ++column, at += 4) {
      const paint = colour(row, column);
      if (!paint) continue;
      data[at] = paint[0];
      data[at + 1] = paint[1];
      data[at + 2] = paint[2];
      data[at + 3] = 255;
    }
    for (let line = 1; line < lines; ++line)
      data.copyWithin(begin + line * stride, begin, begin + stride);
  }
  context.putImageData(image, 0, 0);
}

const steps_of_keys = {
  ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
};

/**
 * A map that mouse, finger and arrow keys can read. `shape()` is [rows, columns]; `colour(r, c)`
 * paints; `tell(r, c)` says the numbers of a cell, null where there is none; `pick(r, c)` takes a
 * cell; `at()` is the cell that is picked. `high` is its height in CSS pixels, or null for cells
 * as high as they are wide.
 */
function heat({ label, shape, colour, tell, pick, at, high = null }) {
  const canvas = el("canvas", { "aria-hidden": "true" });
  const cursor = el("div", { class: "cursor hidden" });
  const frame = el("div", { class: "frame", tabindex: "0", "aria-label": label,
    role: pick ? "application" : "img" }, canvas, cursor);
  let here = [0, 0];
  const place = (cell, mark = cursor) => {
    const [height, width] = shape();
    mark.classList.toggle("hidden", !cell || cell[0] >= height || cell[1] >= width);
    if (!cell) return;
    mark.style.top = 100 * cell[0] / height + "%";
    mark.style.left = 100 * cell[1] / width + "%";
    mark.style.height = 100 / height + "%";
    mark.style.width = 100 / width + "%";
  };
  const cell_at = event => {
    const box = canvas.getBoundingClientRect(), [height, width] = shape();
    const clamp = (x, most) => Math.min(Math.max(Math.floor(x), 0), most - 1);
    return [clamp((event.clientY - box.top) / box.height * height, height),
      clamp((event.clientX - box.left) / box.width * width, width)];
  };
  on_pointer(frame, event => tell(...cell_at(event)));
  frame.addEventListener("blur", () => { hide_tip(); place(at ? at() : null); });
  if (pick) frame.addEventListener("click", event => {
    pick(...cell_at(event), event);
    if (at) place(at());
  });
  frame.addEventListener("keydown", event => {
    const step = steps_of_keys[event.key], [height, width] = shape();
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    if (at) here = at();
    here = [Math.min(Math.max(here[0] + step[0], 0), height - 1),
      Math.min(Math.max(here[1] + step[1], 0), width - 1)];
    if (pick) pick(...here, event);
    place(here);
    const box = frame.getBoundingClientRect();
    spoken.textContent = tell(...here) || "";
    show_tip(box.left + box.width * (here[1] + 1) / width,
      box.top + box.height * (here[0] + 1) / height, tell(...here));
  });
  frame.place = place;
  frame.redraw = () => {
    const [height, width] = shape();
    const dense = width > 160;
    paint(canvas, height, width, colour, dense && height > 1 ? 6 : 1);  // then only columns blend
    canvas.classList.toggle("dense", dense);
    canvas.style.height = high === null ? "" : high(height) + "px";
    canvas.style.aspectRatio = high === null ? `${width} / ${height}` : "";
    place(at ? at() : null);
  };
  return frame;
}
)page"
