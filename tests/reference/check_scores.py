#!/usr/bin/env python3
"""Multiple choice as lm-evaluation-harness asks it, by `score --jsonl` and by transformers.

    python3 tests/reference/check_scores.py build/examples

Items are made of the texts in ../shared/data/text/tales-valid, which the bundled model has not been
trained on: a passage, the words that follow it, and three times as many words from elsewhere.
Of every choice the log-probability must agree with transformers' (float32) within 1e-4, and by
every rule `score` must pick the same choice, and so reach the same accuracy. Passages longer
than the model's context are scored in windows, as transformers documents perplexity with a stride.
Exit status 0 when all holds, 1 when not, 77 where the data or the packages of requirements.txt are
missing."""
import json
import math
import pathlib
import random
import subprocess
import sys

try:
    import torch
    from transformers import AutoTokenizer, GPT2LMHeadModel
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
TALES = ROOT / "examples/models/tales"
TEXTS = sorted((ROOT / "../shared/data/text/tales-valid").glob("*.txt"))
if not TEXTS:
    print("skipped: ../shared/data/text is not beside this checkout")
    sys.exit(77)
ITEMS, CHOICES, TOLERANCE, STRIDE = 200, 4, 1e-4, 128
RULES = ("log_prob", "per_token", "per_byte", "per_character", "pointwise")
program = pathlib.Path(sys.argv[1]) / "score"
model = GPT2LMHeadModel.from_pretrained(TALES, dtype=torch.float32).eval()
tokenizer = AutoTokenizer.from_pretrained(TALES)
failed = 0


def check(what, good, detail=""):
    global failed
    failed += not good
    print(("ok   " if good else "FAIL ") + what + ("" if good else f": {detail}"), flush=True)


def ours(requests, *options):
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run([program, "--model", TALES, "--jsonl", *options], input=lines.encode(),
                          stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def items():
    """Contexts of 8 to 60 words, and choices of 3 to 8 that follow a space; the first is true."""
    draw = random.Random(1)
    all_words = [path.read_text(encoding="utf-8").split() for path in TEXTS]
    made = []
    for i in range(ITEMS):
        words = all_words[i % len(all_words)]
        size, length = draw.randint(8, 60), draw.randint(3, 8)
        begin = draw.randrange(len(words) - size - length)
        choices, at = [], begin + size
        while len(choices) < CHOICES:  # no two alike: they would tie
            choice = " " + " ".join(words[at:at + length])
            choices += [choice] if choice not in choices else []
            at = draw.randrange(len(words) - length)
        made.append({"context": " ".join(words[begin:begin + size]), "choices": choices})
    return made


def encode(text):
    return tokenizer.encode(text, split_special_tokens=True)


@torch.no_grad()
def loglikelihoods(pairs):
    """[(log-probability, tokens)] of continuations behind contexts, shortest first in batches."""
    jobs = []
    for context, choice in pairs:
        whole, start = encode(context + choice), len(encode(context))
        jobs.append((whole, start) if context else ([model.config.bos_token_id] + whole, 1))
    found = [None] * len(jobs)
    order = sorted(range(len(jobs)), key=lambda i: len(jobs[i][0]))
    for first in range(0, len(order), 16):
        some = order[first:first + 16]
        longest = max(len(jobs[i][0]) for i in some)
        rows = model(torch.tensor([jobs[i][0] + [0] * (longest - len(jobs[i][0])) for i in some]))
        scores = rows.logits.double().log_softmax(-1)
        for row, i in zip(scores, some):
            ids, start = jobs[i]
            at = torch.arange(start, len(ids))
            found[i] = (float(row[at - 1, torch.tensor(ids)[at]].sum()), len(ids) - start)
    return found


def by_rule(rule, choice, found, alone):
    length = {"per_token": found[1], "per_byte": len(choice.encode()), "per_character": len(choice)}
    return found[0] - alone[0] if rule == "pointwise" else found[0] / length.get(rule, 1)


def check_rankings():
    asked = items()
    pairs = [(item["context"], choice) for item in asked for choice in item["choices"]]
    found = loglikelihoods(pairs)
    alone = loglikelihoods([("", choice) for _, choice in pairs])
    for rule in RULES:
        answers = ours(asked, "--by", rule)
        got = [choice for answer in answers for choice in answer["choices"]]
        want = [by_rule(rule, choice, *scores)
                for (_, choice), *scores in zip(pairs, found, alone)]
        sums = max(abs(a["log_prob"] - b[0]) for a, b in zip(got, found))
        check(f"{rule}: {len(got)} log-probabilities within {TOLERANCE}, the farthest {sums:.1e}",
              len(got) == len(want) and sums <= TOLERANCE)
        values = max(abs(a["value"] - b) for a, b in zip(got, want))
        check(f"{rule}: values, the farthest {values:.1e}", values <= 2 * TOLERANCE)
        rows = [want[i:i + CHOICES] for i in range(0, len(want), CHOICES)]
        picks = [row.index(max(row)) for row in rows]
        ours_picked = [answer["best"] for answer in answers]
        accuracy = [sum(pick == 0 for pick in list_) / ITEMS for list_ in (picks, ours_picked)]
        check(f"{rule}: accuracy {accuracy[1]:.4f}", picks == ours_picked, accuracy)


@torch.no_grad()
def check_windows():
    """Passages of some 1,000 tokens."""
    window = model.config.n_positions
    texts = [" ".join(path.read_text(encoding="utf-8").split()[2000:2700]) for path in TEXTS]
    for path, text, answer in zip(TEXTS, texts, ours([{"text": text} for text in texts],
                                                     "--stride", str(STRIDE))):
        ids, done, want = encode(text), 0, []
        for begin in range(0, len(ids), STRIDE):
            end = min(begin + window, len(ids))
            rows = model(torch.tensor([ids[begin:end]])).logits[0].double().log_softmax(-1)
            want += [float(rows[i - begin - 1, ids[i]]) for i in range(max(done, begin + 1), end)]
            done = end
            if end == len(ids):
                break
        got = [token["log_prob"] for token in answer["tokens"][1:]]
        worst = max(map(abs, (a - b for a, b in zip(got, want))))
        check(f"{path.stem}: {len(want)} tokens in windows, the farthest {worst:.1e}",
              len(got) == len(want) > window and worst <= TOLERANCE)
        perplexity = math.exp(-sum(want) / len(want))
        check(f"{path.stem}: perplexity {answer['perplexity']:.4f}",
              abs(answer["perplexity"] / perplexity - 1) < 1e-5, perplexity)


def main():
    torch.set_num_threads(2)
    check_rankings()
    check_windows()
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
