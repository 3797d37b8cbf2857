"""What Python's re says of random regular expressions: which texts match as a whole.

    python tests/reference/make_constraint.py

writes tests/reference/constraint/regex.json: one expression a line with texts that match and texts
that do not. Needs nothing but Python (3.11 was used); \\d, \\w and \\s are those of re.ASCII.
"""

import json
import pathlib
import random
import re

FOLDER = pathlib.Path(__file__).parent / "constraint"
LETTERS = "ab01 _-.é漢😀\n\""
ATOMS = ["a", "b", "0", " ", "é", "漢", "😀", ".", r"\d", r"\w", r"\s", r"\D", r"\W", r"\S",
         "[ab]", "[^a]", "[0-9é]", "[^\\w]", r"[\d_-]", "[a-bé-漢]", r"\.", r"\x61", r"\u00e9",
         "_", "-", "[^é-😀]", r"[\s\S]", "[]a]", r"[\]\-]", r"\n", '"']
QUANTIFIERS = ["?", "*", "+", "{2}", "{1,2}", "{0,3}", "{2,}", "*?", "+?", "??", "{1,2}?"]


def expression(dice, depth):
    """A random expression."""
    kind = dice.random()
    if depth == 0 or kind < 0.3:
        return dice.choice(ATOMS)
    if kind < 0.6:
        return "".join(expression(dice, depth - 1) for _ in range(dice.randint(2, 4)))
    if kind < 0.75:
        parts = [expression(dice, depth - 1) for _ in range(dice.randint(2, 3))]
        if dice.random() < 0.2:
            parts.append("")
        return dice.choice(["(%s)", "(?:%s)"]) % "|".join(parts)
    return "(?:%s)%s" % (expression(dice, depth - 1), dice.choice(QUANTIFIERS))


def altered(dice, text):
    """The text with one character put in, left out or replaced."""
    place = dice.randint(0, len(text))
    fresh = dice.choice(["", dice.choice(LETTERS)])
    return text[:place] + fresh + text[place + dice.randint(0, 1):]


def a_match(dice, compiled):
    """A random text, made more like the expression by trying."""
    best = "".join(dice.choice(LETTERS) for _ in range(dice.randint(0, 6)))
    for _ in range(60):
        text = list(best)
        for _ in range(dice.randint(1, 2)):
            place = dice.randint(0, len(text))
            text[place:place + dice.randint(0, 1)] = dice.choices(LETTERS, k=dice.randint(0, 2))
        best = "".join(text)[:12]
        if compiled.fullmatch(best):
            break
    return best


def main():
    dice = random.Random(6)
    rows = []
    while len(rows) < 300:
        source = expression(dice, 3)
        if dice.random() < 0.1:
            source = "^" + source + "$"
        compiled = re.compile(source, re.ASCII)
        texts = {a_match(dice, compiled) for _ in range(14)}
        texts |= {altered(dice, t) for t in sorted(texts) if compiled.fullmatch(t)}
        good = sorted(t for t in texts if compiled.fullmatch(t))
        bad = sorted(t for t in texts if not compiled.fullmatch(t))
        if source.endswith("$"):  # there Python lets a line feed follow
            good = [t for t in good if not t.endswith("\n")]
            bad = [t for t in bad if not t.endswith("\n")]
        bad.sort(key=len)
        if good and bad:
            rows.append({"pattern": source, "match": good[:8], "other": bad[:6]})
    FOLDER.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(row, ensure_ascii=True) for row in rows)
    (FOLDER / "regex.json").write_text("[\n" + lines + "\n]\n")


if __name__ == "__main__":
    main()
