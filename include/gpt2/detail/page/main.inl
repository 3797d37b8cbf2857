R"page(
// The page itself: what stands around the stages, the state and who hears of it, keys.

const root = document.documentElement;
const $ = id => document.getElementById(id);
let updates = [];

/** Moves the state, keeps it within what there is, and tells the stages it concerns. */
function set(changes) {
  const before = { ...state };
  Object.assign(state, changes);
  if ("layer" in changes && !("depth" in changes)) state.depth = state.layer + 1;
  state.step = Math.min(Math.max(state.step, 0), Math.max(steps.length - 1, 0));
  const count = rows_at(state.step);
  if (state.step !== before.step && !("row" in changes)) state.row = count - 1;
  state.row = Math.min(Math.max(state.row, 0), count - 1);
  const changed = Object.keys(state).filter(name => state[name] !== before[name]);
  if (changed.includes("theme")) root.dataset.theme = state.theme;
  if (changed.includes("language")) build();
  else for (const { needs, update } of updates)
    if (needs.some(name => changed.includes(name))) update();
}

/** Rows of the rail: the tokens so far, and the one that comes next. */
function update_rail() {
  const count = rows_at(state.step), step = steps[state.step];
  const had = $("rail").contains(document.activeElement);
  $("rail").replaceChildren(...Array.from({ length: count }, (_, row) => {
    const on = row === state.row;
    return el("span", { role: "option", class: "chip" +
      (walk.tokens[row].written ? " written" : ""), "aria-selected": on, tabindex: on ? 0 : -1,
    onclick: () => { set({ row }); focus_token(); } },
    shown(text_of_row(row)), el("small", {}, String(row + first)));
  }));
  if (step) $("rail").append(el("span", { class: "chip next", role: "option",
    "aria-selected": "false", "aria-disabled": "true", title: say("chosen_next") },
  shown(text_of(step.chosen).text), el("small", {}, "→")));
  const chip = $("rail").children[state.row], rail = $("rail");
  if (had) chip.focus({ preventScroll: true });
  if (chip.offsetLeft < rail.scrollLeft + 8 ||
      chip.offsetLeft + chip.offsetWidth > rail.scrollLeft + rail.clientWidth - 70)
    rail.scrollLeft = chip.offsetLeft - rail.clientWidth / 2;
}

const focus_token = () => $("rail").children[state.row].focus({ preventScroll: true });

function update_bar() {
  $("step-count").textContent = steps.length
    ? `${state.step + 1} / ${steps.length}` : "–";
  $("back").disabled = state.step === 0;
  $("on").disabled = state.step + 1 >= steps.length;
  $("play").disabled = steps.length < 2;
  $("play").textContent = state.playing ? "❚❚" : "▶";
  $("play").setAttribute("aria-label", say(state.playing ? "pause" : "play"));
  $("theme").textContent = say(state.theme === "dark" ? "to_light" : "to_dark");
}

let timer = 0;
function play(on) {
  clearInterval(timer);
  if (on) {
    if (state.step + 1 >= steps.length) set({ step: 0 });
    timer = setInterval(() => {
      if (state.step + 1 >= steps.length) play(false);
      else set({ step: state.step + 1 });
    }, 1400);
  }
  set({ playing: on });
}

const step_by = by => { play(false); set({ step: state.step + by }); };

/** The opening: the text, the model, what was left out. */
function intro() {
  const quote = el("div", { class: "quote" });
  if (model.has_tokenizer)
    quote.append(shown(walk.text ?? "", true), shown(walk.continuation, true, "new"));
  else quote.append(walk.tokens.map(token => token.id).join(" "));
  const entries = [["model", visible_prose(model.name)], ["parameters", whole(model.parameters)],
    ["layers", model.layers], ["heads", model.heads], ["width", whole(model.width)],
    ["vocabulary", whole(model.vocabulary_size)], ["context", whole(model.context_length)],
    ["activation", model.activation]];
  const translated = note => words[state.language].notes.reduce(
    (text, [pattern, other]) => text.replace(pattern, other), note);
  const notes = walk.notes.map(translated), bad = walk.first_non_finite;
  if (bad) notes.push(say("magenta", { layer: bad.layer + 1 }));
  if (!model.has_tokenizer) notes.push(say("no_tokenizer"));
  return el("div", { class: "intro" }, el("h1", {}, say("title")),
    el("p", { class: "lead" }, say("lead")), quote,
    el("dl", { class: "facts" }, ...entries.map(([name, value]) =>
      el("div", {}, el("dt", {}, say(name)), el("dd", {}, String(value))))),
    ...notes.map(text => el("p", { class: "note" }, shown(text, true))),
    el("p", { class: "caption" }, say("how_to")));
}

/** One stage: its number and words, and its figure. */
function section_of({ key, wide, build: build_figure, needs }, index) {
  const text = words[state.language].stages[key];
  const pane = el("div", { class: "figure" });
  const section = el("section", { class: "stage" + (wide ? " wide" : ""), id: key,
    "aria-labelledby": `${key}-title` },
  el("div", { class: "about" },
    el("div", {}, el("span", { class: "number" }, String(index + 1)),
      el("h2", { id: `${key}-title` }, text.title),
      ...text.what.map(line => el("p", { class: "what" },
        line.replace("{activation}", () => visible_prose(model.activation))))),
    el("div", {}, text.formula ? formula(text.formula) : null,
      el("p", { class: "notice" }, el("b", {}, say("notice") + " "), text.notice))),
  pane);
  const update = build_figure(pane);
  if (update) updates.push({ needs, update });
  return section;
}

/** Everything in the reader's language. */
function build() {
  root.lang = state.language;
  updates = [{ needs: ["step", "row"], update: update_rail },
    { needs: ["step", "playing", "theme"], update: update_bar }];
  $("brand").textContent = say("brand");
  $("skip").textContent = say("skip");
  $("back").setAttribute("aria-label", say("previous"));
  $("on").setAttribute("aria-label", say("next"));
  $("step-name").textContent = say("step");
  $("rail").setAttribute("aria-label", say("tokens"));
  $("language").textContent = state.language === "en" ? "Español" : "English";
  $("language").lang = state.language === "en" ? "es" : "en";
  $("contents").setAttribute("aria-label", say("contents"));
  $("contents").replaceChildren(el("ol", {}, ...stages.map(({ key }, i) => el("li", {},
    el("a", { href: "#" + key }, el("b", {}, String(i + 1)),
      words[state.language].stages[key].title)))));
  $("main").replaceChildren(intro(), ...stages.map(section_of),
    el("footer", {}, el("p", {}, say("keys")), el("p", {}, say("colophon"))));
  updates.forEach(one => one.update());
  watch_sections();
}

let watcher = null;
/** Marks in the contents the stage that is being read. */
function watch_sections() {
  watcher?.disconnect();
  watcher = new IntersectionObserver(entries => entries.forEach(({ target, isIntersecting }) => {
    const link = document.querySelector(`#contents a[href="#${target.id}"]`);
    if (!isIntersecting) link.removeAttribute("aria-current");
    else {
      link.setAttribute("aria-current", "true");
      const list = link.closest("ol");
      if (list.scrollWidth > list.clientWidth) list.scrollLeft = link.offsetLeft - 40;
    }
  }), { rootMargin: "-35% 0px -60% 0px" });
  document.querySelectorAll(".stage").forEach(section => watcher.observe(section));
}

document.addEventListener("keydown", event => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === "Escape") hide_tip();
  if (event.target.closest("input, .frame, .curve, [role=grid]")) return;
  const moves = {
    ArrowLeft: { row: state.row - 1 }, ArrowRight: { row: state.row + 1 },
    "[": { layer: Math.max(state.layer - 1, 0) },
    "]": { layer: Math.min(state.layer + 1, model.layers - 1) },
    ",": { head: Math.max(state.head - 1, 0) },
    ".": { head: Math.min(state.head + 1, model.heads - 1) },
  };
  if (event.key === "n") step_by(1);
  else if (event.key === "p") step_by(-1);
  else if (moves[event.key]) set(moves[event.key]);
  else return;
  event.preventDefault();
});

$("back").addEventListener("click", () => step_by(-1));
$("on").addEventListener("click", () => step_by(1));
$("play").addEventListener("click", () => play(!state.playing));
$("theme").addEventListener("click", () =>
  set({ theme: state.theme === "dark" ? "light" : "dark" }));
$("language").addEventListener("click", () =>
  set({ language: state.language === "en" ? "es" : "en" }));
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  updates.forEach(one => one.update());
});

const asked = new URLSearchParams(location.search);
const choose = (name, among, otherwise) =>
  among.includes(asked.get(name)) ? asked.get(name) : otherwise;
Object.assign(state, run_settings(), {
  language: choose("lang", Object.keys(words), root.dataset.lang),
  theme: choose("theme", ["light", "dark"],
    matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"),
  row: rows_at(0) - 1, other: model.layers * model.heads - 1,
  layer: model.layers >> 1, depth: (model.layers >> 1) + 1,
});
root.dataset.theme = state.theme;
document.body.append(tip, spoken);
build();
root.dataset.ready = Math.round(performance.now());  // ms since the page was asked for
)page"
