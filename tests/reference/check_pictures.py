"""Whether others can read what the picture program writes: SVG as XML, PNG by zlib.

    python3 tests/reference/check_pictures.py build/examples

Needs Python alone. Every kind of picture is drawn, of a plain text and of one that is hostile.
"""

import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zlib

PROMPTS = ["The wolf came to the door",
           "<b>&amp;]]></svg>\x1b[31m\u202e\u05d0\u0301\U0001f600 \t\n"]
NAMESPACE = "{http://www.w3.org/2000/svg}"


def draw(folder, kind, prompt, *options):
    command = [f"{folder}/picture", "--kind", kind, "--prompt", prompt, "--threads", "2", *options]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def check_svg(data):
    root = ElementTree.fromstring(data)
    assert root.tag == NAMESPACE + "svg", root.tag
    allowed = {NAMESPACE + name for name in ("svg", "title", "style", "rect", "text", "path")}
    width, height = float(root.get("width")), float(root.get("height"))
    labels = 0
    for element in root.iter():
        assert element.tag in allowed, element.tag
        assert not any(name.startswith("on") or "href" in name for name in element.keys())
        if element.tag == NAMESPACE + "text":
            labels += 1
        if element.tag == NAMESPACE + "rect" and element.get("x"):
            assert 0 <= float(element.get("x")) <= width
            assert float(element.get("y")) + float(element.get("height")) <= height
    assert labels > 3, labels


def check_png(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        size, name = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0] == zlib.crc32(name + body)
        chunks[name] = body
        at += 12 + size
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"], list(chunks)
    width, height, *kind = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert kind == [8, 2, 0, 0, 0], kind
    rows = zlib.decompress(chunks[b"IDAT"])
    assert len(rows) == height * (1 + 3 * width)
    assert not any(rows[::1 + 3 * width]), "a filtered row"
    assert len(set(rows)) > 8, "one colour"


def main(folder):
    drawn = 0
    for kind in ("attention", "lens", "surprisal", "next"):
        for prompt in PROMPTS:
            check_svg(draw(folder, kind, prompt, "--output", "svg"))
            check_png(draw(folder, kind, prompt, "--output", "png", "--scale", "1"))
            drawn += 2
    one = ("--layer", "0", "--head", "1")
    check_svg(draw(folder, "attention", PROMPTS[1], "--output", "svg", *one))
    print(f"{drawn + 1} pictures read")


if __name__ == "__main__":
    main(sys.argv[1])
