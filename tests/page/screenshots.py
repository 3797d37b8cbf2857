#!/usr/bin/env python3
"""The pictures beside examples/README.md, from a page that `explain` made:

    build/examples/explain --output html --output-file page.html --max-new-tokens 8 --seed 5 \\
        --temperature 0.8 --top-k 40 \\
        --prompt "Once upon a time there was a little goat who lived in the wood"
    pip install playwright pillow && apt-get install chromium
    python3 tests/page/screenshots.py page.html [examples/explain]

Pillow leaves 160 colours a picture, which keeps all of them below 250 KB.
"""

import io
import pathlib
import sys

from PIL import Image

from browser import CHROMIUM, ROOT, opened, sync_playwright


def save(page, folder, name, **how):
    picture = Image.open(io.BytesIO(page.screenshot(**how))).convert("RGB")
    path = folder / f"{name}.png"
    picture.quantize(160, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {picture.width} x {picture.height}, {path.stat().st_size:,} bytes")
    return path.stat().st_size


def show(page, selector):
    """Puts a part of the page right below the bar that stays."""
    page.evaluate("""selector => {
      const top = document.querySelector(selector).getBoundingClientRect().top;
      const bar = document.querySelector(".bar").getBoundingClientRect().height;
      scrollBy({ top: top - bar - 18, behavior: "instant" });
    }""", selector)
    page.wait_for_timeout(300)


def take(browser, path, folder):
    bytes = 0
    with opened(browser, path, "?lang=en&theme=light", 1240, 820) as page:
        page.keyboard.press("n")
        show(page, "#attention .controls")
        bytes += save(page, folder, "attention")
    with opened(browser, path, "?lang=es&theme=dark", 1240, 640) as page:
        for _ in range(3):
            page.keyboard.press("n")
        show(page, "#lens")
        bytes += save(page, folder, "lens")
    with opened(browser, path, "?lang=en&theme=light", 390, 780) as page:
        show(page, "#sampling .figure")
        bytes += save(page, folder, "sampling")
    return bytes


def main():
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    folder = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "examples/explain"
    folder.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        bytes = take(browser, pathlib.Path(sys.argv[1]).resolve(), folder)
        browser.close()
    print(f"{bytes:,} bytes in all")
    return 0 if bytes <= 250_000 else 1


if __name__ == "__main__":
    sys.exit(main())
