"""Which tokens survive, and how likely they are: tests/reference/sampler/{hf,openai2019}.jsonl.

    pip install -r tests/reference/requirements.txt
    python tests/reference/make_sampling.py

A line is a request as the sampler program takes it, with the answer: `survivors`, ids ascending,
and their `probabilities`, rounded to 1e-8. hf.jsonl is answered by the list of processors that
`generate` of HF transformers builds for the same options, each processor alone and combinations;
where float64 would decide otherwise, a case is left out, because there rounding decides. Torch cuts
ties in no defined order, so there a test may compare probabilities only. For a whole vocabulary
logits come from a formula, "wave": [size, spread], and the answer is the count of survivors, the
sum of their ids, and the highest probability.

openai2019.jsonl: no package of OpenAI's code exists, so the rule of sample.py in openai/gpt-2 is
written down here: temperature, then top_k (logits below the k-th go), then top_p: of the sorted
probabilities those up to the cumulative sum p stay, at least one, and whatever is not below the
last of them.
"""

import json
import pathlib

import numpy as np
import torch

import sampling_cases as cases

FOLDER = pathlib.Path(__file__).parent / "sampler"


def rounded(request):
    """With logits of few digits, so that the file stays small."""
    request["logits"] = [round(x, 2) if np.isfinite(x) else x for x in request["logits"]]
    return request


def line(request, survivors, probabilities):
    answer = {"survivors": survivors, "probabilities": [round(p, 8) for p in probabilities]}
    return json.dumps({**request, **answer}, separators=(",", ":")) + "\n"


def hf_line(request):
    """The line of a case, unless it is one in which rounding decides."""
    try:
        ids, probabilities, edge = cases.hf_answer(request)
    except ValueError:
        return None
    if edge or not ids:
        return None
    return line(request, ids, probabilities)


def hf_lines(rng):
    lines = []
    plans = [[name] for name in cases.NAMES for _ in range(4)] + [None] * 90
    for names in plans:
        found = None
        while not found:
            size = int(cases.choose(rng, 3, 12, 25, 40))
            found = hf_line(rounded(cases.request_with(rng, size, names)))
        lines.append(found)
    return lines


def wave(size, spread):
    mixed = (np.arange(size, dtype=np.uint64) * 10007 + 12345) % 65537
    return (mixed.astype(np.float32) - np.float32(32768)) / np.float32(16384) * np.float32(spread)


def whole_lines():
    """Whole vocabularies."""
    lines = []
    options = [
        {"min_p": 0.1},
        {"typical_p": 0.5},
        {"typical_p": 0.95},
        {"epsilon_cutoff": 3e-5},
        {"eta_cutoff": 3e-4},
        {"top_h": 0.4},
        {"temperature": 0.7, "top_p": 0.9, "min_p": 0.02, "typical_p": 0.9},
        {"top_k": 1000, "top_p": 0.95, "eta_cutoff": 1e-3},
    ]
    for size in (2000, 50257):
        for spread in (0.5, 4.0):
            for option in options:
                request = {"tokens": [], "prompt_length": 0, "options": option}
                given = {**request, "logits": wave(size, spread).tolist()}
                ids, probabilities, edge = cases.hf_answer(given)
                if edge:
                    continue
                answer = {
                    "wave": [size, spread],
                    "count": len(ids),
                    "sum": sum(ids),
                    "highest": max(probabilities),
                }
                lines.append(json.dumps({**request, **answer}, separators=(",", ":")) + "\n")
    return lines


def openai_answer(logits, temperature, top_k, top_p):
    scores = torch.tensor(logits, dtype=torch.float32) / temperature
    if top_k:
        least = torch.topk(scores, min(top_k, len(scores)))[0][-1]
        scores = torch.where(scores < least, torch.tensor(-np.inf), scores)
    if top_p < 1:
        values = torch.sort(scores, descending=True)[0]
        cumulative = torch.cumsum(torch.softmax(values, -1), -1)
        stay = max(int((cumulative <= top_p).sum()) - 1, 0)
        scores = torch.where(scores < values[stay], torch.tensor(-np.inf), scores)
    return cases.answer(scores.double().numpy())


def openai_lines(rng):
    lines = []
    for _ in range(40):
        logits = rounded({"logits": cases.random_logits(rng, int(rng.integers(1, 41)))})["logits"]
        options = {
            "temperature": float(cases.choose(rng, 1.0, 0.5, 0.7, 1.5)),
            "top_k": int(cases.choose(rng, 0, 1, 5, 40)),
            "top_p": float(cases.choose(rng, 1.0, 0.05, 0.3, 0.5, 0.9, 0.95)),
        }
        request = {"logits": logits, "dialect": "openai2019", "options": options}
        lines.append(line(request, *openai_answer(logits, *options.values())))
    for logits, p in (([0.0] * 8, 0.5), ([0.0] * 8, 0.49), ([0, 7, 7, 7], 0.0), ([1, 2], 0.99)):
        options = {"temperature": 1.0, "top_k": 0, "top_p": p}
        logits = [float(x) for x in logits]
        request = {"logits": logits, "dialect": "openai2019", "options": options}
        lines.append(line(request, *openai_answer(logits, *options.values())))
    return lines


if __name__ == "__main__":
    torch.set_num_threads(1)
    rng = np.random.default_rng(2019)
    files = {"hf.jsonl": hf_lines(rng) + whole_lines(), "openai2019.jsonl": openai_lines(rng)}
    for name, lines in files.items():
        (FOLDER / name).write_text("".join(lines))
        print(name, len(lines), "cases,", sum(map(len, lines)), "bytes")
