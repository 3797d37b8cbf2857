"""Walks to open: the committed ones, one of GPT-2's size, one full of hostile texts; and what
sampling must give for them, by the rules of transformers, computed apart from the page."""

import base64
import copy
import json
import math
import random
import struct

from browser import WALKS

HOSTILE = ["</script><script>window.ran = 1</script>", "<img src=x onerror='window.ran = 2'>",
           "<!--<script>", "‮evil‬ ⁦x⁩", "a\u0000b\u001b[31m\u007f\u0085",
           "�\ud83d", "\u0301\u0301\u0301 e\u0301", "]]>&lt;&amp;{{x}}${window.ran = 3}",
           "مرحبا עולם", "​﻿­⁠", "𝕏😀\U000e0041", "\u2028\u2029\r\n\t"]


def load(name):
    return json.loads((WALKS / f"{name}.json").read_text())


def text_of(walk):
    """JSON in which half characters are escapes, as any writer must have them."""
    return json.dumps(walk, ensure_ascii=False).encode("utf-8", "backslashreplace").decode() \
        if "\\ud" not in json.dumps(walk) else json.dumps(walk)


def unpack(packed):
    """The numbers of a packed array, row-major."""
    data = base64.b64decode(packed["f16"])
    return struct.unpack(f"<{len(data) // 2}e", data)


def random_halves(shape, source):
    """Halves between 2^-8 and 2 of either sign."""
    count = math.prod(shape)
    low = source.randbytes(count)
    high = bytes((byte & 0x80) | 0x1c + (byte & 0x1f) for byte in source.randbytes(count))
    data = bytes(byte for pair in zip(low, high) for byte in pair)
    return {"shape": list(shape), "f16": base64.b64encode(data).decode()}


def of_gpt2_size():
    """32 tokens, 12 layers, 12 heads, width 768; the words are those of the bundled model."""
    walk, source = load("tales"), random.Random(1)
    W, L, H, C, V = 32, 12, 12, 768, 50257
    walk["model"] |= {"layers": L, "heads": H, "width": C, "inner_width": 4 * C,
                      "vocabulary_size": V, "parameters": 124439808}
    token = walk["tokens"][1]
    step, prompt = walk["steps"][0], W - 8
    walk["window"] = {"first": 0, "count": W, "total": W}
    walk["prompt_tokens"] = prompt
    walk["tokens"] = [token | {"written": i >= prompt} for i in range(W)]
    packed = lambda *shape: random_halves(shape, source)
    walk["embedding"] = {name: packed(W, C) for name in walk["embedding"]}
    ramp = lambda: [source.uniform(0, 9) for _ in range(W)]
    walk["layers"] = [
        {name: packed(W, H, C // H) for name in "qkv"} |
        {name: packed(H, W * (W + 1) // 2) for name in ("scores", "weights")} |
        {name: packed(H, W) for name in ("earlier", "head_norms", "entropy")} |
        {name: {"mean": ramp(), "variance": ramp()} for name in ("ln_1", "ln_2")} |
        {name: ramp() for name in ("attention_norm", "mlp_norm", "residual_norm", "middle_norm")} |
        {"active_share": [source.random() for _ in range(W)],
         "top_units": [[[unit, source.uniform(-3, 3)] for unit in range(8)] for _ in range(W)]}
        for _ in range(L)]
    cell = walk["lens"][-1][0]
    walk["lens"] = [[cell] * W for _ in range(L + 1)]
    walk["ln_f"] = {"mean": ramp(), "variance": ramp()}
    walk["steps"] = [step | {"position": i - 1} for i in range(prompt, W)]
    return walk


def hostile():
    """The committed walk, with texts that would run, hide or turn what stands around them."""
    walk = copy.deepcopy(load("tales"))
    nasty = lambda i: HOSTILE[i % len(HOSTILE)]
    walk["text"] = walk["normalised"] = " ".join(HOSTILE)
    walk["continuation"] = HOSTILE[0]
    walk["notes"] = [HOSTILE[1]]
    walk["model"]["name"] = HOSTILE[1]
    walk["sampling"]["description"] = HOSTILE[0]
    walk["first_non_finite"] = {"stage": HOSTILE[1], "layer": 1, "position": 0}
    for i, token in enumerate(walk["tokens"]):
        token |= {"text": nasty(i), "merges": [[nasty(i), nasty(i + 1)]]}
    walk["tokens"][1] |= {"text": None, "hex": "c3"}
    walk["tokens"][2] |= {"text": None, "hex": "a9"}
    for i, id in enumerate(list(walk["vocabulary"])):
        walk["vocabulary"][id] = nasty(i)
    for step in walk["steps"]:
        for entry in step["filters"]:
            entry["filter"] = HOSTILE[0]
    layer = walk["layers"][2]
    layer["ln_1"]["variance"][0] = "NaN"
    layer["residual_norm"][0] = "Infinity"
    bad = bytearray(base64.b64decode(layer["weights"]["f16"]))
    bad[0:2] = b"\x00\x7e"
    layer["weights"]["f16"] = base64.b64encode(bad).decode()
    before = "mide 5.4cm <b>ñ</b> fin"
    walk["post_processing"] = [
        {"step": HOSTILE[0], "before": before, "after": before.replace("5.4cm", HOSTILE[1]),
         "changes": [{"begin": 5, "end": 10, "from": "5.4cm", "to": HOSTILE[1]}]},
        {"step": "spaces", "before": "x", "after": "x", "changes": []}]
    return walk


def windowed():
    """The last rows of a longer text, of which the first two steps are not shown."""
    walk = copy.deepcopy(load("tales"))
    walk["window"] |= {"first": 7, "total": walk["window"]["count"] + 7}
    walk["prompt_tokens"] += 7
    walk["notes"] = ["Only the last 4 of 11 positions are shown."]
    for step in walk["steps"]:
        step["position"] += 7
    for layer in walk["layers"]:
        count = len(unpack(layer["earlier"]))
        layer["earlier"]["f16"] = base64.b64encode(struct.pack("<e", 0.25) * count).decode()
    return walk


def number(value):
    return float(value)


def every_logit(step):
    """(logit, id or None) of the whole vocabulary, best first, where the rest is a histogram."""
    entries = [(number(x), id) for x, id in
               zip(step["candidates"]["logits"], step["candidates"]["ids"])]
    for logit, count in step["rest"]:
        entries += [(number(logit), None)] * count
    return entries


def sampled(step, temperature, top_k, top_p):
    """{id: probability} of what transformers' warpers leave, and how many tokens that are."""
    entries = every_logit(step)
    if temperature == 0:
        return {entries[0][1]: 1.0}, 1
    scores = [(x / temperature, id) for x, id in entries]
    if top_k:
        border = scores[min(top_k, len(scores)) - 1][0]
        scores = [entry for entry in scores if entry[0] >= border]
    weights = [math.exp(x - scores[0][0]) for x, _ in scores]
    if top_p < 1:
        total, below, kept = math.fsum(weights), 0.0, len(weights)
        while kept > 1 and below + weights[kept - 1] / total <= 1 - top_p:
            kept -= 1
            below += weights[kept] / total
        scores, weights = scores[:kept], weights[:kept]
    total = math.fsum(weights)
    found = {id: weight / total for (_, id), weight in zip(scores, weights) if id is not None}
    return found, len(scores)
