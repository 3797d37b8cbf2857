#!/usr/bin/env python3
"""Makes the folders t5, gpt_sw3 and bert of tests/reference/tokenizers/: a vocabulary, the config
that names its class, and what that class of transformers does with 5,000 made-up strings.

    pip install transformers==4.46.3 sentencepiece==0.2.0 protobuf
    python3 tests/reference/make_tokenizer_classes.py tests/reference/tokenizers

(Version 4, whose classes work on SentencePiece itself.) `expect` holds, for each string of
corpus.json, the hash of its ids with added tokens found, and of the text of the ids that the
vocabulary alone gives, as make_tokenizers.py says; frames.json beside it what stands around."""
import json
import pathlib
import re
import struct
import sys
import unicodedata

import sentencepiece
from transformers import BertTokenizerFast, GPTSw3Tokenizer, T5Tokenizer

from make_tokenizer import PARAGRAPH
from make_tokenizers import Corpus, folded

WORDS = sorted(set(re.findall(r"\w+|[^\w\s]", PARAGRAPH)))


def train(folder, **how):
    text = folder / "text.txt"
    text.write_text(PARAGRAPH)
    rules = folder / "rules.tsv"
    rules.write_text("FF21\t41\nFF11\t31\n3000\t20\nA0\t20\n2026\t2E 2E 2E\n30AB 3099\t30AC\n")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "spiece"), normalization_rule_tsv=str(rules),
        minloglevel=2, num_threads=1, **how)
    for name in ("text.txt", "rules.tsv", "spiece.vocab"):
        (folder / name).unlink()


def t5(folder):
    train(folder, vocab_size=275, model_type="unigram", pad_id=3, unk_surface="<unk>",
          user_defined_symbols=["[PAD]", "[CLS]"])
    config = {"tokenizer_class": "T5Tokenizer", "do_lower_case": True, "extra_ids": 2,
              "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "[PAD]", "bos_token": "<s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n")
    tokenizer = T5Tokenizer.from_pretrained(folder, legacy=True)
    tokenizer.do_lower_case = True  # which T5Tokenizer reads, and forgets
    return tokenizer, lambda text: tokenizer.sp_model.encode(text)


def gpt_sw3(folder):
    train(folder, vocab_size=640, model_type="bpe", byte_fallback=True, pad_id=0, unk_id=1,
          bos_id=2, eos_id=3, eos_piece="<|endoftext|>", add_dummy_prefix=False,
          remove_extra_whitespaces=False)
    config = {"tokenizer_class": "GPTSw3Tokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n")
    tokenizer = GPTSw3Tokenizer.from_pretrained(folder)
    return tokenizer, lambda text: tokenizer.sp_model.encode(tokenizer.preprocess_text(text))


def bert(folder):
    lines = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = set()
    for word in WORDS:
        plain = "".join(c for c in unicodedata.normalize("NFD", word.lower())
                        if unicodedata.category(c) != "Mn")
        for text in filter(None, (word, plain)):
            pieces |= {text[:3], text[0], "##" + text[-2:], "##" + text[-1]} | (
                {text} if len(text) < 5 else set())
    lines += sorted(pieces)
    (folder / "vocab.txt").write_text("\n".join(lines) + "\n")
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": False, "strip_accents": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n")
    return BertTokenizerFast.from_pretrained(folder), None


def main():
    target = pathlib.Path(sys.argv[1])
    corpus = json.loads((target / "corpus.json").read_text())
    # Python has U+001F among white space, which tokens like <extra_id_1> take; nobody else has.
    parts = [part for part in corpus["parts"] if part != "\x1f"]
    source = Corpus(parts + ["<|endoftext|>", "[CLS]", "[PAD]", "<extra_id_1>", "<pad>"],
                    corpus["seed"])
    strings = [source.string() for _ in range(corpus["count"])]
    for make in (t5, gpt_sw3, bert):
        folder = target / make.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        tokenizer, bare = make(folder)
        hashes = []
        for text in strings:
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            parts = [struct.pack(f"<{len(ids)}i", *ids)]
            if bare:
                alone = bare(text.lower() if make is t5 else text)
                parts += [struct.pack(f"<{len(alone)}i", *alone),
                          tokenizer.sp_model.decode(alone).encode()]
            hashes.append(struct.pack("<H", folded(parts)))
        (folder / "expect").write_bytes(b"".join(hashes))
        around = tokenizer("a")["input_ids"]
        inside = tokenizer("a", add_special_tokens=False)["input_ids"]
        at = next(i for i in range(len(around)) if around[i:i + len(inside)] == inside)
        (folder / "frame.json").write_text(
            json.dumps([around[:at], around[at + len(inside):]]) + "\n")


if __name__ == "__main__":
    main()
