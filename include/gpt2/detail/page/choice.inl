R"page(
// Stages 15 to 18: probabilities, what sampling keeps, the text that grows, and what comes after.

stages.push({ key: "softmax", needs: ["step", "theme"], build(pane) {
  if (!steps.length) return no_choice(pane);
  const list = el("div"), facts = el("p", { class: "caption" });
  pane.append(list, facts);
  return () => {
    const step = steps[state.step], shares = step.probabilities.map(number);
    list.replaceChildren(bars(shares.map((share, i) => ({
      name: shown_id(step.candidates.ids[i]), share: share / (shares[0] || 1),
      value: percent(share), style: step.candidates.ids[i] === step.chosen ? "chosen" : "" }))));
    const sum = shares.reduce((a, b) => a + b, 0);
    facts.textContent = say("softmax_facts", { count: shares.length, sum: percent(sum),
      others: whole(model.vocabulary_size - shares.length), rest: percent(1 - sum) });
  };
} });

/** The three sliders of sampling. */
const sampling_sliders = () => [
  slider({ name: "temperature", label: say("temperature"), low: 0, high: 2, each: 0.01,
    read: () => state.temperature, write: temperature => set({ temperature }),
    words_of: () => state.temperature === 0 ? say("greedy") : figure(state.temperature) }),
  slider({ name: "top_k", label: "top-k", low: 0, high: top_k_choices.length - 1,
    read: () => top_k_choices.indexOf(state.top_k),
    write: place => set({ top_k: top_k_choices[place] }),
    words_of: () => state.top_k === 0 ? say("off") : whole(state.top_k) }),
  slider({ name: "top_p", label: "top-p", low: 0.01, high: 1, each: 0.01,
    read: () => state.top_p, write: top_p => set({ top_p }),
    words_of: () => state.top_p >= 1 ? say("off") : figure(state.top_p) }),
];

const is_run = () => Object.entries(run_settings()).every(([name, value]) => state[name] === value);

/** What each filter removed, one line each. */
function filters_list(result) {
  const line = (name, kept, removed) => el("tr", {}, el("td", {}, name),
    el("td", { class: "figures" }, say("kept", { count: whole(kept) })),
    el("td", { class: "figures gone" }, removed ? say("removed", { count: whole(removed) }) : ""));
  const name_of = { greedy: say("greedy"), top_k: `top-k ${state.top_k}`,
    top_p: `top-p ${figure(state.top_p)}` };
  return el("table", {}, line(say("vocabulary"), result.total, 0),
    ...result.filters.map(({ name, kept, removed }) => line(name_of[name], kept, removed)));
}

/** What the run itself noted of its filters, with examples. */
function run_list(step) {
  const line = ({ filter, removed, examples }) => el("tr", {}, el("td", {}, shown(filter, true)),
    el("td", { class: "figures gone" }, say("removed", { count: whole(removed) })),
    el("td", {}, ...examples.slice(0, 6).flatMap(id => [shown_id(id), "  "]),
      removed > 6 ? "…" : ""));
  return el("table", { class: "noted" }, ...step.filters.map(line));
}

/** The numbers from 0 to 1, shared out among the survivors in the order of their ids. */
function draw_line(step, result) {
  if (result.kept > step.candidates.ids.length || result.kept === 1) return null;
  const kept = step.candidates.ids.map((id, i) => ({ id, share: result.probabilities[i] }))
    .filter(one => one.share > 0).sort((a, b) => a.id - b.id);
  const line = el("div", { class: "line", role: "img", "aria-label": say("draw_line") });
  const high = Math.max(...kept.map(one => one.share));
  for (const { id, share } of kept) {
    const part = el("i", { style: `width:${100 * share}%;` +
      `background:${css(weight_colour(0.05 + 0.6 * share / high))}` });
    on_pointer(part, () => `${visible(text_of(id).text)}  ${percent(share)}`);
    line.append(part);
  }
  const draw = step.draw === null ? null : number(step.draw);
  if (draw !== null && is_run()) line.append(el("b", { style: `left:${100 * draw}%` }));
  return el("div", {}, el("h3", {}, say("draw_line")), line,
    el("div", { class: "ends" }, el("span", {}, "0"), el("span", {}, "1")));
}

stages.push({ key: "sampling", needs: ["step", "temperature", "top_k", "top_p", "theme"],
  build(pane) {
    if (!steps.length) return no_choice(pane);
    const control = controls(...sampling_sliders());
    control.classList.add("stacked");
    const back = el("button", { id: "run-settings", onclick: () => set(run_settings()) });
    const list = el("div", { id: "survivors" }), filters = el("div", { id: "filters" });
    const draw = el("div"), noted = el("div"), words_of_run = el("p");
    pane.append(control, back, list, el("h3", {}, say("filters")), filters, draw,
      words_of_run, noted);
    return () => {
      control.update();
      back.textContent = say("run_settings",
        { description: visible_prose(walk.sampling.description) });
      back.disabled = is_run();
      const step = steps[state.step], result = filtered(step, state);
      const raw = softmax(step, 1).candidates;
      const high = Math.max(raw[0], result.probabilities[0]) || 1;
      const reason = { greedy: say("greedy"), top_k: "top-k", top_p: "top-p" };
      const entries = bars(step.candidates.ids.slice(0, 14).map((id, i) => ({
        name: shown_id(id), share: result.probabilities[i] / high, before: raw[i] / high,
        value: result.reasons[i] ? reason[result.reasons[i]] : percent(result.probabilities[i]),
        style: result.reasons[i] ? "gone" : id === step.chosen ? "chosen" : "" })));
      list.replaceChildren(entries, el("p", { class: "caption" }, say("outline")));
      list.dataset.kept = result.kept;
      list.dataset.probabilities = JSON.stringify(result.probabilities.slice(0, 14));
      filters.replaceChildren(filters_list(result));
      draw.replaceChildren(...[draw_line(step, result)].filter(Boolean));
      const random = step.draw !== null && step.draw !== undefined;
      words_of_run.replaceChildren(say(random ? "run_drew" : "run_chose",
        { draw: random ? figure(number(step.draw), 4) : "" }) + " ", shown_id(step.chosen),
      ` (${percent(number(step.chosen_probability))}).`);
      noted.replaceChildren(el("h3", {}, say("run_filters")), run_list(step));
    };
  } });

stages.push({ key: "loop", needs: ["step"], build(pane) {
  const text = el("div", { class: "text", id: "growing", "aria-live": "polite" });
  const list = el("table", {});
  pane.append(text, el("h3", {}, say("so_far")), el("div", { class: "scroll" }, list));
  return () => {
    const count = rows_at(state.step), step = steps[state.step];
    text.replaceChildren(first ? "… " : "");
    for (const piece of texts_of_rows(count))
      text.append(shown(piece.text, true, piece.written ? "new" : ""),
        model.has_tokenizer ? "" : " ");
    if (step) text.append(shown(text_of(step.chosen).text, true, "now"));
    list.replaceChildren(...steps.slice(0, state.step + 1).map((one, i) => el("tr", {},
      el("td", { class: "figures" }, String(i + 1)), el("td", {}, shown_id(one.chosen)),
      el("td", { class: "figures" }, `id ${one.chosen}`),
      el("td", { class: "figures" }, percent(number(one.chosen_probability))),
      el("td", { class: "figures" }, say("survivors", { count: whole(one.survivors) })))));
  };
} });

/** A text of which some bytes are marked: [begin, end, element] in ascending order. */
function marked(text, marks) {
  const bytes = new TextEncoder().encode(text), decoder = new TextDecoder();
  const node = el("div", { class: "text" });
  let at = 0;
  for (const [begin, end, part] of marks) {
    if (begin < at) continue;
    node.append(shown(decoder.decode(bytes.subarray(at, begin)), true), part);
    at = end;
  }
  node.append(shown(decoder.decode(bytes.subarray(at)), true));
  return node;
}

stages.push({ key: "post_processing", needs: [], build(pane) {
  if (!walk.post_processing.length) {
    pane.append(el("p", {}, say("no_post_processing")));
    return null;
  }
  for (const { step, before, after, changes } of walk.post_processing) {
    const parts = changes.map(({ begin, end, from, to }) => [begin, end,
      el("span", {}, from ? el("del", {}, shown(from, true)) : null, from && to ? " " : "",
        to ? el("ins", {}, shown(to, true)) : null)]);
    pane.append(el("h3", {}, shown(step, true)), marked(before, parts),
      el("p", { class: "caption" }, say(changes.length ? "changes" : "unchanged",
        { count: changes.length })));
    if (changes.length) pane.append(el("div", { class: "text" }, shown(after, true)));
  }
  return null;
} });
)page"
