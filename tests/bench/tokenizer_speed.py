#!/usr/bin/env python3
"""Times encode on one thread beside tiktoken's encode_ordinary and Hugging Face tokenizers, in
turns, and prints the median MB/s of each; exit status 1 when any of the three gives other ids for
a text, or ours others than tiktoken for a line of it.

    pip install tiktoken tokenizers
    c++ -std=c++20 -O2 -Iinclude tests/bench/tokenizer_speed.cpp -o tokenizer_speed
    python3 tests/bench/tokenizer_speed.py ./tokenizer_speed build/examples/tokenize GPT2_FOLDER \\
        TEXT...

GPT2_FOLDER holds GPT-2's vocab.json and merges.txt. To the texts named are added the headers of
this repository, random Chinese characters with punctuation, and inputs that are hard for one step
or another: long runs, random letters, base64, random characters."""
import base64
import json
import os
import pathlib
import random
import statistics
import string
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import tiktoken  # noqa: E402
import tiktoken.load  # noqa: E402
import tokenizers  # noqa: E402

R50K = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
ROUNDS = 7


def chinese(size):
    rng = random.Random(1)
    signs = [chr(0x4E00 + rng.randrange(20900)) for _ in range(1500)]
    out = []
    while len(out) < size // 3:
        out += rng.choices(signs, k=rng.randint(3, 18)) + [rng.choice("，。、；\n")]
    return "".join(out)


def sources():
    root = pathlib.Path(__file__).resolve().parents[2] / "include"
    return "".join(path.read_text() for path in sorted(root.rglob("*.hpp")))


def hard(size):
    rng = random.Random(2)
    random_of = lambda signs, count: "".join(rng.choices(signs, k=count))
    scalars = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    return {
        "one letter": "a" * size,
        "one space": " " * size,
        "one line end": "\n" * size,
        "one digit": "0" * size,
        "one sign": "^" * size,
        "one accent": "\u0301" * (size // 2),
        "contractions": "'s" * (size // 2),
        "one-letter words": "a " * (size // 2),
        "random letters": random_of(string.ascii_lowercase, size),
        "random digits": random_of(string.digits, size),
        "random signs": random_of(string.punctuation, size),
        "random ASCII": random_of(string.printable, size),
        "random Latin-1": random_of([chr(c) for c in range(256)], size * 2 // 3),
        "random characters": random_of(scalars, size // 4),
        "base64": base64.b64encode(rng.randbytes(size * 3 // 4)).decode(),
        "base64 lines": base64.encodebytes(rng.randbytes(size * 3 // 4)).decode(),
        "hex words": " ".join(rng.randbytes(8).hex() for _ in range(size // 17)),
        "emoji": random_of([chr(0x1F600 + i) for i in range(80)], size // 4),
    }


def peers(folder):
    merges, vocab = f"{folder}/merges.txt", f"{folder}/vocab.json"
    ranks = tiktoken.load.data_gym_to_mergeable_bpe_ranks(merges, vocab)
    tik = tiktoken.Encoding("gpt2-files", pat_str=R50K, mergeable_ranks=ranks,
                            special_tokens={"<|endoftext|>": 50256})
    face = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(vocab, merges))
    face.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tik, face


def measure(ours, tik, face, text, path):
    """The seconds of each in turns, and whether any two ids of the whole text differ in count or,
    for the two in this process, in themselves."""
    path.write_bytes(text.encode())
    times = {"ours": [], "tiktoken": [], "hf": []}
    for _ in range(ROUNDS):
        print(path, file=ours.stdin, flush=True)
        seconds, count = ours.stdout.readline().split()
        times["ours"].append(float(seconds))
        begin = time.perf_counter()
        ids = tik.encode_ordinary(text)
        times["tiktoken"].append(time.perf_counter() - begin)
        begin = time.perf_counter()
        encoding = face.encode(text)
        times["hf"].append(time.perf_counter() - begin)
    return times, not (len(ids) == int(count) == len(encoding.ids) and ids == encoding.ids)


def differences(tokenize, folder, tik, text):
    """How many lines were compared with tiktoken, and how many differ; the whole text counts as
    one."""
    lines = [*sorted(set(text.splitlines(keepends=True))), text]
    asked = "".join(json.dumps({"text": line}) + "\n" for line in lines)
    done = subprocess.run([tokenize, "--model", folder, "--jsonl"], input=asked.encode(),
                          capture_output=True)
    got = [json.loads(line)["ids"] for line in done.stdout.splitlines()]
    wrong = sum(a != b for a, b in zip(got, tik.encode_ordinary_batch(lines)))
    return len(got), wrong + (len(got) != len(lines))


def main(speed, tokenize, folder, paths):
    tik, face = peers(folder)
    texts = {pathlib.Path(p).name: pathlib.Path(p).read_bytes().decode() for p in paths}
    texts |= {"headers": sources(), "chinese": chinese(1_000_000)} | hard(300_000)
    ours = subprocess.Popen([speed, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True)
    differ = compared = 0
    print(f"{'text':28}{'bytes':>9}{'ours':>8}{'tiktoken':>10}{'hf':>7}   MB/s, median of {ROUNDS}")
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in texts.items():
            times, wrong = measure(ours, tik, face, text, pathlib.Path(scratch) / "text")
            size = len(text.encode())
            rate = {who: size / statistics.median(t) / 1e6 for who, t in times.items()}
            print(f"{name[:27]:28}{size:9}{rate['ours']:8.1f}{rate['tiktoken']:10.1f}"
                  f"{rate['hf']:7.1f}", flush=True)
            lines, wrong_lines = differences(tokenize, folder, tik, text)
            compared += lines
            differ += wrong + wrong_lines
    print(f"{compared} lines and whole texts compared with tiktoken, {differ} differences")
    return differ != 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4], sys.argv[4:]))
