#!/usr/bin/env python3
"""The page of a walk in a headless Chromium: opens it, uses every control by mouse and by keys, and
compares what it shows with numbers computed here.

    pip install playwright && apt-get install chromium
    python3 tests/page/check_page.py [PAGE.html...]

Pages that are named are opened and looked over too. Exit status 0 when all holds, 1 when not, 77
where playwright, Chromium or a C++ compiler is missing.
"""

import json
import pathlib
import re
import sys

from browser import browser_and_maker, opened, until
from checks import (check, click_at, done, equal, failures, point_at, shown_number, slider, text,
                    tip)
from layout import faults_of, pale, unnamed
from walks import hostile, load, of_gpt2_size, sampled, text_of, unpack, windowed


def check_steps(page, walk):
    steps, prompt = len(walk["steps"]), walk["prompt_tokens"]
    rail = lambda: page.locator("#rail .chip:not(.next)").count()
    equal(rail(), prompt, "tokens in the rail at the first step")
    page.click("#on")
    equal(text(page, "#step-count"), f"2 / {steps}", "a click on next")
    equal(rail(), prompt + 1, "tokens in the rail after next")
    equal(page.locator("#rail .chip").nth(prompt).get_attribute("aria-selected"), "true",
          "a step picks its last token")
    check(page.locator("#on").is_disabled(), "next is off at the last step")
    chosen = walk["vocabulary"][str(walk["steps"][1]["chosen"])]
    check(text(page, "#growing .now") == chosen.strip(), "the chosen token ends the text")
    page.click("#back")
    equal(text(page, "#step-count"), f"1 / {steps}", "a click on back")
    page.keyboard.press("n")
    equal(text(page, "#step-count"), f"2 / {steps}", "the key n")
    page.keyboard.press("p")
    equal(text(page, "#step-count"), f"1 / {steps}", "the key p")
    page.locator("#play").focus()
    page.keyboard.press("Enter")
    until(page, "document.getElementById('step-count').textContent.startsWith('2')")
    until(page, "document.getElementById('play').textContent === '▶'")
    page.click("#play")
    equal(text(page, "#play"), "❚❚", "playing shows pause")
    page.click("#play")
    equal(text(page, "#play"), "▶", "a second click pauses")
    page.click("#back") if page.locator("#back").is_enabled() else None


def check_tokens(page, walk):
    chip = lambda i: page.locator("#rail .chip").nth(i)
    chip(1).click()
    equal(chip(1).get_attribute("aria-selected"), "true", "a click picks a token")
    equal(text(page, "#ids .figure b"), str(walk["tokens"][1]["id"]), "the id of the token picked")
    page.keyboard.press("ArrowLeft")
    equal(chip(0).get_attribute("aria-selected"), "true", "the left arrow picks the one before")
    equal(page.evaluate("document.activeElement.textContent"), chip(0).text_content(),
          "the focus goes with the token")
    page.keyboard.press("ArrowRight")
    equal(text(page, "#ids .figure b"), str(walk["tokens"][1]["id"]), "the right arrow goes back")
    button = page.locator("#merges-button")
    button.click()
    merges = walk["tokens"][1]["merges"]
    equal(page.locator("#tokens tr").count(), len(merges), "merges of the token, on demand")
    equal(page.locator("#tokens tr").last.locator("td").last.inner_text().replace("·", " "),
          walk["tokens"][1]["text"], "the last merge gives the token")
    button.focus()
    page.keyboard.press("Enter")
    equal(button.get_attribute("aria-expanded"), "false", "Enter hides the merges")
    offsets = page.locator("#tokens .chip small").all_inner_texts()
    wanted = [f"{token['begin']}–{token['end']}" for token in walk["tokens"]]
    equal(offsets, wanted[:len(offsets)], "byte offsets")


def check_strips(page, walk):
    width = walk["model"]["width"]
    for stage, name in (("token_embedding", "token"), ("positions", "position")):
        values = unpack(walk["embedding"][name])
        frame = page.locator(f"#{stage} .frame").first
        count = page.locator("#rail .chip:not(.next)").count()
        point_at(page, frame, (10 + 0.5) / width, 0.5 / count)
        found = shown_number(tip(page).split("= ")[1])
        check(abs(found - values[10]) <= 1e-4 * abs(values[10]) + 1e-9,
              f"hover of {stage}: {found} for {values[10]}")
    for key in ("Escape",):
        page.keyboard.press(key)
        equal(tip(page), "", "Escape hides the numbers")
    page.mouse.move(0, 0)
    frame = page.locator("#sum .frame").first
    frame.focus()
    page.keyboard.press("ArrowRight")
    row = 1
    parts = [unpack(walk["embedding"][name])[row * width + 1]
             for name in ("token", "position", "sum")]
    found = [shown_number(x) for x in re.findall(r"[−\d.]+(?:e-?\d+)?", tip(page))[1:]]
    check(len(found) == 3 and all(abs(a - b) <= 2e-3 * abs(b) + 1e-6
                                  for a, b in zip(found, parts)),
          f"the sum by keys: {found} for {parts}")
    equal(page.locator("[aria-live].aside").inner_text().split(), tip(page).split(),
          "what keys find is spoken")


def check_pickers(page, walk):
    layers, heads = walk["model"]["layers"], walk["model"]["heads"]
    output = lambda name: page.locator(f"#attention [data-slider={name}] + output").inner_text()
    range = slider(page, "attention", "layer")
    range.focus()
    page.keyboard.press("Home")
    equal(output("layer"), f"1 / {layers}", "Home moves the layer to the first")
    page.keyboard.press("ArrowRight")
    equal(output("layer"), f"2 / {layers}", "an arrow moves the layer")
    equal(page.locator("#qkv [data-slider=layer] + output").inner_text(), f"2 / {layers}",
          "all layer sliders move together")
    click_at(page, range, 0.985, 0.5)
    equal(output("layer"), f"{layers} / {layers}", "a click on the slider moves the layer")
    page.locator("h1").click()
    page.keyboard.press("[")
    equal(output("layer"), f"{layers - 1} / {layers}", "the key [ goes up a layer")
    page.keyboard.press("]")
    equal(output("layer"), f"{layers} / {layers}", "the key ] goes down a layer")
    page.keyboard.press(".")
    equal(output("head"), f"2 / {heads}", "the key . goes to the next head")
    page.keyboard.press(",")
    equal(output("head"), f"1 / {heads}", "the key , goes back")
    click_at(page, slider(page, "qkv", "head"), 0.985, 0.5)
    equal(output("head"), f"{heads} / {heads}", "a click on the head slider")
    page.locator("#layer_norm .curve").focus()
    page.keyboard.press("ArrowLeft")
    equal(output("layer"), f"{layers - 1} / {layers}", "arrows walk along a curve")
    click_at(page, page.locator("#residual .curve"), 0.01, 0.5)
    equal(output("layer"), f"1 / {layers}", "a click on a curve picks its layer")


def check_heads(page, walk):
    layers, heads = walk["model"]["layers"], walk["model"]["heads"]
    every = page.locator("#attention .all-heads")
    titles = lambda: page.locator("#attention .head-map h3").all_inner_texts()
    place = lambda layer, head: ((head + 0.4) / heads, (layer + 0.6) / layers)
    click_at(page, every, *place(2, 1))
    equal(titles()[0], "A · layer 3, head 2", "a click picks head A")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    equal(titles()[0], "A · layer 4, head 3", "arrows move head A")
    page.keyboard.down("Shift")
    click_at(page, every, *place(0, 0))
    page.keyboard.up("Shift")
    equal(titles(), ["A · layer 4, head 3", "B · layer 1, head 1"], "shift and click pick head B")
    page.locator("#which-other").click()
    click_at(page, every, *place(5, 3))
    equal(titles(), ["A · layer 4, head 3", "B · layer 6, head 4"], "a click with B pressed")
    page.locator("#which-head").click()
    click_at(page, page.locator("#heads_joined .frame").first, 0.1, 0.1)
    equal(titles()[0], "A · layer 1, head 1", "the grid of norms picks a head")
    count = page.locator("#rail .chip:not(.next)").count()
    row, column = count - 1, 0
    weights = unpack(walk["layers"][0]["weights"])
    wanted = weights[row * (row + 1) // 2 + column]
    point_at(page, page.locator("#attention .head-map .frame").first, 0.5 / count,
             (row + 0.5) / count)
    found = re.search(r"weight ([\d.]+)%", tip(page))
    check(found and abs(float(found[1]) / 100 - wanted) < 6e-4,
          f"hover of an attention map: {tip(page)!r} for {wanted}")
    click_at(page, page.locator("#attention .head-map .frame").first, 0.5 / count, 0.5 / count)
    equal(page.locator("#rail .chip[aria-selected=true]").inner_text(),
          page.locator("#rail .chip").first.inner_text(), "a click on a map picks its row")
    page.keyboard.press("ArrowDown")
    equal(text(page, "#ids .figure b"), str(walk["tokens"][1]["id"]),
          "arrows in a map pick the row below")
    page.keyboard.press("ArrowRight")
    wanted = weights[2]
    found = re.search(r"weight ([\d.]+)%", tip(page))
    check(found and abs(float(found[1]) / 100 - wanted) < 6e-4,
          f"arrows in a map read the column beside: {tip(page)!r} for {wanted}")
    total = sum(float(x.strip("%")) for x in page.locator(
        "#attention .worked tr:not(.sum) td:nth-child(4)").all_inner_texts() if x.endswith("%"))
    check(abs(total - 100) < 0.5, f"the weights of a row add up to 100 %: {total}")


def check_depth(page, walk):
    """LayerNorm, heads, residual stream and feed-forward: the numbers of one layer and row."""
    row, heads = 1, walk["model"]["heads"]
    page.locator("#rail .chip").nth(row).click()
    slider(page, "attention", "layer").focus()
    page.keyboard.press("End")
    layer = walk["layers"][-1]
    close = lambda found, wanted: abs(found - wanted) <= 6e-3 * abs(wanted) + 1e-9
    cells = page.locator("#layer_norm table td.figures").all_inner_texts()
    wanted = [layer[name][moment][row] for name in ("ln_1", "ln_2")
              for moment in ("mean", "variance")]
    found = [shown_number(cells[i]) for i in (0, 1, 3, 4)]
    check(all(map(close, found, wanted)), f"mean and variance: {found} for {wanted}")
    norms = unpack(layer["head_norms"])
    count = len(norms) // heads
    wanted = [norms[head * count + row] for head in range(heads)] + [layer["attention_norm"][row]]
    found = [shown_number(x) for x in page.locator("#heads_joined .value").all_inner_texts()]
    check(all(map(close, found, wanted)), f"norms of heads: {found} for {wanted}")
    found = [shown_number(x) for x in
             re.findall(r"\d[\d.,]*\d", text(page, "#residual .figure > .caption"))]
    wanted = [layer[name][row] for name in
              ("attention_norm", "middle_norm", "mlp_norm", "residual_norm")]
    check(all(map(close, found[-4:], wanted)), f"the residual stream: {found} for {wanted}")
    found = [shown_number(x) for x in page.locator("#feed_forward .value").all_inner_texts()]
    wanted = [value for _, value in layer["top_units"][row]]
    check(all(map(close, found, wanted)), f"strongest units: {found} for {wanted}")


def check_lens(page, walk):
    cell = lambda depth, row: page.locator("#lens tbody tr").nth(depth).locator("button").nth(row)
    for depth in (0, len(walk["lens"]) - 1):
        cell(depth, 1).click()
        best = walk["lens"][depth][1]
        equal(page.locator("#lens .bars .value").count(), len(best["ids"]), "candidates of a cell")
        shares = page.locator("#lens .bars .value").all_inner_texts()
        for share, wanted in zip(shares, best["probabilities"]):
            check(abs(float(share.strip("%")) / 100 - wanted) < 6e-4, "probabilities of a cell")
        check(f"{best['chosen_rank']:,}" in text(page, "#lens .figure > div:last-child .caption"),
              "rank of the true next token")
    page.keyboard.press("ArrowUp")
    equal(cell(len(walk["lens"]) - 2, 1).get_attribute("aria-selected"), "true",
          "arrows move in the lens")
    page.keyboard.press("ArrowLeft")
    equal(page.locator("#ids .figure b").inner_text(), str(walk["tokens"][0]["id"]),
          "arrows in the lens pick a token")
    cell(2, 0).hover()
    check(f"{walk['lens'][2][0]['probabilities'][0]:.1%}"[:3] in tip(page), "hover of the lens")
    click_at(page, page.locator("#feed_forward .frame"), 0.05, 0.05)
    equal(page.locator("#feed_forward .bars .name").count(), 8, "the strongest units")
    unit = walk["layers"][0]["top_units"][0][0][0]
    equal(text(page, "#feed_forward .bars .name"), f"unit {unit}", "the strongest unit")


def survivors(page):
    data = page.evaluate("({...document.getElementById('survivors').dataset})")
    return int(data["kept"]), json.loads(data["probabilities"])


def compare_sampling(page, step, settings, what):
    wanted, kept = sampled(step, *settings)
    found_kept, found = survivors(page)
    equal(found_kept, kept, f"{what}: survivors")
    for id, share in zip(step["candidates"]["ids"], found):
        check(abs(share - wanted.get(id, 0)) < 1e-6,
              f"{what}: probability of {id}: {share} for {wanted.get(id, 0)}")


def set_slider(page, name, value):
    page.evaluate("""([name, value]) => {
      const range = document.querySelector(`#sampling [data-slider=${name}]`);
      range.value = value;
      range.dispatchEvent(new Event("input"));
    }""", [name, value])


def check_sampling(page, walk):
    step, how = walk["steps"][0], walk["sampling"]
    run = (how["temperature"], how["top_k"], how["top_p"])
    equal(survivors(page)[0], step["survivors"], "survivors at the run's settings")
    compare_sampling(page, step, run, "the run's settings")
    k_output = lambda: page.locator("#sampling [data-slider=top_k] + output").inner_text()
    slider(page, "sampling", "top_k").focus()
    page.keyboard.press("Home")
    equal(k_output(), "1", "Home on top-k")
    compare_sampling(page, step, (run[0], 1, run[2]), "top-k 1")
    page.keyboard.press("End")
    equal(k_output(), "all", "End on top-k")
    click_at(page, slider(page, "sampling", "temperature"), 0.5, 0.5)
    value = float(slider(page, "sampling", "temperature").input_value())
    check(abs(value - 1) < 0.1, f"a click in the middle of temperature: {value}")
    compare_sampling(page, step, (value, 0, run[2]), f"temperature {value} by mouse")
    for temperature in (0, 0.3, 1, 1.7, 2):
        for top_p in (0.05, 0.5, 0.9, 0.99, 1):
            set_slider(page, "temperature", temperature)
            set_slider(page, "top_p", top_p)
            compare_sampling(page, step, (temperature, 0, top_p), f"{temperature}, top-p {top_p}")
    set_slider(page, "temperature", 0)
    check("greedy" in text(page, "#filters"), "greedy says so")
    page.click("#run-settings")
    equal(survivors(page)[0], step["survivors"], "back to the run's settings")
    check(page.locator("#run-settings").is_disabled(), "then the button is off")
    top = page.locator("#softmax .value").first.inner_text()
    check(abs(float(top.strip("%")) / 100 - step["probabilities"][0]) < 6e-4, "softmax's first bar")
    top = page.locator("#logits .value").first.inner_text()
    check(abs(shown_number(top) - step["candidates"]["logits"][0]) < 6e-3, "the highest logit")


def check_switches(page):
    paper = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")
    before = paper()
    page.click("#theme")
    check(paper() != before, "the theme switch changes the paper")
    page.click("#theme")
    equal(paper(), before, "and back")
    page.locator("#language").focus()
    page.keyboard.press("Enter")
    equal(page.evaluate("document.documentElement.lang"), "es", "the language switch")
    equal(text(page, "h1"), "De un texto a su próxima palabra", "the title in Spanish")
    equal(page.locator("main section").count(), 18, "stages in Spanish")
    check("," in page.locator("#softmax .value").first.inner_text(), "decimal commas in Spanish")
    page.click("#language")
    equal(text(page, "h1"), "From a text to its next word", "the title in English")
    equal(page.locator("#contents a").count(), 18, "entries of the contents")
    page.locator("#contents a").nth(12).click()
    until(page, "Math.abs(document.getElementById('lens').getBoundingClientRect().top) < 400")


def check_keyboard(page):
    """Tab reaches every control, and shows where it is."""
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    wanted = page.evaluate("[...document.querySelectorAll('button, input, a, [tabindex=\"0\"]')]"
                           ".filter(x => !x.disabled && x.tabIndex >= 0 && x.offsetWidth).length")
    seen = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        name, ring = page.evaluate("""() => {
          const node = document.activeElement;
          node.dataset.tab ??= node === document.body ? "" : Math.random();
          return [node.dataset.tab, getComputedStyle(node).outlineStyle];
        }""")
        if name and name not in seen:
            check(ring != "none", "the focus can be seen")
        seen.add(name)
    seen.discard("")
    check(len(seen) >= wanted, f"Tab reaches all controls: {len(seen)} of {wanted}")


def process_time(page):
    """Seconds of processor time that the page's process took: a neighbour does not change them."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(entry["value"] for entry in metrics if entry["name"] == "ProcessTime")


def check_speed(browser, make):
    path = make("large", text_of(of_gpt2_size()))
    size = path.stat().st_size
    check(size < 5_000_000, f"a page of GPT-2's size takes {size:,} bytes")
    ready, busy = [], []
    for _ in range(3):
        with opened(browser, path) as page:
            ready.append(float(page.evaluate("document.documentElement.dataset.ready")))
            busy.append(1000 * process_time(page))
            equal(page.complaints, [], "complaints of the large page")
    print(f"32 tokens, 12 layers, 12 heads, width 768: {size:,} bytes, ready in "
          f"{min(ready):.0f} ms, of which the processor worked {min(busy):.0f} ms")
    check(min(busy) < 1000, f"the large page takes {min(busy):.0f} ms of processor time to open")
    with opened(browser, path) as page:
        equal(faults_of(page), [], "layout of the large page")
        before = process_time(page)
        page.keyboard.press("]")
        page.evaluate("new Promise(requestAnimationFrame)")
        check(process_time(page) - before < 0.5, "another layer shows within half a second")


def check_layouts(browser, paths):
    for name, path in paths.items():
        for width in (360, 768, 1280, 1920):
            for language, theme in (("en", "light"), ("es", "dark")):
                where = f"{name}, {width} px, {language}, {theme}"
                with opened(browser, path, f"?lang={language}&theme={theme}", width) as page:
                    equal(page.evaluate("document.documentElement.dataset.theme"), theme, where)
                    equal(faults_of(page), [], f"layout of {where}")
                    if width in (360, 1280):
                        page.click("#merges-button")
                        equal(faults_of(page), [], f"layout of {where} with merges")
                        equal(pale(page), [], f"contrast of {where}")
                        equal(unnamed(page), [], f"names for screen readers of {where}")
                    equal(page.complaints, [], f"complaints of {where}")


def check_hostile(browser, make):
    path = make("hostile", text_of(hostile()))
    with opened(browser, path) as page:
        for key in "n], .[pn":
            page.keyboard.press(key)
        for frame in page.locator(".frame").all()[:12]:
            frame.hover()
        page.click("#merges-button")
        page.click("#language")
        equal(page.evaluate("window.ran ?? null"), None, "hostile texts run nothing")
        equal(page.locator("img, iframe, b > script").count(), 0, "hostile texts make no elements")
        equal(page.evaluate("document.scripts.length"), 2, "scripts of the page")
        check(page.title().startswith("</title>"), "a hostile title shows as itself")
        shown = page.locator("#normalisation").inner_text()
        for escape in ("U+202E", "U+0000", "U+001B", "U+200B", "U+D83D", "U+2066"):
            check(escape in shown, f"{escape} can be seen")
        raw = page.evaluate(r"/[\u202e\u2066\u0000\u001b]/.test(document.body.innerText)")
        check(not raw, "no control or mark reaches the page as itself")
        check("é" in text(page, "#growing"), "two tokens that are one character together")
        equal(page.locator("#post_processing del").inner_text(), "5.4cm", "what a step removed")
        check("<img" in page.locator("#post_processing ins").inner_text(), "what a step put in")
        check("<b>ñ</b>" in page.locator("#post_processing .text").first.inner_text(),
              "bytes around a change")
        check("<0xC3>" in page.locator("#rail").inner_text(), "bytes that are no character")
        check("magenta" in page.locator(".intro").inner_text(), "where NaN first arose")
        equal(page.complaints, [], "complaints of the hostile page")


def check_others(browser, make):
    with opened(browser, make("bare", text_of(load("base")))) as page:
        equal(page.locator("#rail .chip:not(.next)").count(), 8, "ids without a tokenizer")
        check("without a tokenizer" in text(page, ".intro"), "it says that there is no tokenizer")
        page.keyboard.press("n")
        equal(page.complaints, [], "complaints without a tokenizer")
    with opened(browser, make("windowed", text_of(windowed()))) as page:
        check("last 4 of 11" in text(page, ".intro"), "a window says so")
        page.click("#language")
        check("últimas 4 de 11" in text(page, ".intro"), "a window says so in Spanish")
        page.click("#language")
        check("25.0%" in text(page, "#attention .worked"), "weight before the window")
        equal(text(page, "#rail .chip small"), "7", "positions begin with the window's")
        equal(page.complaints, [], "complaints of a window")
    silent = load("base") | {"steps": []}
    with opened(browser, make("silent", text_of(silent))) as page:
        check("No token was written" in text(page, "#sampling"), "a walk without steps says so")
        equal(page.complaints, [], "complaints without steps")
    spanish = make("spanish", text_of(load("tales")), "es")
    with opened(browser, spanish, color_scheme="dark", reduced_motion="reduce") as page:
        equal(page.evaluate("document.documentElement.lang"), "es", "a page made in Spanish")
        equal(page.evaluate("document.documentElement.dataset.theme"), "dark", "the system's theme")
        equal(page.evaluate("getComputedStyle(document.documentElement).scrollBehavior"), "auto",
              "no motion where none is wanted")


def check_tables(browser, make):
    walk = load("tales")
    path = make("tales", text_of(walk))
    with opened(browser, path) as page:
        equal(page.locator("main section").count(), 18, "stages")
        for examine in (check_steps, check_tokens, check_strips, check_pickers, check_heads,
                        check_depth, check_lens, check_sampling):
            examine(page, walk)
        check_switches(page)
        check_keyboard(page)
        equal(page.complaints, [], "complaints while everything was used")
    with opened(browser, path, has_touch=True, width=360) as page:
        page.locator("#attention .all-heads").tap()
        check(tip(page) != "", "a tap shows numbers")
    return path


def main():
    with browser_and_maker() as (browser, make):
        path = check_tables(browser, make)
        check_others(browser, make)
        check_hostile(browser, make)
        check_speed(browser, make)
        given = {pathlib.Path(name).stem: pathlib.Path(name).resolve() for name in sys.argv[1:]}
        check_layouts(browser, {"tales": path, **given,
                                "hostile": make("hostile", text_of(hostile()))})
    print(f"{len(done)} checks, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
