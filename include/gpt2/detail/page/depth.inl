R"page(
// Stages 11 to 14: the residual stream, the feed-forward layers, what each depth would answer, and
// the logits.

stages.push({ key: "residual", needs: ["row", "layer", "theme"], build(pane) {
  const place = el("div"), facts = el("p", { class: "caption" });
  pane.append(place, facts);
  const names = ["residual_norm", "attention_norm", "mlp_norm"];
  return () => {
    const series = names.map(name => ({ name: say(name),
      values: walk.layers.map(layer => number(layer[name][state.row])) }));
    swap(place, curve({
      label: say("norms_along"), series, mark: () => state.layer, pick: layer => set({ layer }),
      ends: [`${say("layer")} 1`, `${say("layer")} ${model.layers}`],
      tell: layer => [`${say("layer")} ${layer + 1} · ${token_name(state.row)}`,
        ...series.map(one => `${one.name}: ${figure(one.values[layer])}`)].join("\n"),
    }));
    const layer = walk.layers[state.layer];
    facts.textContent = say("residual_facts", { layer: state.layer + 1,
      attention: figure(number(layer.attention_norm[state.row])),
      middle: figure(number(layer.middle_norm[state.row])),
      mlp: figure(number(layer.mlp_norm[state.row])),
      after: figure(number(layer.residual_norm[state.row])) });
  };
} });

stages.push({ key: "feed_forward", needs: ["row", "step", "layer", "theme"],
  build(pane) {
    const share = (layer, row) => number(walk.layers[layer].active_share[row]);
    const control = controls(layer_slider()), title = el("h3"), list = el("div");
    const map = heat({
      label: say("active_map"), shape: () => [model.layers, rows_at(state.step)],
      high: count => Math.max(10, Math.min(26, 300 / count)) * count,
      colour: (layer, row) => range_colour(0, 1)(share(layer, row)),
      tell: (layer, row) => `${say("layer")} ${layer + 1} · ${place_of(row)}\n` +
        `${say("active")} ${percent(share(layer, row))}`,
      pick: (layer, row) => set({ layer, row }), at: () => [state.layer, state.row],
    });
    pane.append(el("h3", {}, say("active_map")),
      el("p", { class: "caption" }, say("active_caption", { units: whole(model.inner_width) })),
      map, legend("0 %", "100 %", false), control, title, list);
    return () => {
      control.update();
      map.redraw();
      const units = walk.layers[state.layer].top_units[state.row]
        .map(([unit, value]) => [unit, number(value)]);
      const high = largest(units.map(([, value]) => value)) || 1;
      title.textContent = say("top_units", { layer: state.layer + 1,
        token: token_name(state.row) });
      list.replaceChildren(bars(units.map(([unit, value]) => ({
        name: `${say("unit")} ${unit}`, share: value / high, value: figure(value) })), true));
    };
  } });

const depth_name = depth =>
  depth === 0 ? say("embedding_depth") : `${say("layer")} ${depth}`;

/** The table of the lens: one button a cell, arrows move between them. */
function lens_table() {
  const cells = walk.lens.map((line, depth) => line.map((cell, row) => {
    const probability = number(cell.probabilities[0]);
    const node = el("button", { role: "gridcell", tabindex: "-1", onclick: () => pick(depth, row) },
      shown(short(text_of(cell.ids[0]).text, 9)),
      el("small", {}, cell.chosen_rank ? `#${whole(cell.chosen_rank)}` : " "));
    on_pointer(node, () => lens_words(depth, row));
    node.paint = () => {
      const colour = range_colour(0, 1)(Math.sqrt(probability));
      node.style.background = css(colour);
      node.style.color = ink_on(colour);
    };
    return node;
  }));
  const pick = (depth, row) => {
    set({ row, depth, layer: Math.max(depth - 1, 0) });
    cells[depth][row].focus();
  };
  const heads = walk.tokens.map((_, row) => el("th", {}, short(text_of_row(row), 9)));
  const table = el("table", { class: "lens", role: "grid", "aria-label": say("lens") },
    el("thead", {}, el("tr", {}, el("th", {}, ""), ...heads)),
    el("tbody", {}, ...cells.map((line, depth) => el("tr", {},
      el("th", { scope: "row" }, depth_name(depth)),
      ...line.map(cell => el("td", {}, cell))))));
  table.addEventListener("keydown", event => {
    const step = steps_of_keys[event.key];
    if (!step) return;
    event.preventDefault();
    pick(Math.min(Math.max(state.depth + step[0], 0), cells.length - 1),
      Math.min(Math.max(state.row + step[1], 0), rows_at(state.step) - 1));
    spoken.textContent = lens_words(state.depth, state.row);
  });
  return { node: table, update() {
    const count = rows_at(state.step);
    heads.forEach((head, row) => head.classList.toggle("hidden", row >= count));
    cells.forEach((line, depth) => line.forEach((cell, row) => {
      const on = depth === state.depth && row === state.row;
      cell.parentNode.classList.toggle("hidden", row >= count);
      cell.setAttribute("aria-selected", on);
      cell.tabIndex = on ? 0 : -1;
      cell.paint();
    }));
    const cell = cells[state.depth][state.row].parentNode, frame = table.parentNode;
    const name = heads[0].previousElementSibling.offsetWidth;
    if (cell.offsetLeft - name < frame.scrollLeft) frame.scrollLeft = cell.offsetLeft - name;
    else if (cell.offsetLeft + cell.offsetWidth > frame.scrollLeft + frame.clientWidth)
      frame.scrollLeft = cell.offsetLeft + cell.offsetWidth - frame.clientWidth + 4;
  } };
}

function lens_words(depth, row) {
  const cell = walk.lens[depth][row];
  const best = cell.ids.map((id, i) =>
    `${visible(text_of(id).text)}  ${percent(number(cell.probabilities[i]))}`);
  const rank = cell.chosen_rank
    ? [say("rank_of_next", { token: token_name(row + 1), rank: whole(cell.chosen_rank) })] : [];
  return [`${depth_name(depth)} · ${place_of(row)}`, ...best, ...rank].join("\n");
}

stages.push({ key: "lens", wide: true, needs: ["row", "step", "depth", "theme"],
  build(pane) {
    const table = lens_table(), detail = el("div"), title = el("h3");
    pane.append(el("div", { class: "scroll" }, table.node), legend("0 %", "100 %", false),
      el("p", { class: "caption" }, say("lens_caption")), title, detail);
    return () => {
      table.update();
      const cell = walk.lens[state.depth][state.row];
      title.textContent = `${depth_name(state.depth)} · ${token_name(state.row)}`;
      detail.replaceChildren(bars(cell.ids.map((id, i) => ({ name: shown_id(id),
        share: number(cell.probabilities[i]), value: percent(number(cell.probabilities[i])) }))),
      el("p", { class: "caption" }, cell.chosen_rank
        ? say("rank_of_next", { token: token_name(state.row + 1),
          rank: whole(cell.chosen_rank) }) : say("no_next")));
    };
  } });

/** What a stage of the choice says where nothing was written. */
const no_choice = pane => {
  pane.append(el("p", {}, say("no_choice")));
  return null;
};

stages.push({ key: "logits", needs: ["step", "theme"], build(pane) {
  if (!steps.length) return no_choice(pane);
  const title = el("h3"), list = el("div"), facts = el("p", { class: "caption" });
  pane.append(title, list, facts);
  return () => {
    const step = steps[state.step], row = rows_at(state.step) - 1;
    const logits = step.candidates.logits.map(number).slice(0, 12);
    const all = [...step.candidates.logits.map(number), ...step.rest.map(([x]) => number(x))];
    const low = Math.min(...all.filter(Number.isFinite));
    const span = logits[0] - low || 1;
    title.textContent = say("logits_title", { token: token_name(row) });
    list.replaceChildren(bars(logits.map((logit, i) => ({
      name: shown_id(step.candidates.ids[i]), share: (logit - low) / span, value: figure(logit, 4),
      style: step.candidates.ids[i] === step.chosen ? "chosen" : "" }))));
    facts.textContent = say("logits_facts", { size: whole(model.vocabulary_size),
      low: figure(low, 4), high: figure(logits[0], 4),
      mean: figure(number(walk.ln_f.mean[row])),
      variance: figure(number(walk.ln_f.variance[row])) });
  };
} });
)page"
