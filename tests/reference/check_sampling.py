"""Does the sampler program choose among the same tokens as HF transformers?

    python tests/reference/check_sampling.py build/examples [cases]

Puts random logits, texts and options (each processor of HF alone, then combinations; 3,000 cases
unless said otherwise) through build/examples/sampler --jsonl and through the list of processors
that `generate` builds for the same options. Survivors must be equal and probabilities within 1e-6.
Where HF's own answer in float64 is another one, rounding decides (a sum of probabilities that meets
top_p to the last bit): only there may survivors differ, and how often they do is printed. So is
where a tie is cut, because torch sorts ties in no defined order.

Exit status 77 without torch and transformers, 1 for a difference.
"""

import json
import pathlib
import subprocess
import sys

try:
    import numpy as np
    import torch
    import transformers  # noqa: F401
except ImportError as absent:
    print("skipped:", absent)
    sys.exit(77)

import sampling_cases as cases


def ask(program, requests):
    text = "".join(json.dumps(request) + "\n" for request in requests)
    run = subprocess.run([program, "--jsonl"], input=text, capture_output=True, text=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def requests_of(count):
    rng = np.random.default_rng(2022)
    for i in range(count):
        size = int(cases.choose(rng, 3, 17, 50, 200, 2000))
        names = [cases.NAMES[i % len(cases.NAMES)]] if i < count // 3 else None
        yield cases.request_with(rng, size, names)


def cuts_ties(ours, theirs):
    """Whether the answers differ in nothing but which of some equal probabilities stay (of those
    that vanish in float32 any number: for it the places of -infinity are as good)."""
    ours, theirs = (np.sort([p for p in side if p > 1e-20]) for side in (ours, theirs))
    return len(ours) == len(theirs) and np.allclose(ours, theirs, rtol=0, atol=1e-7)


def differs(request, ours, counts):
    """Says how our answer differs from HF's, or nothing."""
    try:
        ids, probabilities, edge = cases.hf_answer(request)
    except ValueError:  # a token both forced and suppressed
        counts["refused by HF"] += 1
        return None
    if "error" in ours:
        if not ids and "banned" in ours["error"]:
            counts["all banned"] += 1
            return None
        return ours["error"]
    if ours["survivors"] != ids:
        ties = cuts_ties(ours["probabilities"], probabilities)
        kind = "ties" if ties else "rounding" if edge else None
        if kind is None:
            return f"survivors {ours['survivors'][:20]}, HF has {ids[:20]}"
        counts[kind] += 1
        return None
    error = max(np.abs(np.array(ours["probabilities"]) - probabilities), default=0)
    counts["largest error"] = max(counts["largest error"], float(error))
    return f"probabilities differ by {error}" if error > 1e-6 else None


def main(folder, count):
    program = pathlib.Path(folder) / "sampler"
    requests = list(requests_of(count))
    counts = {"refused by HF": 0, "all banned": 0, "rounding": 0, "ties": 0, "largest error": 0.0}
    wrong = 0
    for request, ours in zip(requests, ask(program, requests), strict=True):
        problem = differs(request, ours, counts)
        if problem:
            wrong += 1
            print(problem, json.dumps({**request, "logits": request["logits"][:60]})[:900])
    print(f"{count} cases, {wrong} wrong,", ", ".join(f"{k} {v}" for k, v in counts.items()))
    return 1 if wrong else 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3000))
