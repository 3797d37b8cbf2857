R"page(
:root {
  color-scheme: light;
  --paper: #fbfaf6; --card: #ffffff; --ink: #1c2127; --soft: #5a626c; --line: #dedbd2;
  --faint: #f1efe8; --accent: #0b6b70; --on-accent: #ffffff; --mark: #fff0c9; --gone: #a33b12;
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, "Source Serif 4", Georgia,
    "Liberation Serif", serif;
  --sans: ui-sans-serif, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
:root[data-theme="dark"] {
  color-scheme: dark;
  --paper: #14171b; --card: #1b1f25; --ink: #e9e6df; --soft: #a2a9b1; --line: #333a43;
  --faint: #22272e; --accent: #5fc9c4; --on-accent: #0d1214; --mark: #4a3d16; --gone: #f0a27c;
}
* { box-sizing: border-box; }
html { scroll-padding-top: 8.5rem; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 var(--sans); overflow-wrap: break-word;
}
h1, h2, h3 { font-family: var(--serif); font-weight: 600; line-height: 1.2; margin: 0; }
h1 { font-size: clamp(1.7rem, 4.5vw, 2.7rem); letter-spacing: -.01em; }
h2 { font-size: 1.42rem; }
h3 { font-size: 1.02rem; margin: 1.6rem 0 .5rem; }
p { margin: .5rem 0; }
a { color: var(--accent); }
bdi { white-space: pre-wrap; }
sub, sup { font-size: .72em; line-height: 0; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
.hidden { display: none !important; }
.aside { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; z-index: 9; background: var(--card); padding: .5rem 1rem; }

/* The bar that stays: step, token, language, theme. */
.bar {
  position: sticky; top: 0; z-index: 5; background: var(--paper);
  border-bottom: 1px solid var(--line); padding: .5rem var(--edge) .55rem;
  --edge: max(clamp(.75rem, 2.5vw, 2rem), calc(50vw - 780px + 2rem));
}
.bar .row { display: flex; gap: .5rem 1rem; align-items: center; flex-wrap: wrap; }
.brand { font: 600 1.02rem var(--serif); margin-right: auto; }
.group { display: inline-flex; align-items: center; gap: .3rem; }
button {
  font: inherit; font-size: .88rem; line-height: 1.2; color: var(--ink); background: var(--card);
  border: 1px solid var(--line); border-radius: 6px; padding: .36rem .62rem; cursor: pointer;
  min-height: 2.1rem;
}
button:hover:not(:disabled) { border-color: var(--accent); }
button:disabled { opacity: .4; cursor: default; }
button[aria-pressed="true"] {
  background: var(--accent); color: var(--on-accent); border-color: var(--accent);
}
.count { font: .84rem var(--mono); color: var(--soft); min-width: 5.2rem; text-align: center; }
.rail {
  display: flex; gap: .25rem; overflow-x: auto; padding: .5rem .2rem .45rem; margin: 0 -.2rem;
  scrollbar-width: thin;
}
.chip {
  flex: none; display: inline-flex; flex-direction: column; align-items: center;
  border: 1px solid var(--line); border-bottom: 3px solid var(--line); border-radius: 6px;
  background: var(--card); padding: .18rem .42rem; font: .86rem/1.3 var(--mono); cursor: pointer;
  min-width: 1.7rem; max-width: 100%; overflow-wrap: anywhere;
}
.chip small { color: var(--soft); font-size: .68rem; }
.chip.written { border-bottom-color: var(--accent); }
.chip[aria-selected="true"] {
  background: var(--accent); color: var(--on-accent); border-color: var(--accent);
}
.chip[aria-selected="true"] small, .chip[aria-selected="true"] .space,
.chip[aria-selected="true"] .escape { color: inherit; }
.chip.next { border: 1px dashed var(--accent); color: var(--accent); cursor: default; }
.space { color: var(--soft); opacity: .75; }
.escape { color: var(--gone); font: .82em var(--mono); }

/* Contents beside the walk. */
.page { display: grid; grid-template-columns: minmax(0, 1fr); max-width: 1560px; margin: 0 auto; }
.contents { padding: 0 clamp(.75rem, 2.5vw, 2rem); }
.contents ol {
  list-style: none; margin: 0; padding: .6rem 0; display: flex; overflow-x: auto; gap: .2rem;
}
.contents a {
  display: flex; gap: .55rem; text-decoration: none; color: var(--soft); font-size: .86rem;
  padding: .3rem .5rem; border-radius: 5px; white-space: nowrap;
}
.contents a b { flex: none; font: 600 .8rem/1.55 var(--mono); color: var(--accent); }
.contents a:hover { color: var(--ink); background: var(--faint); }
.contents a[aria-current] { color: var(--ink); background: var(--faint); font-weight: 600; }
main { padding: 0 clamp(.75rem, 2.5vw, 2rem) 5rem; min-width: 0; }
.intro { padding: 1.6rem 0 1.8rem; }
.lead { font: 1.16rem/1.5 var(--serif); color: var(--soft); max-width: 44rem; }
.quote {
  font: 1.18rem/1.6 var(--serif); border-left: 3px solid var(--accent); padding: .15rem 1rem;
  margin: 1.1rem 0; max-width: 60rem; max-height: 18rem; overflow: auto;
}
.quote .new { background: var(--mark); border-radius: 3px; }
.facts { display: flex; flex-wrap: wrap; gap: .4rem 1.7rem; margin: 1rem 0; padding: 0; }
.facts div { display: flex; flex-direction: column; min-width: 0; }
.facts dt { color: var(--soft); font-size: .76rem; }
.facts dd { margin: 0; font: .96rem var(--mono); }
.note { border-left: 3px solid var(--gone); padding: .2rem .9rem; margin: .7rem 0; }

/* A stage: what it is on one side, what happens on the other. */
.stage {
  border-top: 1px solid var(--line); padding: 2rem 0 2.2rem; display: grid; gap: 1rem 2.4rem;
  grid-template-columns: minmax(0, 1fr);
}
.stage > * { min-width: 0; }
.number { font: 600 .82rem var(--mono); color: var(--accent); display: block; }
.what { max-width: 40rem; color: var(--ink); }
.formula {
  font: italic 1.05rem/1.9 var(--serif); background: var(--faint); border-radius: 6px;
  padding: .35rem .8rem; margin: .8rem 0; max-width: 40rem;
}
.notice {
  max-width: 40rem; font-size: .95rem; border-left: 3px solid var(--accent); padding: 0 0 0 .8rem;
  margin: .9rem 0 0;
}
.notice b { color: var(--accent); }
.figure { display: flow-root; }
.figure > h3:first-child { margin-top: 0; }
.caption { color: var(--soft); font-size: .86rem; margin: .35rem 0; }
.controls { display: flex; flex-wrap: wrap; gap: .5rem 1.6rem; margin: .2rem 0 .8rem; }
.slider { display: grid; grid-template-columns: auto 1fr auto; gap: .1rem .6rem;
  align-items: center; font-size: .88rem; flex: 1 1 15rem; max-width: 26rem; }
.slider output { font: .86rem var(--mono); min-width: 3.6rem; text-align: right; }
input[type="range"] { width: 100%; min-width: 5rem; accent-color: var(--accent); height: 1.6rem;
  margin: 0; }
#run-settings { margin-bottom: .9rem; }
.stacked { flex-direction: column; gap: 0; }
.stacked .slider { flex: none; grid-template-columns: 6.4rem minmax(0, 1fr) 4rem; max-width: 34rem;
  width: 100%; }
.scroll { overflow-x: auto; padding-bottom: .3rem; scrollbar-width: thin; }
.flow { display: flex; flex-wrap: wrap; gap: .3rem; }

/* Maps, strips, bars, curves. */
canvas { display: block; width: 100%; image-rendering: pixelated; border-radius: 3px; }
canvas.dense { image-rendering: auto; }
.map { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .2rem .5rem; }
.map .rows { display: flex; flex-direction: column; font: .74rem/1 var(--mono); }
.map .rows span, .map .columns span { color: var(--soft); }
.map .rows span { flex: 1 1 0; display: flex; align-items: center; justify-content: flex-end;
  min-height: 0; white-space: nowrap; }
.map .rows .on, .map .columns .on { color: var(--accent); font-weight: 700; }
.map .columns { grid-column: 2; display: flex; font: .74rem/1 var(--mono); }
.map .columns span { flex: 1 1 0; min-width: 0; display: flex; align-items: center;
  writing-mode: vertical-rl; white-space: nowrap; overflow: clip; overflow-clip-margin: 4px; }
.frame { position: relative; cursor: crosshair; align-self: start; }
.head-map .map { max-width: 40rem; }
.cursor { position: absolute; pointer-events: none; border: 2px solid var(--accent);
  box-shadow: 0 0 0 1px var(--paper); border-radius: 2px; }
.cursor.second { border-style: dashed; border-color: var(--gone); }
.legend { display: flex; align-items: center; gap: .5rem; font: .76rem var(--mono);
  color: var(--soft); margin: .4rem 0; }
.legend i { width: 8rem; height: .55rem; border-radius: 3px; }
.bars { display: grid; grid-template-columns: minmax(3.4rem, max-content) minmax(0, 1fr) auto;
  gap: .22rem .6rem; align-items: center; font-size: .88rem; }
.bars > bdi, .bars > .name { font-family: var(--mono); text-align: right; max-width: 11rem; }
.bars .value { font: .82rem var(--mono); text-align: right; }
.track { position: relative; height: 1.05rem; background: var(--faint); border-radius: 3px; }
.track i { position: absolute; top: 0; bottom: 0; background: var(--accent); border-radius: 3px; }
.track i.before { background: none; border: 1px dashed var(--ink); }
.track i.negative { background: var(--gone); }
.gone { color: var(--gone); }
.bars .gone { text-decoration: line-through; text-decoration-thickness: 1px; }
.bars .value.gone { text-decoration: none; }
.chosen { font-weight: 700; color: var(--accent); }
.pair { display: grid; gap: 1.4rem 2rem; grid-template-columns: minmax(0, 1fr); }
.triple { display: grid; gap: .4rem 1.2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 11rem), 1fr)); }
.curve { position: relative; height: 11rem; margin: .4rem 0 0; }
.curve svg { width: 100%; height: 100%; display: block; overflow: visible; }
.curve path { fill: none; stroke-width: 2.2; vector-effect: non-scaling-stroke; }
.curve line { stroke: var(--line); vector-effect: non-scaling-stroke; }
.ends { display: flex; justify-content: space-between; gap: 1rem; font: .76rem var(--mono);
  color: var(--soft); }
.keys { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; font-size: .84rem; }
.keys i { display: inline-block; width: 1.3rem; height: 0; border-top: 3px solid;
  vertical-align: middle; margin-right: .35rem; }

table { border-collapse: collapse; font-size: .88rem; }
th { font-weight: 600; text-align: left; color: var(--soft); font-size: .8rem; }
th, td { padding: .22rem .6rem .22rem 0; vertical-align: middle; }
td.figures, th.figures { text-align: right; font: .82rem var(--mono); }
td.figures { white-space: nowrap; }
.worked { width: 100%; }
.worked td, .worked th { white-space: nowrap; padding: .1rem .5rem .1rem 0; }
.worked tr.sum td { white-space: normal; }
.worked td:first-child { font: .82rem var(--mono); }
.worked td { border-top: 1px solid var(--line); }
.worked .strip { width: 38%; min-width: 5rem; }
.worked .strip canvas { height: .95rem; }
.worked tr.masked td { color: var(--soft); }
.worked .meter { width: 24%; min-width: 4rem; }
.worked tr.sum td { border-top: 2px solid var(--ink); font: 600 .84rem/1.4 var(--sans);
  padding-top: .3rem; }
.lens { border-spacing: 2px; border-collapse: separate; }
.lens th, .lens td { padding: 0; }
.lens th { position: sticky; left: 0; background: var(--paper); z-index: 1; padding-right: .5rem;
  white-space: nowrap; font: .76rem var(--mono); }
.lens thead th { position: static; text-align: center; padding: 0 .2rem .2rem; }
.lens thead th:first-child { position: sticky; }
.lens button { display: block; width: 100%; min-width: 3.1rem; border: 0; border-radius: 3px;
  padding: .22rem .3rem; font: .78rem/1.25 var(--mono); white-space: nowrap; min-height: 0; }
.lens button small { display: block; font-size: .66rem; }
.lens button .space, .lens button .escape { color: inherit; opacity: 1; }
.lens button[aria-selected="true"] { outline: 3px solid var(--accent); outline-offset: 1px; }
.line { position: relative; height: 2rem; border-radius: 4px; overflow: hidden; display: flex; }
.line i { flex: none; height: 100%; border-right: 1px solid var(--paper); }
.line b { position: absolute; top: 0; bottom: 0; width: 3px; margin-left: -1px;
  background: var(--gone); }
.text, .quote, .lead, .facts dd, .bars bdi, h3, .merges td, .noted td { overflow-wrap: anywhere; }
.token { font: .88em var(--mono); background: var(--faint); border-radius: 4px;
  padding: .08em .35em; }
.text { font: 1.12rem/1.7 var(--serif); background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: .7rem 1rem; max-height: 18rem; overflow: auto; }
.text .new { background: var(--mark); border-radius: 3px; }
.text .now { background: var(--accent); color: var(--on-accent); border-radius: 3px; }
.text .now .space, .text .now .escape { color: inherit; }
del { color: var(--gone); }
ins { background: var(--mark); text-decoration: none; border-radius: 3px; }
.tip { position: fixed; z-index: 9; pointer-events: none; max-width: min(22rem, 90vw);
  background: var(--ink); color: var(--paper); border-radius: 6px; padding: .38rem .6rem;
  font: .8rem/1.45 var(--mono); white-space: pre-line; }
.tip .space, .tip .escape { color: inherit; }
footer { border-top: 1px solid var(--line); padding-top: 1rem; color: var(--soft);
  font-size: .88rem; max-width: 44rem; }
kbd { font: .8rem var(--mono); border: 1px solid var(--line); border-radius: 4px;
  padding: .05rem .3rem; background: var(--card); }

@media (min-width: 900px) {
  .pair { grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
@media (min-width: 1080px) {
  .page { grid-template-columns: 13.5rem minmax(0, 1fr); }
  .contents { padding-right: 0; }
  .contents ol { position: sticky; top: 7.4rem; flex-direction: column; padding-top: 1.6rem;
    max-height: calc(100vh - 7.6rem); overflow: auto; gap: 0; }
  .contents a { white-space: normal; padding: .2rem .5rem; }
}
@media (min-width: 1240px) {
  .stage { grid-template-columns: minmax(17rem, 21rem) minmax(0, 1fr); }
  .stage.wide { grid-template-columns: minmax(0, 1fr); }
  .stage.wide .about { display: grid; gap: 0 2.4rem;
    grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); align-items: start; }
}
@media (max-width: 620px) {
  .brand { display: none; }
  .bar .row { justify-content: space-between; gap: .35rem; }
  .count { min-width: 3.6rem; }
  body { font-size: 15.5px; }
  .lens button { min-width: 2.7rem; }
  .worked .score { display: none; }
  .bars > bdi, .bars > .name { max-width: 7rem; }
}
@media (prefers-reduced-motion: no-preference) {
  html { scroll-behavior: smooth; }
  .track i { transition: left .18s, width .18s; }
}
)page"
