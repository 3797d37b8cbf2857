#!/usr/bin/env python3
"""Writes include/gpt2/detail/unicode_forms.hpp and unicode_marks.hpp: what Hugging Face tokenizers
0.23 takes decomposed, lower-case and accent-free text to be, asked of it for every code point.

    python3 tests/tools/make_unicode_forms.py include/gpt2/detail

Also unicode_graphemes.hpp, for what its normalizer "Precompiled" takes for one character. Needs
`pip install tokenizers==0.23.3 unicodedata2==16.0.0 regex`. Models are trained on text that this
library normalised, so its tables decide, not the newest Unicode: its normal forms are those of
Unicode 9.0, its lower case that of 17.0. Every answer is compared with Unicode 16.0 as unicodedata2
has it, and may differ only where tokenizers leaves a younger character alone; how many there are is
checked before writing. With --check the files are compared instead of written; exit status 1 when
one differs."""
import pathlib
import struct
import sys

import regex
import unicodedata2 as unicode
from tokenizers import normalizers, pre_tokenizers

POINTS = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+-"
NFC, NFD, NFKD = (getattr(normalizers, form)().normalize_str for form in ("NFC", "NFD", "NFKD"))


def bert(**on):
    off = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False,
           "lowercase": False}
    return normalizers.BertNormalizer(**{**off, **on}).normalize_str


def runs(points):
    out = []
    for point in sorted(points):
        if out and out[-1][1] == point - 1:
            out[-1][1] = point
        else:
            out.append([point, point])
    return out


def rows(cells):
    out, row = [], "   "
    for cell in cells:
        if len(row) + len(cell) + 2 > 100:
            out.append(row)
            row = "   "
        row += f" {cell},"
    return "\n".join([*out, row])


def number(value):
    """Five bits to a character, the highest first; those before the last are marked by 32."""
    out = DIGITS[value & 31]
    while value := value >> 5:
        out = DIGITS[32 | value & 31] + out
    return out


def zigzag(value):
    return number(2 * value if value >= 0 else -2 * value - 1)


def same_but_younger(mine, theirs, young):
    """`young` characters differ from Unicode 16.0, each left as it is."""
    differ = [p for p in POINTS if mine(chr(p)) != theirs(chr(p))]
    assert len(differ) == young and all(mine(chr(p)) == chr(p) for p in differ), len(differ)


def decompositions():
    """One text of numbers; see the header that it goes to."""
    same_but_younger(NFD, lambda c: unicode.normalize("NFD", c), 21)
    same_but_younger(NFKD, lambda c: unicode.normalize("NFKD", c), 191)
    out, before, last, composed, count = [], [0] * 32, 0, {}, 0
    for point in POINTS:
        char = chr(point)
        if 0xAC00 <= point <= 0xD7A3:
            continue
        canonical, compatible = NFD(char), NFKD(char)
        entries = []
        if canonical != char:
            composes = NFC(canonical) == char
            if composes:  # the pair it is made of follows from what it falls into
                first = NFC(canonical[:-1])
                assert len(first) == 1 and len(canonical) > 1
                assert composed.setdefault((first, canonical[-1]), char) == char
            entries.append((0 if composes else 1, canonical))
        if compatible != canonical:
            entries.append((2, compatible))
        for kind, text in entries:
            out.append(number(3 * (point - last) + kind) + number(len(text)))
            for i, part in enumerate(map(ord, text)):
                out.append(zigzag(part - before[i]))
                before[i] = part
            last, count = point, count + 1
    return out, count, len(composed)


def combining_classes():
    """(first, last, class); marks that tokenizers does not reorder have none."""
    known, young = [], 0
    for point in POINTS:
        if rank := unicode.combining(chr(point)):
            text = f"a{chr(point)}\u0334" if rank > 1 else f"a\u0345{chr(point)}"
            if NFD(text) != unicode.normalize("NFD", text):
                assert NFD(text) == text
                young += 1
            elif known and known[-1][1:] == [point - 1, rank]:
                known[-1][1] = point
            else:
                known.append([point, point, rank])
    assert young == 120
    return known


def lower_case():
    """(first, last, step, difference) of every other or each character; one falls into two."""
    lower = normalizers.Lowercase().normalize_str
    found = []
    for point in POINTS:
        text = lower(chr(point))
        if point == 0x130:
            assert text == "i\u0307"
        elif text != chr(point):
            assert len(text) == 1
            found.append((point, ord(text) - point))
    out = []
    for point, difference in found:
        if out and out[-1][3] == difference:
            step = point - out[-1][1]
            if step <= 2 and (out[-1][0] == out[-1][1] or out[-1][2] == step):
                out[-1][1:3] = [point, step]
                continue
        out.append([point, point, 1, difference])
    return out


def classes():
    category = {p: unicode.category(chr(p)) for p in POINTS}
    marks = {p for p in POINTS if not normalizers.StripAccents().normalize_str(chr(p))}
    nonspacing = bert(strip_accents=True)
    nonspacing = {p for p in POINTS if not nonspacing(chr(p))}
    cut = pre_tokenizers.Punctuation().pre_tokenize_str
    ascii_marks = {p for p in range(128) if not chr(p).isalnum() and 0x20 < p < 0x7F}
    punctuation = {p for p in POINTS if len(cut("a" + chr(p))) > 1}
    assert ascii_marks < punctuation
    clean = bert(clean_text=True)
    control = {p for p in POINTS if not clean(chr(p))} - {0xFFFD}
    control |= {9, 10, 13}  # which the caller takes for white space first
    chinese = bert(handle_chinese_chars=True)
    chinese = {p for p in POINTS if chinese(chr(p)) != chr(p)}
    assert all(category[p][0] == "M" for p in (marks | nonspacing) - {0x1CF2, 0x1CF3})
    assert all(category[p] in ("Cc", "Cf", "Co") for p in control)
    assert all(category[p][0] == "P" for p in punctuation - ascii_marks - {0x166D, 0x111C9})
    return {"mark_ranges": marks, "nonspacing_mark_ranges": nonspacing,
            "punctuation_ranges": punctuation, "control_ranges": control,
            "chinese_ranges": chinese}


def one_step(changes):
    """A character map of single characters, in the trie that SentencePiece uses, as a normalizer.
    Each byte of a character is a node whose children lie in a block of 256 units of its own."""
    tree, values = {}, []
    for char in changes:
        node = tree
        for byte in char.encode():
            node = node.setdefault(byte, {})
        node[None] = len(values)
        values.append(changes[char])
    units, queue = [0] * 256, [(0, tree)]
    while queue:
        at, node = queue.pop()
        base = len(units)
        units += [0] * 256
        assert base ^ (at & ~255) < 1 << 21
        base |= at & 255
        units[at] |= (base ^ at) << 10 | (None in node) << 8
        for byte, below in node.items():
            if byte is None:
                units[base] = 0x80000000 | 2 * below
            else:
                units[base ^ byte] = byte
                queue.append((base ^ byte, below))
    blob = struct.pack(f"<I{len(units)}I", 4 * len(units), *units)
    blob += b"".join(c.encode() + b"\0" for c in values)
    return normalizers.Precompiled(blob).normalize_str


def grapheme_kinds():
    """What is joined to a character below six bytes shows in that the map drops it; what makes one
    too long, in that it does not."""
    def points(expression):
        return {p for p in POINTS if regex.fullmatch(expression, chr(p))}

    a, qa, symbol = one_step({"a": "x"}), one_step({"\u0958": "y"}), one_step({"©": "y"})
    kind = {p: "regional" for p in range(0x1F1E6, 0x1F200)}
    joined = {p for p in POINTS if a("a" + chr(p)) == "x"}
    spacing = points(r"\p{GCB=SpacingMark}")
    for p in joined:
        kind[p] = "spacing" if p in spacing else "extend"
        if qa(f"\u0915{chr(p)}\u0958\u0301")[-1] == "\u0301":
            kind[p] = "linker"
        elif qa(f"\u0915{chr(p)}\u094D\u0958\u0301")[-1] == "\u0301":
            kind[p] = "conjunct"
    prepend = points(r"\p{GCB=Prepend}")
    before = one_step({chr(p): "y" for p in prepend})
    assert all(before(chr(p) + "a") == "y" for p in prepend)
    kind.update(dict.fromkeys(prepend, "prepend"))
    kind.update(dict.fromkeys(points(r"\p{GCB=Control}|\r|\n"), "control"))
    for p in points(r"\p{InCB=Consonant}"):
        if qa(chr(p) + "\u094D\u0958\u0301")[-1] == "\u0301":
            kind[p] = "consonant"
    for p in points(r"\p{Extended_Pictographic}"):
        if symbol(chr(p) + "\u200D©\u0301")[-1] == "\u0301":
            assert p not in kind
            kind[p] = "pictographic"
    return kind


def range_table(name, points):
    cells = [f"{{{first:#x}, {last:#x}}}" for first, last in runs(points)]
    return "\n".join([f"inline constexpr code_range {name}[] = {{", rows(cells), "};"])


def frame(opening, includes, body, after):
    return f"""\
{opening}
//
// Generated by tests/tools/make_unicode_forms.py; do not edit. The tables are what Hugging Face
// tokenizers 0.23 carries, asked for every code point, because models were trained behind it.
// {after}
#pragma once

#include "../core.hpp"
{includes}
namespace gpt2::inline GPT2_ABI {{
namespace detail {{

{body}

}}  // namespace detail
}}  // namespace gpt2::inline GPT2_ABI
"""


def forms():
    entries, count, composites = decompositions()
    text = "".join(entries)
    lines = "\n".join(f'    "{text[at:at + 94]}"' for at in range(0, len(text), 94))
    ranks = [f"{{{first:#x}, {last:#x}, {rank}}}" for first, last, rank in combining_classes()]
    return frame("""\
// What characters decompose into, and combining classes: the normal forms of Unicode 9.0, which
// leave younger characters alone. Read them through detail/normalization.hpp.""", """
#include <cstddef>
#include <cstdint>
""", f"""\
/// Code points of one canonical combining class.
struct combining_range {{
    char32_t first, last;
    std::uint8_t rank;
}};

inline constexpr std::size_t decomposition_count = {count};
inline constexpr std::size_t composite_count = {composites};

// clang-format off
// {count} decompositions in full, Hangul left out, as numbers; each number is digits 0-9A-Za-z+- of
// five bits, the highest first, all but the last with 32 added. An entry is 3 · (code point less
// the one before) + kind (0: composes again, 1: canonical, 2: compatible); how many code points;
// and each, less what stood at its place in the entry before, as a zigzag number.
inline constexpr char packed_decompositions[] =
{lines};

inline constexpr combining_range combining_ranges[] = {{
{rows(ranks)}
}};
// clang-format on""", "Before: core.hpp. Next: detail/normalization.hpp.")


def marks():
    lower = [f"{{{first:#x}, {last:#x}, {step}, {difference}}}"
             for first, last, step, difference in lower_case()]
    tables = "\n\n".join(range_table(name, points) for name, points in classes().items())
    return frame("""\
// Lower case (Unicode 17.0), marks (9.0), punctuation, control characters (8.0) and Chinese
// characters. Read them through detail/normalization.hpp.""", """#include "unicode.hpp"

#include <cstdint>
""", f"""\
/// Every `step`-th code point from `first` to `last`, and how far off its lower case lies.
struct lower_range {{
    char32_t first, last;
    std::uint8_t step;
    std::int32_t difference;
}};

// clang-format off
// U+0130 is left out: it alone falls into two, U+0069 U+0307.
inline constexpr lower_range lower_ranges[] = {{
{rows(lower)}
}};

{tables}
// clang-format on""", "Before: detail/unicode.hpp. Next: detail/normalization.hpp.")


def graphemes():
    out, kinds = [], grapheme_kinds()
    for p in sorted(kinds):
        if out and out[-1][1:] == [p - 1, kinds[p]]:
            out[-1][1] = p
        else:
            out.append([p, p, kinds[p]])
    cells = [f"{{{first:#x}, {last:#x}, {kind}}}" for first, last, kind in out]
    return frame("""\
// Where a character as a reader counts them may go on: the classes of extended grapheme clusters
// (Unicode Standard Annex 29), Hangul left out.""", """
#include <array>
#include <cstdint>
""", f"""\
enum class grapheme_kind : std::uint8_t {{
    other,
    control,       ///< stands alone, carriage return and line feed among them
    prepend,       ///< joins what follows
    spacing,       ///< joins what stands before, as the next three do
    extend,        ///< likewise; may stand between a pictograph and the joiner behind it
    conjunct,      ///< likewise; may also stand between the consonants of a conjunct
    linker,        ///< likewise; makes one of two consonants
    consonant,     ///< of a script with conjuncts
    pictographic,  ///< joins another behind a zero-width joiner
    regional,      ///< joins one other: a flag
}};

struct grapheme_range {{
    char32_t first, last;
    grapheme_kind kind;
}};

// clang-format off
inline constexpr auto grapheme_ranges = [] {{
    using enum grapheme_kind;
    return std::to_array<grapheme_range>({{
{rows(cells)}
    }});
}}();
// clang-format on""", "Before: core.hpp. Next: detail/graphemes.hpp.")


if __name__ == "__main__":
    folder, differ = pathlib.Path(sys.argv[1]), False
    for name, text in (("unicode_forms.hpp", forms()), ("unicode_marks.hpp", marks()),
                       ("unicode_graphemes.hpp", graphemes())):
        if "--check" in sys.argv:
            differ |= (folder / name).read_text() != text
        else:
            (folder / name).write_text(text)
    sys.exit(differ)
