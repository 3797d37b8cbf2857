#!/usr/bin/env python3
"""Makes tests/reference/tokenizers/: tokenizer.json files of every kind that load_tokenizer takes,
and what Hugging Face tokenizers do with 5,000 made-up strings each.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3
    python3 tests/reference/make_tokenizers.py tests/reference/tokenizers

corpus.json       {"seed", "count", "parts"}: what the strings are put together from; `Corpus` below
                  and tests/tokenizer/kinds_test.cpp make the same ones
<kind>.json       a tokenizer.json of a few hundred tokens, trained on the paragraph below
<kind>.expect     16 bits for each string, little-endian: the FNV-1a hash, folded, of its ids with
                  added tokens found; without any; of the text of the first ids; of that without
                  special tokens
frames.json       {kind: [[ids before], [ids behind]]}: what encode(text) puts around a text"""
import json
import pathlib
import struct
import sys
import tempfile

import sentencepiece
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, processors, trainers)

from make_tokenizer import PARAGRAPH

MARK = "\u2581"
ADDED = [
    AddedToken("<s>", special=True, normalized=False),
    AddedToken("</s>", special=True, normalized=False),
    AddedToken("<mask>", special=True, normalized=False, lstrip=True),
    AddedToken("[Turn]", special=False, normalized=True, rstrip=True),
    AddedToken("\u0419\u043e\u0434", special=False, normalized=True),
    AddedToken("gull", special=False, normalized=False, single_word=True),
    AddedToken("  <B>", special=False, normalized=True),
]
PARTS = [
    "a", "e", "s", "the", "The", "ferry", "gulls", "left", "at seven", " ", " ", " ", "  ", "   ",
    "\n", "\r\n", "\t", "'", "'s", "'LL", "'\u017f", "n't", "1", "365", "1000000", "\u00bd",
    "\u0663\u0664", "\u2167", "\u00e9", "\u00c9", "e\u0301", "\u00df", "\u0130", "\u0301",
    "\u0308\u0301", "\u01c4", "\ufb01", "\ufb06", "\uff21\uff11", "\u30ab\u3099", "\uff76\uff9e",
    "\u6e21\u8f6e", "\u6e2f\u306e\u9418", "\u4f60", "\ud55c\uae00", "\u1100\u1161\u11a8",
    "\U0001f6a2", "\U0001f469\u200d\U0001f467", "\U0001f1ea\U0001f1f8", "_", "-", "--", ".", "!?",
    ",", "``", "''", "\"", "$", "+", "\u00a1", "\u3002", "\u2026", "\u00a0", "\u3000", "\u200b",
    "\u200d", "\u2028", "\u0085", "\x00", "\x07", "\x1f", "\x7f", "\u00ad", "\ufeff", "\ufffd",
    "\u180e", "\u0967", "\u092a\u0941", "\u0641\u064a", "\u041f\u0430", MARK, "##", "</w>", "<unk>",
    "<0x41>", "[UNK]", "\u2460", "\ufdfa", "\u0390", "\U00010400", "\U0001d7d8", "\U000e0001",
]


class Corpus:
    """Strings from a 64-bit congruential generator, of which the upper half is used."""

    def __init__(self, parts, seed):
        self.parts, self.state = parts, seed

    def below(self, count):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % count

    def point(self):
        limit = (0x250, 0x3100, 0x10000, 0x20000, 0x110000)[self.below(5)]
        point = self.below(limit)
        return 0x20 if 0xD800 <= point < 0xE000 else point

    def string(self):
        text = ""
        for _ in range(self.below(14)):
            text += chr(self.point()) if self.below(8) == 0 else self.parts[
                self.below(len(self.parts))]
        return text


def charsmap():
    """A precompiled map of a few rules, as SentencePiece compiles it."""
    rules = ["41\t61", "C9\tE9", "FF21\t61", "2167\t56 49 49 49", "FB01\t66 69", "AD\t", "7\t",
             "9\t20", "A\t20", "D\t20", "3000\t20", "A0\t20", "65 301\tE9", "30AB 3099\t30AC",
             "FF76 FF9E\t30AC", "2026\t2E 2E 2E", "200B\t20", "4F60\t59 6F 75"]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "rules.tsv").write_text("\n".join(rules) + "\n")
        (folder / "text.txt").write_text(PARAGRAPH)
        sentencepiece.SentencePieceTrainer.train(
            input=str(folder / "text.txt"), model_prefix=str(folder / "m"), vocab_size=230,
            normalization_rule_tsv=str(folder / "rules.tsv"), minloglevel=2)
        from sentencepiece import sentencepiece_model_pb2 as pb
        model = pb.ModelProto()
        model.ParseFromString((folder / "m.model").read_bytes())
        return model.normalizer_spec.precompiled_charsmap


def kinds():
    """(name, tokenizer, trainer, what the JSON gets besides)."""
    n, p, d = normalizers, pre_tokenizers, decoders
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    words = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    llama3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
              r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")

    def made(model, trainer, normalizer=None, cut=None, decoder=None, frame=None):
        tokenizer = Tokenizer(model)
        if normalizer is not None:
            tokenizer.normalizer = normalizer
        if cut is not None:
            tokenizer.pre_tokenizer = cut
        if decoder is not None:
            tokenizer.decoder = decoder
        return tokenizer, trainer, frame

    def bpe(size, special=("<unk>", "<s>", "</s>"), **how):
        return trainers.BpeTrainer(vocab_size=size, special_tokens=list(special),
                                   show_progress=False, **how)

    def unigram(size, special=("<unk>", "<s>", "</s>")):
        return trainers.UnigramTrainer(vocab_size=size, special_tokens=list(special),
                                       unk_token="<unk>", show_progress=False)

    def alphabet():
        return sorted(p.ByteLevel.alphabet())

    yield "bpe_llama", *made(
        models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True),
        bpe(700, ["<unk>", "<s>", "</s>"] + byte_tokens),
        n.Sequence([n.Prepend(MARK), n.Replace(" ", MARK)]), None,
        d.Sequence([d.Replace(MARK, " "), d.ByteFallback(), d.Fuse(), d.Strip(" ", 1, 0)]),
        "<s> $A")
    yield "bpe_metaspace", *made(
        models.BPE(unk_token="<unk>"), bpe(400, end_of_word_suffix=""), n.NFC(),
        p.Metaspace(prepend_scheme="always"), d.Metaspace(prepend_scheme="always"), None)
    yield "bpe_suffix", *made(
        models.BPE(unk_token="<unk>", fuse_unk=True, end_of_word_suffix="</w>"),
        bpe(400, end_of_word_suffix="</w>"),
        n.Sequence([n.NFKC(), n.Lowercase()]),
        p.Sequence([p.WhitespaceSplit(), p.Punctuation()]), d.BPEDecoder("</w>"), "roberta")
    yield "bpe_prefix", *made(
        models.BPE(unk_token="<unk>", continuing_subword_prefix="##"),
        bpe(400, continuing_subword_prefix="##"),
        n.Sequence([n.NFKD(), n.StripAccents(), n.Strip(left=True, right=False)]),
        p.Whitespace(), d.WordPiece("##", cleanup=True), None)
    yield "bytes_digits", *made(
        models.BPE(unk_token="<unk>"), bpe(500, initial_alphabet=alphabet()), n.NFC(),
        p.Sequence([p.Digits(individual_digits=True), p.ByteLevel(add_prefix_space=True)]),
        d.ByteLevel(), "$A </s>")
    yield "bytes_llama3", *made(
        models.BPE(ignore_merges=True), bpe(500, initial_alphabet=alphabet()), None,
        p.Sequence([p.Split(Regex(llama3), "isolated"),
                    p.ByteLevel(add_prefix_space=False, use_regex=False)]), d.ByteLevel(), None)
    yield "bytes_words", *made(
        models.BPE(), bpe(500, initial_alphabet=alphabet()), n.NFKC(),
        p.Sequence([p.Split(Regex(words), "removed", invert=True),
                    p.Digits(individual_digits=False),
                    p.ByteLevel(add_prefix_space=False, use_regex=True)]), d.ByteLevel(), None)
    yield "bytes_normalizer", *made(
        models.BPE(), bpe(500, initial_alphabet=alphabet()),
        n.Sequence([n.Lowercase(), n.ByteLevel()]), None, d.ByteLevel(), None)
    yield "bytes_plain", *made(
        models.BPE(unk_token="<unk>"), bpe(450, initial_alphabet=alphabet()), None,
        p.ByteLevel(add_prefix_space=True), d.ByteLevel(), "<s> $A </s>")
    yield "unigram_t5", *made(
        models.Unigram(), unigram(450),
        n.Sequence([n.Precompiled(charsmap()), n.Replace(Regex(" {2,}"), " ")]),
        p.Sequence([p.WhitespaceSplit(), p.Metaspace(prepend_scheme="always")]),
        d.Metaspace(prepend_scheme="always"), "$A </s>")
    yield "unigram_first", *made(
        models.Unigram(), unigram(450),
        n.Sequence([n.Nmt(), n.NFKC(), n.Strip(), n.Replace("\"", "''")]),
        p.Metaspace(prepend_scheme="first"),
        d.Sequence([d.ByteFallback(), d.Fuse()]), None)
    yield "unigram_albert", *made(
        models.Unigram(), unigram(400),
        n.Sequence([n.Replace("``", "\""), n.Replace("''", "\""), n.NFKD(), n.StripAccents(),
                    n.Lowercase(), n.Replace(Regex(" {2,}"), " ")]),
        p.Metaspace(prepend_scheme="never", split=False),
        d.Metaspace(prepend_scheme="never", split=False), "<s> $A </s>")
    yield "wordpiece_uncased", *made(
        models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20),
        trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[UNK]", "<s>", "</s>"],
                                  show_progress=False),
        n.BertNormalizer(), p.BertPreTokenizer(), d.WordPiece("##"), "bert")
    yield "wordpiece_cased", *made(
        models.WordPiece(unk_token="[UNK]"),
        trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[UNK]", "<s>", "</s>"],
                                  show_progress=False),
        n.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=True,
                         lowercase=False),
        p.BertPreTokenizer(), d.WordPiece("##", cleanup=False), None)
    yield "words", *made(
        models.WordLevel(unk_token="<unk>"),
        trainers.WordLevelTrainer(vocab_size=150, special_tokens=["<unk>", "<s>", "</s>"],
                                  show_progress=False),
        n.Sequence([n.NFD(), n.Replace(Regex(r"\d+|[\-_]"), " # ")]),
        p.Sequence([p.CharDelimiterSplit("."), p.WhitespaceSplit(),
                    p.Split("'", "merged_with_next")]), None, None)
    yield "letters", *made(
        models.WordLevel(unk_token="<unk>"),
        trainers.WordLevelTrainer(vocab_size=200, special_tokens=["<unk>", "<s>", "</s>"],
                                  show_progress=False),
        None, p.FixedLength(length=2), d.Fuse(), None)
    yield "splits", *made(
        models.BPE(unk_token="<unk>", fuse_unk=True), bpe(350), None,
        p.Sequence([p.Split(" ", "merged_with_previous"),
                    p.Split(Regex(r"[^\W\d]+(?=\s)|[\p{Nd}!]"), "merged_with_next"),
                    p.Punctuation("contiguous"),
                    p.Split(Regex(r"(?:\p{N}{2}|[a-f\n])+"), "contiguous"),
                    p.Split(Regex(r"(?:e|.)s|\S\s{1,2}"), "merged_with_previous")]),
        d.Sequence([d.Replace("s", "S"), d.Strip("a", 1, 0)]), None)


def frame_of(frame, tokenizer):
    if frame is None:
        return None
    start, end = (tokenizer.token_to_id(text) for text in ("<s>", "</s>"))
    if frame == "bert":
        return processors.BertProcessing(("</s>", end), ("<s>", start))
    if frame == "roberta":
        return processors.RobertaProcessing(("</s>", end), ("<s>", start))
    template = processors.TemplateProcessing(
        single=frame, special_tokens=[("<s>", start), ("</s>", end)])
    return processors.Sequence([processors.ByteLevel(), template])


def without_added(document):
    """The same model, which no text turns into a special token, and no added tokens."""
    document = json.loads(json.dumps(document))
    special = {t["content"] for t in document["added_tokens"] if t["special"]}
    special = {text for text in special if len(text) > 1}
    model = document["model"]
    hidden = {text: f"\ue000{i}\ue000" for i, text in enumerate(sorted(special))}
    if isinstance(model["vocab"], list):
        model["vocab"] = [[hidden.get(text, text), score] for text, score in model["vocab"]]
    else:
        model["vocab"] = {hidden.get(text, text): i for text, i in model["vocab"].items()}
    if model.get("unk_token"):
        model["unk_token"] = hidden.get(model["unk_token"], model["unk_token"])
    document["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(document))


def folded(parts):
    value = 0xCBF29CE484222325
    for part in parts:
        for byte in part + b"\xff":
            value = (value ^ byte) * 0x100000001B3 % 2**64
    return (value ^ value >> 16 ^ value >> 32 ^ value >> 48) & 0xFFFF


def expectations(document, strings):
    whole, bare = Tokenizer.from_str(json.dumps(document)), without_added(document)
    for text in strings:
        ids = whole.encode(text, add_special_tokens=False).ids
        alone = bare.encode(text, add_special_tokens=False).ids
        yield ids, alone, whole.decode(ids, skip_special_tokens=False), whole.decode(
            ids, skip_special_tokens=True)


def main():
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    corpus = {"seed": 20261121, "count": 5000,
              "parts": PARTS + [token.content for token in ADDED] + [
                  "[turn]", "\u0438\u043e\u0434"]}
    (target / "corpus.json").write_text(json.dumps(corpus, indent=1) + "\n")
    source = Corpus(corpus["parts"], corpus["seed"])
    strings = [source.string() for _ in range(corpus["count"])]
    frames = {}
    for name, tokenizer, trainer, frame in kinds():
        tokenizer.train_from_iterator(PARAGRAPH.splitlines(keepends=True), trainer)
        tokenizer.add_tokens(ADDED)
        if frame:
            tokenizer.post_processor = frame_of(frame, tokenizer)
        document = json.loads(tokenizer.to_str())
        # Byte tokens are found by falling back only, not in a text.
        document["added_tokens"] = [token for token in document["added_tokens"]
                                    if not token["content"].startswith("<0x")]
        if name == "unigram_first":
            vocab = document["model"]["vocab"]
            vocab += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
            extra = [t for t in document["added_tokens"] if t["id"] >= len(vocab) - 256]
            for token in extra:
                token["id"] += 256
            document["model"]["byte_fallback"] = True
        if isinstance(document["model"]["vocab"], list):
            document["model"]["vocab"] = [[text, round(score, 3)]
                                          for text, score in document["model"]["vocab"]]
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        (target / f"{name}.json").write_text(text + "\n")
        hashes = b"".join(
            struct.pack("<H", folded([struct.pack(f"<{len(part)}i", *part)
                                      if isinstance(part, list) else part.encode()
                                      for part in parts]))
            for parts in expectations(document, strings))
        (target / f"{name}.expect").write_bytes(hashes)
        around = Tokenizer.from_str(text).encode("a").ids
        inside = Tokenizer.from_str(text).encode("a", add_special_tokens=False).ids
        at = next(i for i in range(len(around)) if around[i:i + len(inside)] == inside)
        frames[name] = [around[:at], around[at + len(inside):]]
    (target / "frames.json").write_text(json.dumps(frames, indent=1) + "\n")


if __name__ == "__main__":
    main()
