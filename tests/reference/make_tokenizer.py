#!/usr/bin/env python3
"""Makes tests/reference/tokenizer/: a small byte-level BPE and what Hugging Face tokenizers do with
it.

    pip install tokenizers==0.23.3
    python3 tests/reference/make_tokenizer.py tests/reference/tokenizer

vocab.json, merges.txt   600 tokens trained on the paragraph below
tokenizer.json           the same as one file, merges as arrays of two
cases.json               groups of strings (hex) with ids: {"added", "prefix", "regex", "cases"};
                         and the FNV-1a64 hash of the cuts of every code point c in the strings
                         c, acb, _c, c_ (_ a space; cut lengths in bytes, each string's end a 0,
                         one byte each)"""
import json
import pathlib
import random
import sys

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

PARAGRAPH = """\
The ferry left at seven, and nobody on the quay could say why the bell hadn't rung. It's the \
kind of morning when
you'd rather they'll tell you nothing: grey water, 12 gulls, 365 days of the same coffee. \
"We've been here before,"
said the captain; I'm sure she had. They're all here -- the baker, the painter, the boy who'd \
counted to 1000000.
El barco salió a las siete y nadie en el muelle supo decir por qué no había sonado la campana. \
¿Mañana? ¡Quizás!
Die Fähre fuhr um sieben ab, und niemand wußte, weshalb die Glocke nicht geläutet hatte; es war \
früh und kühl.
Паром ушёл в семь, и никто на причале не мог сказать, почему не прозвонил колокол. Утро было \
серое и тихое.
渡轮七点离开了码头，没有人知道为什么钟没有响。早晨很安静，海水是灰色的。港の鐘はなぜ鳴らなかったのか。
غادرت العبارة في السابعة ولم يعرف أحد لماذا لم يرن الجرس. पुल के पास कोई नहीं था। 배는 일곱 시에 떠났다.
for (int i = 0; i < 10; ++i) {\n\tsum += values[i];  // the sum of the values\n}\n\nreturn sum \
/ 10;
🚢🌊 ==== ---- ....... the the the and and and    spaces    \t\ttabs\r\n
"""

HARD = [
    "", " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "a b", "a  b", "a   b", "a \n b", "a\n b",
    " a", "a ", "a\n", "it's", "IT'S", "it''s", " 's", "'s", "''", "'re've'll'd'm't", "'x", "'r",
    "'l", "don't they'll", "DON'T", "12ab34", "a1 b2", "½Ⅷ²", "٣٤٥", "a\u00a0b", "a\u3000\u3000b",
    "\u2028\u2029", "\u0085x", "\x1c\x1d x", "\u200b\u200d\ufeff", "x\u180ey", "é", "e\u0301",
    "\u0301\u0301", "naïve café", "你好世界", "渡轮七点", "🚢🌊", "👩‍👩‍👧‍👦", "🇪🇸🇫🇷", "\U000e0001",
    "\U0010ffff", "\x00", "a\x00b", "_x_y", "a_b c__d", "=====", "....", "...a", " ...", "  ...",
    "http://x.y/z?a=1&b=2", "C++20", "{\n\t}\n", "\t\t\tx", " \t x", "\r\n\r\nx", "x\r\n\r\n",
    "the the the", "The ferry left", "<|endoftext|>", "a<|endoftext|>b",
    "<|endoftext|><|endoftext|>", "<|endoftext", "ferry" * 40, "=" * 70, " " * 70 + "x", "ab" * 50,
    "0" * 65, "á" * 40,
]
PARTS = [
    "a", "the", " ", "  ", "\n", "\t", "'", "s", "'ll", "1", "365", "é", "ß", "\u0301", "你", "渡轮",
    "🚢", "_", "=", "\u00a0", "\u3000", "٣", "П", "паром", "<", "|", "\x00", "\u200d", ".",
]
MARKED = [
    "<s>", "</s>", " <m> ", "<m>", "xx", "axxb", " xx ", "你", "你好", "\n", "a", " ", "  ", "<n>",
    "<s", "1xx", "_xx", "\u0301xx", "xx\u200d", "ⓐxx", "a<m>", "\u3000", "xxx", "ferry", "<s><s>",
    "<m> <m>", "<ss>", "<|endoftext|>",
]


def fnv(data, value=0xCBF29CE484222325):
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def cuts_of_all_code_points():
    cutter = pre_tokenizers.ByteLevel(add_prefix_space=False)
    value = 0xCBF29CE484222325
    for point in range(0x110000):
        if 0xD800 <= point < 0xE000:
            continue
        c = chr(point)
        for text in (c, f"a{c}b", f" {c}", f"{c} "):
            lengths = [len(text[a:b].encode()) for _, (a, b) in cutter.pre_tokenize_str(text)]
            assert sum(lengths) == len(text.encode()), (point, lengths)
            value = fnv([*lengths, 0], value)
    return f"{value:016x}"


def group(document, texts, added=(), prefix=False, regex=True):
    document = json.loads(json.dumps(document))
    document["pre_tokenizer"].update(add_prefix_space=prefix, use_regex=regex)
    document["added_tokens"] = [*document["added_tokens"], *added]
    tokenizer = Tokenizer.from_str(json.dumps(document))
    tokenizer.encode_special_tokens = not added
    cases = [{"hex": text.encode().hex(), "ids": tokenizer.encode(text).ids} for text in texts]
    shown = document["added_tokens"] if added else []
    return {"added": shown, "prefix": prefix, "regex": regex, "cases": cases}


def token(number, content, **flags):
    defaults = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    return {"id": number, "content": content, **defaults, **flags}


def main(folder):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator([PARAGRAPH], trainers.BpeTrainer(
        vocab_size=599, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False))
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    document = json.loads(tokenizer.to_str())
    model = document["model"]
    assert len(model["vocab"]) == 599 and document["added_tokens"][0]["id"] == 599

    rng = random.Random(1)
    mixed = ["".join(rng.choices(PARTS, k=rng.randint(2, 12))) for _ in range(300)]
    marked = ["".join(rng.choices(MARKED, k=rng.randint(1, 6))) for _ in range(300)]
    words = [
        token(600, "<s>"), token(601, "<m>", lstrip=True, rstrip=True),
        token(602, "xx", single_word=True, special=False),
        token(603, "<n>", normalized=True, special=False), token(604, "</s>", rstrip=True),
        token(605, "<s><s>", lstrip=True),
        token(606, "你", normalized=True, special=False, single_word=True),
        token(607, " <m>", normalized=True),
    ]
    groups = [
        group(document, HARD + mixed),
        group(document, HARD + mixed[:60], prefix=True),
        group(document, HARD + mixed[:60], regex=False),
        group(document, HARD + MARKED + marked, words),
        group(document, MARKED + marked[:100], words, prefix=True),
    ]

    folder.mkdir(exist_ok=True)
    dump = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    (folder / "vocab.json").write_text(dump({**model["vocab"], "<|endoftext|>": 599}) + "\n")
    merges = "".join(f"{a} {b}\n" for a, b in model["merges"])
    (folder / "merges.txt").write_text("#version: 0.2\n" + merges)
    (folder / "tokenizer.json").write_text(dump(document) + "\n")
    text = ",\n".join(dump({k: v for k, v in g.items() if k != "cases"})[:-1] + ',"cases":[\n'
                      + ",\n".join(map(dump, g["cases"])) + "]}" for g in groups)
    cuts = cuts_of_all_code_points()
    (folder / "cases.json").write_text(f'{{"cuts":"{cuts}","groups":[\n{text}]}}\n')


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
