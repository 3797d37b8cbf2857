"""Turns the books into token ids: joins wrapped lines, trains the tokenizer, encodes.

    prepare.py WORK [--text FOLDER]   write WORK/tokenizer.json, train.npy, held.npy
    prepare.py --join FILE            print the joined text of one file

Read `join` first: the bits per byte of this model are defined over its result.
Read train.py after.
"""
import argparse
import sys
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCAB = 4096
END = "<|endoftext|>"
WRAPPED = 60      # a line of at least so many bytes was broken by its width, not by its author
HELD_OUT = 0.01   # the end of each tale, kept from training to watch for overfitting


def join(text: bytes) -> bytes:
    """Joins hard-wrapped lines into paragraphs; verse and headings keep their short lines.

    Lines end at "\\n"; spaces, tabs and "\\r" around a line are dropped. A run of empty lines
    becomes "\\n\\n" and none stand at either end. Between two lines of one paragraph stands a
    space if the first has at least WRAPPED bytes, else "\\n". Nothing follows the last line.
    """
    out, before = bytearray(), b""
    for line in text.split(b"\n"):
        line = line.strip(b" \t\r")
        if line and out:
            out += b"\n\n" if not before else b" " if len(before) >= WRAPPED else b"\n"
        out += line
        before = line
    return bytes(out)


def books(folder: Path) -> list[str]:
    """The joined texts of a folder, in the order of their names."""
    return [join(path.read_bytes()).decode() for path in sorted(folder.glob("*.txt"))]


def train_tokenizer(texts: list[str]) -> Tokenizer:
    """GPT-2's byte-level BPE with VOCAB tokens; END has id 0."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=[END], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("work", nargs="?", type=Path, help="folder for the tokenizer and the ids")
    parser.add_argument("--text", type=Path, default=Path("../shared/data/text"))
    parser.add_argument("--join", type=Path, metavar="FILE")
    args = parser.parse_args()
    if args.join:
        sys.stdout.buffer.write(join(args.join.read_bytes()))
        return
    if not args.work:
        parser.error("name the folder to write to")

    tales, spanish = books(args.text / "tales"), books(args.text / "spanish")
    if not tales or not spanish:
        parser.error(f"no books in {args.text}/tales or {args.text}/spanish")
    tokenizer = train_tokenizer(tales + spanish)
    args.work.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(args.work / "tokenizer.json"))

    train, held, held_bytes = [], [], 0
    for number, text in enumerate(tales + spanish):
        cut = len(text) - (int(len(text) * HELD_OUT) if number < len(tales) else 0)
        train += [0, *tokenizer.encode(text[:cut]).ids]
        if cut < len(text):
            held += [0, *tokenizer.encode(text[cut:]).ids]
            held_bytes += len(text[cut:].encode())
    np.save(args.work / "train.npy", np.array(train, np.uint16))
    np.save(args.work / "held.npy", np.array(held, np.uint16))
    print(f"{len(train)} tokens to train on, {len(held)} held out"
          f" ({held_bytes / len(held):.4f} bytes per token)")


if __name__ == "__main__":
    main()
