R"page(
// Stages 8 to 10: queries, keys and values; who looks at whom; the heads joined.

stages.push({ key: "qkv", needs: ["row", "step", "layer", "head", "theme"], build(pane) {
  const control = controls(layer_slider(), head_slider());
  const size = model.width / model.heads;
  const line = name => {
    const of = row => head_row(name, state.layer, state.head, row);
    let tint = null;
    const map = labelled(heat({
      label: say("strips_of", { what: name }), shape: () => [rows_at(state.step), size],
      high: count => Math.max(6, 12) * count,
      colour: (row, column) => tint(of(row)[column]),
      tell: (row, column) =>
        `${place_of(row)}\n${name}[${column}] = ${figure(of(row)[column], 4)}`,
      pick: row => set({ row }),
    }));
    const scale = el("div");
    return { node: el("div", {}, el("h3", {}, say(name)), map, scale), update() {
      let limit = 0;
      for (let row = 0; row < rows; ++row) limit = Math.max(limit, largest(of(row)));
      tint = signed_colour(limit);
      map.update(rows_at(state.step));
      scale.replaceChildren(legend(figure(-limit), figure(limit), true));
    } };
  };
  const lines = ["q", "k", "v"].map(line);
  pane.append(control, el("div", { class: "triple" }, ...lines.map(one => one.node)));
  return () => {
    control.update();
    lines.forEach(one => one.update());
  };
} });

/** The row that is picked, worked out: scores, mask, weights, values. */
function worked_row() {
  const { layer, head, row } = state, seen = rows_at(state.step);
  const scores = Array.from({ length: row + 1 }, (_, column) =>
    attention("scores", layer, head, row, column));
  const sum = weighted_sum(layer, head, row), earlier = of_head("earlier", layer, head, row);
  let limit = largest(sum);
  for (let column = 0; column <= row; ++column)
    limit = Math.max(limit, largest(head_row("v", layer, head, column)));
  const most = largest(scores) || 1;
  const small = (values, name) => strip({ label: name, values, limit, high: 15,
    tell: i => `${name}[${i}] = ${figure(values[i], 4)}` });
  const meter = (share, text, signed) => {
    const track = el("div", { class: "track" });
    const width = Math.abs(share) * (signed ? 50 : 100) || 0;
    track.append(el("i", { class: share < 0 ? "negative" : "",
      style: `left:${signed ? (share < 0 ? 50 - width : 50) : 0}%;width:${width}%` }));
    return [el("td", { class: "figures" }, text),
      el("td", { class: signed ? "meter score" : "meter" }, track)];
  };
  const line = column => {
    const name = el("td", {}, shown(short(text_of_row(column), 12)));
    if (column > row) return el("tr", { class: "masked" }, name,
      el("td", { class: "figures" }, say("masked")), el("td", { class: "score" }),
      el("td", { class: "figures" }, "0"), el("td", {}), el("td", {}));
    const weight = attention("weights", layer, head, row, column);
    return el("tr", {}, name, ...meter(scores[column] / most, figure(scores[column]), true),
      ...meter(weight, percent(weight)),
      el("td", { class: "strip" }, small(head_row("v", layer, head, column), "v")));
  };
  const heading = [["token"], ["score", "figures"], ["", "score"], ["weight", "figures"], [""],
    ["value"]];
  return el("table", { class: "worked" },
    el("tr", {}, ...heading.map(([name, style]) => el("th", { class: style }, name && say(name)))),
    earlier > 0 ? el("tr", { class: "masked" }, el("td", { colspan: 2 }, say("earlier")),
      el("td", { class: "score" }), ...meter(earlier, percent(earlier)), el("td", {})) : null,
    ...Array.from({ length: seen }, (_, column) => line(column)),
    el("tr", { class: "sum" }, el("td", { colspan: 4 }, say("sum_of_values")),
      el("td", { class: "score" }),
      el("td", { class: "strip" }, small(sum, "Σ"))));
}

/** A large map of one head; `which` is the part of the state that says which. */
function head_map(which) {
  const title = el("h3"), facts = el("p", { class: "caption" });
  let seen = rows;  // the column that is picked, at most the row
  const head = () => which === "head" ? [state.layer, state.head]
    : [Math.floor(state.other / model.heads), state.other % model.heads];
  const weight = (row, column) => attention("weights", ...head(), row, column);
  const map = labelled(heat({
    label: say(which === "head" ? "map_of_head" : "map_of_other"),
    shape: () => [rows_at(state.step), rows_at(state.step)],
    colour: (row, column) => column > row ? null : weight_colour(weight(row, column)),
    tell: (row, column) => column > row
      ? `${place_of(row)} ✕ ${place_of(column)}\n${say("masked")}`
      : `${place_of(row)} → ${place_of(column)}\n${say("weight")} ` +
        `${percent(weight(row, column))}\n${say("score")} ` +
        figure(attention("scores", ...head(), row, column)),
    pick: (row, column) => { seen = column; set({ row }); },
    at: () => [state.row, Math.min(seen, state.row)],
  }), { columns: true });
  return { node: el("div", { class: "head-map" }, title, map, facts), update() {
    const [layer, index] = head();
    const letter = which === "head" ? "A" : "B";
    title.textContent = `${letter} · ${say("head_of", { layer: layer + 1, head: index + 1 })}`;
    map.update(rows_at(state.step));
    facts.textContent = say("head_facts", { token: token_name(state.row),
      entropy: figure(of_head("entropy", layer, index, state.row)),
      norm: figure(of_head("head_norms", layer, index, state.row)) });
  } };
}

/** Every head of every layer as a small map; arrows and clicks move A or B. */
function all_heads() {
  const size = () => rows_at(state.step) + 1;
  const second = el("div", { class: "cursor second" });
  const per_head = triangle(rows);
  const paint_all = canvas => {
    const tables = walk.layers.map(layer => numbers(layer.weights)), side = size();
    paint(canvas, model.layers * side, model.heads * side, (row, column) => {
      const y = row % side, x = column % side;  // the last row and column part the maps
      if (y === side - 1 || x > y) return null;
      const layer = (row - y) / side, head = (column - x) / side;
      return weight_colour(tables[layer][head * per_head + triangle(y) + x]);
    });
  };
  const tell = (layer, head) => `${say("head_of", { layer: layer + 1, head: head + 1 })}\n` +
    `${say("entropy")} ${figure(of_head("entropy", layer, head, state.row))} bit\n` +
    `${say("head_norm")} ${figure(of_head("head_norms", layer, head, state.row))}`;
  const map = heat({
    label: say("all_heads"), shape: () => [model.layers, model.heads], colour: () => null, tell,
    pick: (layer, head, event) => set(state.which === "other" || event.shiftKey
      ? { other: layer * model.heads + head } : { layer, head }),
    at: () => state.which === "other"
      ? [Math.floor(state.other / model.heads), state.other % model.heads]
      : [state.layer, state.head],
  });
  map.append(second);
  map.classList.add("all-heads");
  map.style.maxWidth = `${Math.min(40, 7 * model.heads)}rem`;
  return { node: map, update() {
    const other = [Math.floor(state.other / model.heads), state.other % model.heads];
    const chosen = [state.layer, state.head], picks_other = state.which === "other";
    map.redraw();
    paint_all(map.querySelector("canvas"));
    map.place(picks_other ? other : chosen);
    map.place(picks_other ? chosen : other, second);
  } };
}

stages.push({ key: "attention", wide: true,
  needs: ["row", "step", "layer", "head", "other", "which", "theme"], build(pane) {
    const control = controls(layer_slider(), head_slider()), worked = el("div");
    const title = el("h3"), every = all_heads();
    const left = head_map("head"), right = head_map("other");
    const buttons = ["head", "other"].map(which => el("button", { id: `which-${which}`,
      onclick: () => set({ which }) }, say(which === "head" ? "pick_a" : "pick_b")));
    pane.append(control,
      el("div", { class: "pair split" },
        el("div", {}, title, el("div", { class: "scroll" }, worked)),
        el("div", {}, el("h3", {}, say("all_heads")),
          el("p", { class: "caption" }, say("all_heads_caption")),
          el("div", { class: "controls" }, ...buttons), every.node,
          legend("0 %", "100 %", false))),
      el("div", { class: "pair" }, left.node, right.node));
    return () => {
      control.update();
      title.textContent = say("worked_title", { token: token_name(state.row) });
      swap(worked, worked_row());
      every.update();
      left.update();
      right.update();
      buttons.forEach((button, i) =>
        button.setAttribute("aria-pressed", state.which === ["head", "other"][i]));
    };
  } });

/** A number for each head of each layer, for the row that is picked. */
function heads_grid(name, label) {
  let high = 1;
  const map = heat({
    label, shape: () => [model.layers, model.heads],
    high: count => Math.max(12, Math.min(28, 300 / count)) * count,
    colour: (layer, head) => range_colour(0, high)(of_head(name, layer, head, state.row)),
    tell: (layer, head) => `${say("head_of", { layer: layer + 1, head: head + 1 })}\n` +
      `${label} ${figure(of_head(name, layer, head, state.row))}`,
    pick: (layer, head) => set({ layer, head }), at: () => [state.layer, state.head],
  });
  const scale = el("div");
  return { node: el("div", {}, el("h3", {}, label), map, scale), update() {
    const values = walk.layers.flatMap((_, layer) => Array.from({ length: model.heads },
      (_, head) => of_head(name, layer, head, state.row)));
    high = largest(values);
    map.redraw();
    scale.replaceChildren(legend("0", figure(high), false));
  } };
}

stages.push({ key: "heads_joined", needs: ["row", "layer", "head", "theme"], build(pane) {
  const control = controls(layer_slider()), list = el("div"), title = el("h3");
  const norms = heads_grid("head_norms", say("head_norm"));
  const entropy = heads_grid("entropy", say("entropy"));
  pane.append(control, title, list, el("p", { class: "caption" }, say("grid_caption")),
    el("div", { class: "pair" }, norms.node, entropy.node));
  return () => {
    control.update();
    title.textContent = say("heads_title", { layer: state.layer + 1,
      token: token_name(state.row) });
    const values = Array.from({ length: model.heads }, (_, head) =>
      of_head("head_norms", state.layer, head, state.row));
    const joined = number(walk.layers[state.layer].attention_norm[state.row]);
    const high = Math.max(largest(values), largest([joined])) || 1;
    list.replaceChildren(bars([
      ...values.map((value, head) => ({ name: `${say("head")} ${head + 1}`, share: value / high,
        value: figure(value), style: head === state.head ? "chosen" : "" })),
      { name: "c_proj", share: joined / high, value: figure(joined) }]));
    norms.update();
    entropy.update();
  };
} });
)page"
