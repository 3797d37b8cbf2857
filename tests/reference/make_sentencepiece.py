#!/usr/bin/env python3
"""Makes tests/reference/sentencepiece/: small SentencePiece models, small vocabularies, and what
`sentencepiece` and Hugging Face `tokenizers` do with them and with Unicode.

    pip install sentencepiece==0.2.3 protobuf tokenizers==0.23.3
    python3 tests/reference/make_sentencepiece.py tests/reference/sentencepiece

NAME.model  trained on words made up below, some edited afterwards (kinds of pieces changed)
cases.json  "parts", "syllables": hex; the test strings are joined from them, see `strings`
            "models": per model {"ids", "normalized"}: FNV-1a64 hashes of the results, see `hashed`
            "unigram", "unigram_bytes", "unigram_some" (bytes below 0xE0), "wordpiece": the ids
            likewise, straight from the model; the first and the last with their vocabulary
            "charsmap": what "Precompiled" makes of the strings, with the map of rules.model
            "forms": per function a 32-bit hash for each 4,096 code points (each on a line of its
            own; and with a letter before and an accent behind it), and of the strings
            "broken": [model, hex of bytes that are no UTF-8, ids]"""
import json
import pathlib
import random
import sys
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as proto
from tokenizers import models, normalizers

SYLLABLES = {
    "en": "th er on an re he in ed nd ha at es of or nt ea ti to st io".split(),
    "de": "sch ei en er ch ß ü ä ö gen ver un auf ge ung keit".split(),
    "ru": "ст но то на ен ов ни ра во ко пр ли".split(),
    "ja": list("のにはをたがでと東京語学がぎぱカタガ"),
    "ko": list("한국어는가나다라"),
    "hi": "क ख ग म न ता ही की क़ श्र".split(),
}
ODD = ["é", "e\u0301", "漢", "\u0301", "\u0323\u0301", "🙂", "<unk>", "<s>", "</s>", "<cls>", "<sep>",
       "the", "ab cd", "東京", "  ", " ", " ", "\t", "\n", "\r\n", "\u3000", "\u00A0", "▁", "▁▁",
       "ｶﾞ", "ﬁ", "①", "㍿", "Ⅷ", "A\u030A", "\u212B", "\0", "\u200B", "\uFEFF", "\uFDFA", "<0x41>",
       "가", "\u1100", "\u1161", "\u11A8", "x", "İ", "ẞ", "Σ", "\u0915\u094D", "\u0958\u0301",
       "©\u200D", "\u0600", "❤\u200D", "\U0001F1E6", "Q", "...", "…", ".", "1984", "\u0345\u0301",
       "a", "b", "ñ"]
RULES = [("A", "a"), ("Q", "kw"), ("ﬁ", "fi"), ("①", "1"), ("\u212B", "å"), ("A\u030A", "å"),
         ("e\u0301", "é"), ("ｶﾞ", "ガ"), ("ｶ", "カ"), ("\t", " "), ("\n", " "), ("\r", " "),
         ("\u3000", " "), ("\u00A0", " "), ("\u200B", ""), ("\uFEFF", ""), ("\u1100\u1161", "가"),
         ("\u0958", "\u0915\u093C"), ("…", "..."), ("\uFDFA", "صلى الله عليه وسلم"), ("©", "c"),
         ("\u0600", "n"), ("ẞ", "ss"), ("1984", "  the year  ")]
MODELS = {  # what differs from the defaults below
    "unigram": {},
    "unigram_bytes": {"byte_fallback": True, "vocab_size": 520},
    "unigram_user": {"user_defined_symbols": ["<sep>", "ab cd", "the", "東京", "  "],
                     "control_symbols": ["<cls>", "x"]},
    "unigram_suffix": {"treat_whitespace_as_suffix": True},
    "unigram_across": {"split_by_whitespace": False, "remove_extra_whitespaces": False},
    "unigram_unused": {},
    "rules": {"rules": True, "remove_extra_whitespaces": True},
    "bpe": {"model_type": "bpe"},
    "bpe_bytes": {"model_type": "bpe", "byte_fallback": True, "vocab_size": 520,
                  "add_dummy_prefix": False, "remove_extra_whitespaces": False,
                  "allow_whitespace_only_pieces": True},
    "bpe_user": {"model_type": "bpe", "remove_extra_whitespaces": False, "rules": True,
                 "user_defined_symbols": ["<sep>", "ab cd", "the", "東京", "\n", "  "]},
    "bpe_across": {"model_type": "bpe", "split_by_whitespace": False,
                   "treat_whitespace_as_suffix": True},
    "bpe_unused": {"model_type": "bpe"},
}
COUNT, MASK = 5000, (1 << 64) - 1
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+-"


class Dice:
    """SplitMix64, as in the test."""
    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        self.state = self.state + 0x9E3779B97F4A7C15 & MASK
        z = self.state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        return (z ^ z >> 31) % bound


def strings(parts, seed):
    dice = Dice(seed)
    return ["".join(parts[dice.below(len(parts))] for _ in range(dice.below(12)))
            for _ in range(COUNT)]


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & MASK
    return value


def hashed(results):
    """A digit per result, six bits of its hash, and the whole hash of those hashes."""
    each = [fnv(result) for result in results]
    whole = fnv(b"".join(one.to_bytes(8, "little") for one in each))
    return "".join(DIGITS[one & 63] for one in each) + f" {whole:016x}"


def of_texts(texts):
    return hashed(text.encode() for text in texts)


def of_ids(all_ids):
    return hashed(b"".join(i.to_bytes(4, "little") for i in ids) for ids in all_ids)


def words(random):
    made = {kind: ["".join(random.choice(parts) for _ in range(random.randint(1, 4)))
                   for _ in range(60)] for kind, parts in SYLLABLES.items()}
    return made


def sentences(random, vocabulary):
    for _ in range(3000):
        kind = random.choice(list(vocabulary))
        yield " ".join(random.choice(vocabulary[kind]) for _ in range(random.randint(2, 10))) + "."


def train(folder, corpus, name, changes):
    changes = dict(changes)
    settings = {"input": str(corpus), "model_type": "unigram", "vocab_size": 300,
                "character_coverage": 0.99, "minloglevel": 2, "num_threads": 1,
                "normalization_rule_name": "identity"}
    if changes.pop("rules", False):
        rules = corpus.with_name("rules.tsv")
        line = "{}\t{}\n".format
        rules.write_text("".join(line(*(" ".join(f"{ord(c):X}" for c in side) for side in rule))
                                 for rule in RULES))
        del settings["normalization_rule_name"]
        settings["normalization_rule_tsv"] = str(rules)
    target = folder / f"{name}.model"
    sentencepiece.SentencePieceTrainer.train(model_prefix=str(corpus.with_name(name)),
                                             **{**settings, **changes})
    model = proto.ModelProto()
    model.ParseFromString(corpus.with_name(f"{name}.model").read_bytes())
    for field in ("input", "model_prefix"):  # paths of this machine
        model.trainer_spec.ClearField(field)
    model.normalizer_spec.ClearField("normalization_rule_tsv")
    if name.endswith("_unused"):
        for at, piece in enumerate(model.pieces):
            if piece.type == piece.NORMAL and at % 3 == 0:
                piece.type = piece.UNUSED
    target.write_bytes(model.SerializeToString())
    return sentencepiece.SentencePieceProcessor(model_file=str(target)), model


def plain_models(trained, texts, syllables):
    learned = [(piece.piece, round(piece.score, 4)) for piece in trained.pieces]
    spaced = [text.replace(" ", "▁") for text in texts]
    out = {}
    for name, extra in (("unigram", 0), ("unigram_bytes", 256), ("unigram_some", 0xE0)):
        vocabulary = learned + [(f"<0x{b:02X}>", -20.0) for b in range(extra)]
        model = models.Unigram(vocabulary, 0, extra > 0)
        out[name] = {"bytes": extra,
                     "ids": of_ids([t.id for t in model.tokenize(s)] for s in spaced)}
    out["unigram"]["pieces"] = learned

    pieces = sorted({part for some in SYLLABLES.values() for part in some})
    vocabulary = ["[UNK]", *pieces, *(f"##{piece}" for piece in pieces), "##e\u0301", "ab", "##ab"]
    model = models.WordPiece({piece: i for i, piece in enumerate(vocabulary)}, unk_token="[UNK]",
                             max_input_chars_per_word=20)
    out["wordpiece"] = {"pieces": vocabulary, "longest": 20,
                        "ids": of_ids([t.id for t in model.tokenize(s)] for s in syllables if s)}
    return out


def forms(texts):
    def bert(**on):
        return normalizers.BertNormalizer(**{"clean_text": False, "handle_chinese_chars": False,
                                             "strip_accents": False, "lowercase": False, **on})

    decomposed = normalizers.NFD()
    functions = {"nfc": normalizers.NFC(), "nfd": decomposed, "nfkc": normalizers.NFKC(),
                 "nfkd": normalizers.NFKD(), "lowercased": normalizers.Lowercase(),
                 "without_marks": normalizers.StripAccents(),
                 "bert_accents": bert(strip_accents=True)}
    out = {}
    for name, function in functions.items():
        blocks = []
        for first in range(0, 0x110000, 0x1000):
            points = [chr(p) for p in range(first, first + 0x1000) if not 0xD800 <= p < 0xE000]
            alone = function.normalize_str("".join(c + "\n" for c in points))
            among = function.normalize_str("".join(f"a{c}\u0301\n" for c in points))
            blocks.append(f"{fnv((alone + among).encode()) & 0xFFFFFFFF:08x}")
        out[name] = {"blocks": "".join(blocks),
                     "strings": of_texts(function.normalize_str(t) for t in texts)}
    return out


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    dice = random.Random(5)
    vocabulary = words(dice)
    parts = ODD + [" " + word for some in vocabulary.values() for word in some[:12]]
    syllables = [part for some in SYLLABLES.values() for part in some] + ["e\u0301", "x", "ab"]
    texts, pieces = strings(parts, 1), strings(syllables, 2)
    cases = {"parts": [p.encode().hex() for p in parts],
             "syllables": [p.encode().hex() for p in syllables], "models": {}, "broken": []}
    with tempfile.TemporaryDirectory() as scratch:
        corpus = pathlib.Path(scratch) / "corpus.txt"
        corpus.write_text("\n".join(sentences(dice, vocabulary)))
        for name, changes in MODELS.items():
            processor, model = train(folder, corpus, name, changes)
            cases["models"][name] = {"ids": of_ids(processor.encode_as_ids(t) for t in texts)}
            if name in ("unigram", "unigram_suffix", "rules", "bpe_bytes", "bpe_user"):
                normalized = of_texts(processor.normalize(t) for t in texts)
                cases["models"][name]["normalized"] = normalized
            for broken in (b"a\xFFb", b"\xE3\x81", b"the \xF0\x9F\x99 \xC3\x28", b"\xED\xA0\x80"):
                cases["broken"].append([name, broken.hex(), processor.encode_as_ids(broken)])
            if name == "unigram":
                plain = model
            if name == "rules":
                blob = model.normalizer_spec.precompiled_charsmap
                precompiled = normalizers.Precompiled(blob)
                cases["charsmap"] = of_texts(precompiled.normalize_str(t) for t in texts)
        cases.update(plain_models(plain, texts, pieces))
    cases["forms"] = forms(texts)
    (folder / "cases.json").write_text(json.dumps(cases, ensure_ascii=True, indent=1,
                                                  separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
