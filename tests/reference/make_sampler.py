"""Which tokens HF transformers keeps: tests/reference/sampler/kept.txt and nucleus.txt.

    pip install -r tests/reference/requirements.txt
    python tests/reference/make_sampler.py

The logits processors of transformers run in float32 on the CPU, in the order `generate` uses:
temperature, top-k, top-p. One case a line:

    temperature top_k top_p | logits | kept ids

Temperature and logits are the bits of a float32 in hexadecimal, top_p is a double's shortest
decimal. ff800000, -infinity, is a banned token; banned tokens never count as kept.

torch sorts ties in no defined order, so where top-p cuts through equal scores only the number of
kept tokens is compared, written `#n` (ours keeps the lowest ids; the unit tests say so).
"""

import pathlib

import numpy as np
import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

FOLDER = pathlib.Path(__file__).parent / "sampler"


def kept(logits, temperature, top_k, top_p):
    """The ids HF leaves, and whether top-p cut through a run of equal scores."""
    scores = torch.from_numpy(logits)[None]
    ids = torch.zeros((1, 1), dtype=torch.long)
    if temperature != 1.0:
        scores = TemperatureLogitsWarper(float(np.float32(temperature)))(ids, scores)
    if top_k:
        scores = TopKLogitsWarper(top_k)(ids, scores)
    before = scores[0].numpy().copy()
    if top_p < 1.0:
        scores = TopPLogitsWarper(top_p)(ids, scores)
    stays = np.isfinite(scores[0].numpy())
    gone = np.isfinite(before) & ~stays
    cut_ties = bool(stays.any() and gone.any() and before[stays].min() == before[gone].max())
    return np.flatnonzero(stays), cut_ties


def bits(value):
    return f"{np.float32(value).view(np.uint32):08x}"


def row(logits, temperature, top_k, top_p):
    ids, cut_ties = kept(logits, temperature, top_k, top_p)
    stays = f"#{len(ids)}" if cut_ties else " ".join(map(str, ids))
    setting = f"{bits(temperature)} {top_k} {float(top_p)!r}"
    return f"{setting} | {' '.join(map(bits, logits))} | {stays}\n"


def random_logits(rng):
    size = int(rng.integers(1, 65))
    logits = rng.normal(0, rng.choice([0.1, 1, 3, 10]), size)
    style = rng.integers(0, 5)
    if style == 1:
        logits = np.round(logits)  # many ties
    if style == 2:
        logits = np.round(logits * 4) / 4  # some ties
    if style == 3 and size > 1:
        logits[rng.permutation(size)[: size // 3]] = -np.inf  # banned
    if style == 4:
        logits = logits * 20 - 50  # far from 0
    return logits.astype(np.float32)


def random_rows(rng, count):
    temperatures = [1.0, 0.1, 0.5, 0.7, 0.8, 1.3, 2.0, 10.0]
    rows = []
    while len(rows) < count:
        logits = random_logits(rng)
        chain = rng.integers(1, 8)  # bit 0: temperature, 1: top-k, 2: top-p
        temperature = float(rng.choice(temperatures)) if chain & 1 else 1.0
        top_k = int(rng.integers(1, logits.size + 3)) if chain & 2 else 0
        top_p = float(rng.choice([0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99])) if chain & 4 else 1.0
        if chain & 4 and rng.integers(0, 3) == 0:
            top_p = float(np.round(rng.random(), 6))
        rows.append(row(logits, temperature, top_k, top_p))
    return rows


def boundary_rows():
    """Probabilities that float32 holds exactly, so that the cumulative sum meets 1 - p exactly."""
    log = lambda *p: np.log(np.array(p, dtype=np.float64)).astype(np.float32)
    rows = []
    vector = log(0.1, 0.2, 0.3, 0.4)
    for p in (0.0, 0.65, 0.85, 0.999):
        rows.append(row(vector, 1.0, 0, p))
    for t, k, p in ((1.0, 3, 0.7), (2.0, 3, 0.7), (0.5, 3, 0.7), (0.5, 0, 0.7), (2.0, 0, 0.7)):
        rows.append(row(vector, t, k, p))  # the order of the filters changes these sets
    for tie in ([3, 2, 2, 1], [1, 1, 1, 1], [2, 2, 1, 1, 0], [-0.0, 0.0, -1]):
        for k in range(1, len(tie) + 2):
            rows.append(row(np.array(tie, np.float32), 1.0, k, 1.0))
    # 0 and -200: the weights are 1 and 0, the sums multiples of 1/n; p on and beside each sum.
    for n in (1, 2, 3, 4, 5, 7, 8, 10, 16):
        flat = np.full(n + 2, -200, np.float32)
        flat[1 : n + 1] = 0
        rows += [row(flat, 1.0, 0, p) for p in [0.9999999] + [i / n for i in range(n)]]
    # Pairs a distance apart: p exactly at, just below and just above what the sum leaves.
    rng = np.random.default_rng(5)
    for _ in range(40):
        logits = rng.normal(0, 2, int(rng.integers(2, 20))).astype(np.float32)
        sums = np.sort(torch.from_numpy(logits).softmax(-1).numpy())[::-1].cumsum(dtype=np.float64)
        at = float(sums[rng.integers(0, len(sums))])
        for shift in (-1e-5, 1e-5):
            if 0 < at + shift < 1:
                rows.append(row(logits, 1.0, 0, at + shift))
    return rows


def large_rows():
    """Over a whole vocabulary the logits come from a formula, and a row keeps the count, the sum
    of the ids and the lowest kept logit: `temperature top_k top_p spread | count sum lowest`."""
    rows = []
    for spread in (0.01, 1.0, 4.0, 12.0):
        for t, k, p in ((1, 50, 1), (0.8, 0, 0.9), (0.8, 40, 0.95), (1, 0, 0.5), (1.5, 1000, 0.99)):
            logits = formula(50257, spread)
            ids, cut_ties = kept(logits, t, k, p)
            assert not cut_ties
            setting = f"{bits(t)} {k} {float(p)!r} {bits(spread)}"
            rows.append(f"{setting} | {len(ids)} {ids.sum()} {bits(logits[ids].min())}\n")
    return rows


def formula(size, spread):
    """Distinct multiples of 2^-16 in [-2, 2), times the spread: one rounding, so any language gets
    the same bits."""
    mixed = (np.arange(size, dtype=np.uint64) * 10007 + 12345) % 65537
    return (mixed.astype(np.float32) - np.float32(32768)) / np.float32(16384) * np.float32(spread)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    rng = np.random.default_rng(2019)
    (FOLDER / "kept.txt").write_text("".join(boundary_rows() + random_rows(rng, 400)))
    (FOLDER / "nucleus.txt").write_text("".join(large_rows()))
    for name in ("kept.txt", "nucleus.txt"):
        text = (FOLDER / name).read_text()
        print(name, text.count("\n"), "cases,", len(text), "bytes")
