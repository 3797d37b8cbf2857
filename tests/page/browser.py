"""Pages of walks in a real browser: what check_page.py and screenshots.py share.

Needs playwright (from PyPI), Chromium (Debian's package, or any in PATH) and a C++ compiler, which
joins a walk and the page's parts by the library's own page_of. Without them, exit status 77.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
WALKS = ROOT / "tests/reference/walk"


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


try:
    from playwright.sync_api import sync_playwright
except ImportError as missing:
    skip(missing)

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)
COMPILER = next(filter(None, map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++"))),
                None)
if not CHROMIUM or not COMPILER:
    skip("needs chromium and a C++ compiler")


class maker:
    """Joins pages by make_page.cpp, compiled once into `folder`."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.program = self.folder / "make_page"
        subprocess.run([COMPILER, "-std=c++20", f"-I{ROOT / 'include'}", "-o", self.program,
                        ROOT / "tests/page/make_page.cpp"], check=True)

    def __call__(self, name, json, language="en"):
        path = self.folder / f"{name}-{language}.html"
        made = subprocess.run([self.program, language], input=json.encode(), capture_output=True,
                              check=True)
        path.write_bytes(made.stdout)
        return path


@contextlib.contextmanager
def browser_and_maker():
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser, maker(folder)
        finally:
            browser.close()


def until(page, expression, seconds=5):
    """Waits for an expression to be true; the page's policy forbids playwright's own way."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        if time.monotonic() > end:
            raise TimeoutError(f"never true: {expression}")
        time.sleep(0.02)


@contextlib.contextmanager
def opened(browser, path, query="", width=1280, height=900, **how):
    """A page, and what went wrong on it: messages of the console, errors, requests elsewhere."""
    context = browser.new_context(viewport={"width": width, "height": height}, **how)
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: page.complaints.append(f"error: {error}"))
    page.on("request", lambda request: page.complaints.append(f"request: {request.url}")
            if not request.url.startswith("file:") else None)
    try:
        page.set_default_timeout(120_000)
        page.goto(path.as_uri() + query)
        until(page, "document.documentElement.dataset.ready", 30)
        yield page
    finally:
        context.close()
