#!/usr/bin/env python3
"""The walk of a text through a model (schema gpt2-walk/1), as PyTorch and transformers see it.

    pip install -r tests/reference/requirements.txt
    python tests/reference/make_walk.py                     # writes tests/reference/walk/*.json
    python tests/reference/make_walk.py FOLDER --prompt TEXT --new 6 --output walk.json

All stages come from GPT2LMHeadModel in float64 by the hooks of make_models.py, what sampling leaves
from transformers' own logits warpers, merges from tokenizer.json. Without sampling options the
tokens are chosen greedily; a draw of this script takes the numbers of --draws, one a token.
"""

import argparse
import base64
import json
import math
import pathlib

import torch
from transformers import AutoTokenizer, GPT2LMHeadModel
from transformers.generation import (TemperatureLogitsWarper, TopKLogitsWarper,
                                     TopPLogitsWarper)

from make_models import stages_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests/reference/models"
FIXTURES = {
    "base": [str(MODELS / "base"), "--ids", "3,1,4,1,5,9,2,6", "--new", "4"],
    "tales": [str(ROOT / "examples/models/tales"), "--prompt", "The fox", "--new", "2",
              "--temperature", "0.8", "--top-k", "40", "--top-p", "0.95", "--draws", "0.37,0.81"],
}


def number(value, digits=6):
    value = float(value)
    if math.isfinite(value):
        return float(f"{value:.{digits}g}")
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def numbers(values, digits=6):
    return [number(value, digits) for value in values]


def packed(values):
    halves = values.to(torch.float16).contiguous().numpy().astype("<f2").tobytes()
    return {"shape": list(values.shape), "f16": base64.b64encode(halves).decode()}


def triangles(values):
    """(H, W, W) as (H, W(W + 1)/2): the lower triangles, row by row."""
    rows, columns = torch.tril_indices(*values.shape[1:])
    return packed(values[:, rows, columns])


def byte_alphabet():
    """The character by which vocabularies of byte-level BPE write each byte, and back."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + i): byte for i, byte in enumerate(rest)}


ALPHABET = byte_alphabet()


def bytes_of(token):
    """Of a token as the vocabulary writes it; special tokens stand for themselves."""
    if all(c in ALPHABET for c in token):
        return bytes(ALPHABET[c] for c in token)
    return token.encode()


def text_or_none(data):
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def shown(data):
    text = text_or_none(data)
    return "".join(f"<0x{byte:02X}>" for byte in data) if text is None else text


class words:
    """What a tokenizer says of ids; nothing without one."""

    def __init__(self, folder):
        file = folder / "tokenizer.json"
        self.tokenizer = AutoTokenizer.from_pretrained(folder) if file.exists() else None
        merges = json.loads(file.read_text())["model"]["merges"] if file.exists() else []
        pairs = (pair if isinstance(pair, list) else pair.split(" ") for pair in merges)
        self.ranks = {tuple(pair): rank for rank, pair in enumerate(pairs)}

    def bytes(self, id):
        return bytes_of(self.tokenizer.convert_ids_to_tokens(id))

    def merges(self, id):
        parts, steps = list(self.tokenizer.convert_ids_to_tokens(id)), []
        while len(parts) > 1:
            best = min(zip(parts, parts[1:]), key=lambda pair: self.ranks.get(pair, math.inf))
            if best not in self.ranks:
                return []
            steps.append([shown(bytes_of(part)) for part in best])
            i = 0
            while i + 1 < len(parts):
                if (parts[i], parts[i + 1]) == best:
                    parts[i : i + 2] = ["".join(best)]
                i += 1
        return steps

    def vocabulary(self, ids):
        if not self.tokenizer:
            return {}
        return {str(id): shown(self.bytes(id)) for id in sorted(ids)}


def filters_of(how):
    """Names and transformers' warpers, in its order."""
    if how.temperature == 0:
        return
    if how.temperature != 1:
        yield f"temperature {how.temperature:g}", TemperatureLogitsWarper(how.temperature)
    if how.top_k:
        yield f"top-k {how.top_k}", TopKLogitsWarper(how.top_k)
    if how.top_p < 1:
        yield f"top-p {how.top_p:g}", TopPLogitsWarper(how.top_p)


def histogram(logits, bins=64):
    """[logit, count] of equal stretches; the logit is that of the mean of e^logit."""
    if not logits.numel():
        return []
    low, high = logits.min(), logits.max()
    place = ((logits - low) / (high - low).clamp(min=1e-9) * bins).long().clamp(max=bins - 1)
    parts = [logits[place == bin] for bin in range(bins - 1, -1, -1)]
    return [[number(part.logsumexp(0) - math.log(part.numel())), part.numel()]
            for part in parts if part.numel()]


def choice(logits, position, how, draw):
    """One entry of `steps`; draws run through the survivors in ascending order of id."""
    order = torch.sort(logits, descending=True, stable=True).indices
    first = order[:1024]
    step = {"position": position,
            "candidates": {"ids": first.tolist(), "logits": numbers(logits[first].float(), 9)},
            "rest": histogram(logits[order[1024:]]),
            "probabilities": numbers(logits.softmax(-1)[order[:10]]), "filters": []}
    scores = logits.float()[None]
    if how.temperature == 0:
        gone = sorted(order[1:].tolist())
        step["filters"].append({"filter": "greedy", "removed": len(gone), "examples": gone[:10]})
        scores = torch.full_like(scores, -torch.inf)
        scores[0, order[0]] = 0
    for name, warper in filters_of(how):
        before = scores.isfinite()
        scores = warper(None, scores)
        gone = (before & ~scores.isfinite())[0].nonzero().flatten().tolist()
        if gone:
            step["filters"].append({"filter": name, "removed": len(gone), "examples": gone[:10]})
    weights = scores[0].double().softmax(-1)
    chosen = int(order[0]) if draw is None else \
        int((weights.cumsum(0) > draw).nonzero()[0])
    step |= {"survivors": int(scores.isfinite().sum()), "chosen": chosen,
             "chosen_probability": number(weights[chosen]), "draw": draw}
    return step


def lens_of(model, stages, layers, ids, rows):
    """What each depth would answer: ln_f and the head on the residual stream."""
    streams = [stages["embedding"]] + [stages[f"h.{i}.block"] for i in range(layers)]
    table = []
    for stream in streams:
        logits = model.lm_head(model.transformer.ln_f(stream[rows]))
        best = logits.softmax(-1).topk(min(5, logits.shape[-1]))
        following = [*ids, None][rows.start + 1 : rows.stop + 1]
        ranks = [0 if id is None else 1 + int((row > row[id]).sum())
                 for row, id in zip(logits, following)]
        table.append([{"ids": best.indices[i].tolist(), "probabilities": numbers(best.values[i]),
                       "chosen_rank": rank} for i, rank in enumerate(ranks)])
    return table


def moments(values):
    return {"mean": numbers(values.mean(-1)),
            "variance": numbers(values.var(-1, unbiased=False))}


def layer_of(stages, config, layer, rows):
    here = {name.split(".")[2]: value[..., :, :] for name, value in stages.items()
            if name.startswith(f"h.{layer}.")}
    went_in = stages["embedding"] if layer == 0 else stages[f"h.{layer - 1}.block"]
    split = lambda x: x[rows].reshape(-1, config.n_head, config.n_embd // config.n_head)
    norm = lambda x: numbers(x[rows].norm(dim=-1))
    weights, active = here["weights"][:, rows], here["activation"][rows]
    surprise = torch.where(weights > 0, -weights * weights.log2(), 0.0).sum(-1)
    top = active.abs().topk(min(8, active.shape[-1])).indices
    return {
        "ln_1": moments(went_in[rows]), "ln_2": moments(here["attention_residual"][rows]),
        **{name: packed(split(here[name])) for name in "qkv"},
        "scores": triangles(here["scores"][:, rows, rows]),
        "weights": triangles(weights[:, :, rows]),
        "earlier": packed(weights[:, :, : rows.start].sum(-1)),
        "head_norms": packed(split(here["heads"]).norm(dim=-1).T),
        "attention_norm": norm(here["attention"]), "mlp_norm": norm(here["mlp"]),
        "residual_norm": norm(here["block"]), "middle_norm": norm(here["attention_residual"]),
        "entropy": packed(surprise),
        "active_share": numbers((active > 0).double().mean(-1)),
        "top_units": [[[unit, number(row[unit])] for unit in units]
                      for row, units in zip(active, top.tolist())]}


def sinusoidal(positions, width):
    i = torch.arange(width)
    angle = positions[:, None] / 10000.0 ** ((i - i % 2).double() / width)
    return torch.where(i % 2 == 0, angle.sin(), angle.cos())


def tokens_of(speech, ids, prompt, rows):
    entries, end = [], 0
    for place, id in enumerate(ids):
        data = speech.bytes(id) if speech.tokenizer else b""
        begin, end = end, end + len(data)
        if place not in range(rows.start, rows.stop):
            continue
        entries.append({"id": id, "text": text_or_none(data) if speech.tokenizer else None,
                        "hex": data.hex(), "begin": begin, "end": end, "written": place >= prompt,
                        "merges": speech.merges(id) if speech.tokenizer else []})
    return entries


def facts(model, name, speech):
    config = model.config
    return {"name": name, "layers": config.n_layer, "heads": config.n_head,
            "width": config.n_embd, "inner_width": config.n_inner or 4 * config.n_embd,
            "vocabulary_size": config.vocab_size, "context_length": config.n_positions,
            "activation": config.activation_function, "parameters": model.num_parameters(),
            "layer_norm_epsilon": config.layer_norm_epsilon,
            "tied_head": bool(config.tie_word_embeddings),
            "has_tokenizer": speech.tokenizer is not None}


@torch.no_grad()
def walk(how):
    folder = pathlib.Path(how.folder)
    model = GPT2LMHeadModel.from_pretrained(
        folder, dtype=torch.float64, attn_implementation="eager").eval()
    speech, config = words(folder), model.config
    ids = [int(id) for id in how.ids.split(",")] if how.ids else \
        speech.tokenizer(how.prompt)["input_ids"]
    prompt = len(ids)
    draws = [float(draw) for draw in how.draws.split(",")] if how.draws else [None] * how.new
    steps = []
    for draw in draws[: how.new]:
        logits = model(torch.tensor([ids])).logits[0, -1]
        steps.append(choice(logits, len(ids) - 1, how, draw))
        ids.append(steps[-1]["chosen"])
    rows = slice(max(0, len(ids) - how.window), len(ids))
    stages = stages_of(model, torch.tensor(ids))
    lens = lens_of(model, stages, config.n_layer, ids, rows)
    every = set(ids) | {id for row in lens for cell in row for id in cell["ids"]}
    for step in steps:
        every |= set(step["candidates"]["ids"])
        every |= {id for one in step["filters"] for id in one["examples"]}
    whole = [b"".join(map(speech.bytes, part)).decode(errors="replace") if speech.tokenizer else ""
             for part in (ids[:prompt], ids[prompt:])]
    embedding = {name: packed(stages[stage].expand(len(ids), -1)[rows]) for name, stage in
                 (("token", "token_embedding"), ("position", "position_embedding"),
                  ("sum", "embedding"))}
    positions = torch.arange(rows.start, rows.stop).double()
    last = stages[f"h.{config.n_layer - 1}.block"][rows]
    names = [name for name, _ in filters_of(how)] or ["greedy"]
    return {
        "schema": "gpt2-walk/1", "model": facts(model, folder.name, speech),
        "text": how.prompt if not how.ids else None, "continuation": whole[1],
        "notes": [] if rows.start == 0 else
        [f"Only the last {how.window} of {len(ids)} positions are shown."],
        "first_non_finite": None,
        "window": {"first": rows.start, "count": rows.stop - rows.start, "total": len(ids)},
        "prompt_tokens": prompt, "tokens": tokens_of(speech, ids, prompt, rows),
        "normalised": how.prompt if not how.ids else "",
        "embedding": embedding | {"sinusoidal": packed(sinusoidal(positions, config.n_embd))},
        "layers": [layer_of(stages, config, i, rows) for i in range(config.n_layer)],
        "lens": lens, "ln_f": moments(last), "steps": steps,
        "sampling": {"temperature": how.temperature, "top_k": how.top_k, "top_p": how.top_p,
                     "seed": 0, "description": ", ".join(names)},
        "vocabulary": speech.vocabulary(every), "post_processing": []}


def arguments(given=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--prompt", default="")
    parser.add_argument("--ids", default="", help="instead of a prompt: 1,2,3")
    parser.add_argument("--new", type=int, default=5, help="tokens to write")
    parser.add_argument("--window", type=int, default=32)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--top-k", type=int, default=0)
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--draws", default="", help="numbers in [0, 1), one for each new token")
    parser.add_argument("--output", type=pathlib.Path)
    return parser.parse_args(given)


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    asked = arguments()
    if asked.folder:
        write(asked.output or pathlib.Path("walk.json"), walk(asked))
    else:
        for name, given in FIXTURES.items():
            write(ROOT / "tests/reference/walk" / f"{name}.json", walk(arguments(given)))
