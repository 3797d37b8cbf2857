R"page(
// Stages 1 to 7: from characters to normalised vectors. Each entry of `stages` builds its figure
// once for each language and returns what brings it up to date; `needs` says with which changes.

const stages = [];

/** A token in a sentence: without the space before it. */
const token_name = row => short(text_of_row(row).trim() || text_of_row(row), 14);
const place_of = row => `${token_name(row)} @ ${row + first}`;

stages.push({ key: "normalisation", needs: [], build(pane) {
  const same = walk.text === walk.normalised;
  if (walk.text === null) {
    pane.append(el("p", {}, say("ids_given")));
    return null;
  }
  pane.append(el("h3", {}, say("as_typed")),
    el("div", { class: "text" }, shown(walk.text, true)),
    el("h3", {}, say("as_normalised")),
    el("div", { class: "text" }, shown(walk.normalised, true)),
    el("p", { class: "caption" }, say(same ? "unchanged" : "changed")));
  return null;
} });

/** The merges of a token, one a line: the pair that is joined, and what stands afterwards. */
function merges_of(row) {
  const { merges } = walk.tokens[row];
  if (!merges.length)
    return el("p", { class: "caption" }, say("no_merges", { token: token_name(row) }));
  const list = el("table", { class: "merges" }, el("caption", { class: "aside" }, say("merges")));
  merges.forEach(([left, right], i) => list.append(el("tr", {},
    el("td", { class: "figures" }, String(i + 1)), el("td", {}, shown(left)), el("td", {}, "+"),
    el("td", {}, shown(right)), el("td", {}, "→"), el("td", {}, shown(left + right)))));
  return list;
}

stages.push({ key: "tokens", needs: ["row", "step"], build(pane) {
  const cuts = el("div", { class: "flow" }), detail = el("div");
  let open = false;
  const button = el("button", { "aria-expanded": "false", id: "merges-button", onclick: () => {
    open = !open;
    button.setAttribute("aria-expanded", open);
    update();
  } });
  const update = () => {
    cuts.replaceChildren(...Array.from({ length: rows_at(state.step) }, (_, row) => {
      const { begin, end, written } = walk.tokens[row];
      return el("span", { class: "chip" + (written ? " written" : "") },
        shown(text_of_row(row)), el("small", {}, `${begin}–${end}`));
    }));
    button.textContent = say(open ? "hide_merges" : "show_merges",
      { token: token_name(state.row) });
    detail.replaceChildren(...open ? [merges_of(state.row)] : []);
  };
  pane.append(cuts, el("p", { class: "caption" }, say("cuts_caption")), button, detail);
  return update;
} });

stages.push({ key: "ids", needs: ["row", "step"], build(pane) {
  const list = el("div", { class: "flow" }), detail = el("p", {});
  pane.append(list, detail);
  return () => {
    list.replaceChildren(...Array.from({ length: rows_at(state.step) }, (_, row) =>
      el("span", { class: "chip" }, shown(text_of_row(row)),
        el("small", {}, String(walk.tokens[row].id)))));
    const { id, hex } = walk.tokens[state.row];
    detail.replaceChildren(shown(text_of_row(state.row), false, "token"), " → ",
      el("b", {}, String(id)), "  " + say(hex ? "id_detail" : "id_detail_bare", { row: whole(id),
        size: whole(model.vocabulary_size), hex: (hex || "").replace(/..(?=.)/g, "$& ") }));
  };
} });

/** All rows of a table (W, C) as strips, one above the other. */
function strips(label, values, tell) {
  const width = model.width, limit = limit_of(values);
  let tint = null;
  const map = heat({
    label, shape: () => [rows_at(state.step), width], high: count => Math.max(7, 15) * count,
    colour: (row, column) => tint(values[row * width + column]), tell,
    pick: row => set({ row }),
  });
  const node = labelled(map);
  const scale = el("div");
  return { node: el("div", {}, node, scale), update() {
    tint = signed_colour(limit);
    node.update(rows_at(state.step));
    scale.replaceChildren(signed_legend(limit, values));
  } };
}

/** What a cell of a table says. */
const cell_words = (values, name) => (row, column) =>
  `${place_of(row)}\n${name}[${column}] = ${figure(values[row * model.width + column], 5)}`;

stages.push({ key: "token_embedding", needs: ["row", "step", "theme"], build(pane) {
  const values = numbers(walk.embedding.token);
  const map = strips(say("strips_of", { what: "wte" }), values, cell_words(values, "wte"));
  pane.append(map.node);
  return map.update;
} });

stages.push({ key: "positions", needs: ["row", "step", "theme"], build(pane) {
  const learned = numbers(walk.embedding.position), waves = numbers(walk.embedding.sinusoidal);
  const left = strips(say("learned"), learned, cell_words(learned, "wpe"));
  const right = strips(say("sinusoidal"), waves, cell_words(waves, "PE"));
  pane.append(el("div", { class: "pair" },
    el("div", {}, el("h3", {}, say("learned")), left.node),
    el("div", {}, el("h3", {}, say("sinusoidal")), right.node)));
  return () => { left.update(); right.update(); };
} });

stages.push({ key: "sum", needs: ["row", "theme"], build(pane) {
  const place = el("div");
  pane.append(place);
  return () => {
    const width = model.width, begin = state.row * width;
    const [token, position, sum] = ["token", "position", "sum"].map(name =>
      numbers(walk.embedding[name]).subarray(begin, begin + width));
    const tell = i => `${say("dimension")} ${i}\n${figure(token[i], 4)} + ` +
      `(${figure(position[i], 4)}) = ${figure(sum[i], 4)}`;
    const line = (name, values) => [el("h3", {}, name),
      strip({ label: name, values, limit: limit_of(sum), tell, high: 34 })];
    swap(place, ...line(`wte[${walk.tokens[state.row].id}]`, token),
      ...line(`+ wpe[${state.row + first}]`, position),
      ...line(`= ${say("sum_of", { token: token_name(state.row) })}`, sum),
      signed_legend(limit_of(sum), sum));
  };
} });

/** Mean and variance of what each LayerNorm of the walk takes in, for a row. */
function moments_along(row) {
  const along = [];
  walk.layers.forEach((layer, i) => {
    for (const name of ["ln_1", "ln_2"])
      along.push({ name: `h.${i}.${name}`, mean: number(layer[name].mean[row]),
        variance: number(layer[name].variance[row]) });
  });
  along.push({ name: "ln_f", mean: number(walk.ln_f.mean[row]),
    variance: number(walk.ln_f.variance[row]) });
  return along;
}

stages.push({ key: "layer_norm", needs: ["row", "layer", "theme"], build(pane) {
  const control = controls(layer_slider());
  const table = el("div"), before = el("div"), along = el("div");
  pane.append(control, table, before, el("h3", {}, say("variance_along")), along);
  return () => {
    control.update();
    const all = moments_along(state.row);
    const lines = all.slice(2 * state.layer, 2 * state.layer + 2);
    table.replaceChildren(el("table", {},
      el("tr", {}, el("th", {}, ""), ...["mean", "variance", "variance_after"].map(name =>
        el("th", { class: "figures" }, say(name)))),
      ...lines.map(({ name, mean, variance }) => el("tr", {}, el("td", {}, name),
        el("td", { class: "figures" }, figure(mean)),
        el("td", { class: "figures" }, figure(variance)),
        el("td", { class: "figures" }, figure(variance / (variance + epsilon)))))));
    swap(before, ...state.layer === 0 ? strips_around_norm() : []);
    swap(along, curve({
      label: say("variance_along"), ends: ["h.0.ln_1", "ln_f"], mark: () => 2 * state.layer,
      series: [{ name: say("variance"), values: all.map(one => one.variance) }],
      tell: i => `${all[i].name}\n${say("mean")} ${figure(all[i].mean)}\n` +
        `${say("variance")} ${figure(all[i].variance)}`,
      pick: i => set({ layer: Math.min(i >> 1, model.layers - 1) }),
    }));
  };
} });

/** What goes into the first LayerNorm, and the same with mean 0 and variance 1. */
function strips_around_norm() {
  const begin = state.row * model.width;
  const came = numbers(walk.embedding.sum).subarray(begin, begin + model.width);
  const { mean, variance } = moments_along(state.row)[0];
  const normed = came.map(value => (value - mean) / Math.sqrt(variance + epsilon));
  const line = (name, values) => [el("h3", {}, name), strip({ label: name, values,
    limit: limit_of(values), tell: i => `${say("dimension")} ${i}\n${figure(came[i], 4)} → ` +
      figure(normed[i], 4) }),
  signed_legend(limit_of(values), values)];
  return [...line(say("before_norm"), came), ...line(say("after_norm"), normed)];
}
)page"
