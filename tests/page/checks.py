"""What is checked and what failed, and hands to use a page with."""

failures, done = [], []


def check(holds, what):
    done.append(what)
    if not holds:
        failures.append(what)
        print(f"FAILED: {what}")


def equal(found, wanted, what):
    check(found == wanted, f"{what}: expected {wanted!r}, found {found!r}")


def text(page, selector):
    return page.locator(selector).first.inner_text().strip()


def slider(page, stage, name):
    return page.locator(f"#{stage} [data-slider={name}]")


def tip(page):
    return page.evaluate("document.querySelector('.tip:not(.hidden)')?.textContent ?? ''")


def point_at(page, locator, across, down):
    """Moves the mouse to a place of an element, given as shares of its width and height."""
    box, before = None, {}
    while box != before:  # until nothing scrolls any more
        before = box
        locator.evaluate("""node => {
          node.scrollIntoView({ block: "center", behavior: "instant" });
          return new Promise(done => setTimeout(() => requestAnimationFrame(done), 50));
        }""")
        box = locator.bounding_box()
    page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def click_at(page, locator, across, down):
    page.mouse.click(*point_at(page, locator, across, down))


def shown_number(words):
    return float(words.replace("−", "-").replace(",", ""))
