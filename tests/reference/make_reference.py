#!/usr/bin/env python3
"""Writes reference.json beside a model: what Hugging Face transformers, in float64, finds at every
stage of one short pass. `gpt2::verify` (include/gpt2/verify.hpp) and `inspect --verify` compare.

    pip install -r tests/reference/requirements.txt
    python tests/reference/make_reference.py FOLDER [--positions N] [--seed S] [--output FILE]

Of every stage it keeps the norm and a weighted sum: the weight of a value is a hash of its
row-major index. Of the logits it keeps the beginning of the first position's, and those around the
best of the last. Several folders may be given, each gets its own file.
"""

import argparse
import json
import pathlib

import numpy as np
import torch
import transformers
from safetensors import safe_open
from transformers import GPT2LMHeadModel

from make_models import stages_of

ORDER = ["ln_1", "q", "k", "v", "scores", "weights", "heads", "attention", "attention_residual",
         "ln_2", "c_fc", "activation", "mlp", "block"]


def weights(count):
    """A hash of each index, as a fraction in [-1, 1)."""
    bits = np.arange(count, dtype=np.uint32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        bits = (bits ^ bits >> np.uint32(shift)) * np.uint32(factor)
    return (bits ^ bits >> np.uint32(16)) / 2.0**31 - 1.0


def number(value):
    return float(f"{float(value):.9g}")


def stage(name, values):
    flat = values.detach().numpy().astype(np.float64).reshape(-1)
    entry = {"stage": name.rsplit(".", 1)[-1]}
    if name.startswith("h."):
        entry["layer"] = int(name.split(".")[1])
    return entry | {"norm": number(np.sqrt(flat @ flat)), "sum": number(flat @ weights(flat.size))}


def stored_kind(folder):
    """The type of all matrices in the files; None when they differ or it cannot be told."""
    kinds = set()
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            slices = [file.get_slice(name) for name in file.keys()]
            kinds |= {part.get_dtype() for part in slices if len(part.get_shape()) == 2}
    for path in [] if kinds else sorted(folder.glob("pytorch_model*.bin")):
        names = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16",
                 torch.bfloat16: "BF16"}
        tensors = torch.load(path, weights_only=True)
        kinds |= {names.get(part.dtype) for part in tensors.values() if part.dim() == 2}
    return kinds.pop() if len(kinds) == 1 else None


def slices(logits):
    best = int(logits[-1].argmax())
    last = max(0, min(best - 8, logits.shape[1] - 16))
    parts = [(0, 0), (logits.shape[0] - 1, last)]
    return [{"position": position, "first": first,
             "values": [number(x) for x in logits[position, first : first + 16]]}
            for position, first in parts]


def reference(folder, positions, seed, tolerance):
    model = GPT2LMHeadModel.from_pretrained(
        folder, dtype=torch.float64, attn_implementation="eager").eval()
    if model.config.reorder_and_upcast_attn:  # its eager form rounds to float32
        model.set_attn_implementation("sdpa")
    count = min(positions, model.config.n_positions)
    random = torch.Generator().manual_seed(seed)
    ids = torch.randint(model.config.vocab_size, (count,), generator=random)
    with torch.no_grad():
        found = stages_of(model, ids)
    names = ["token_embedding", "position_embedding", "embedding"]
    names += [f"h.{i}.{name}" for i in range(model.config.n_layer) for name in ORDER]
    names += ["ln_f", "logits"]
    made = {"format": 1, "made_with": f"transformers {transformers.__version__}, float64",
            "tolerance": tolerance}
    kind = stored_kind(folder)
    if kind:
        made["stored"] = kind
    made["ids"] = ids.tolist()
    made["stages"] = [stage(name, found[name]) for name in names]
    made["logits"] = slices(found["logits"])
    return made


def text_of(made):
    """JSON with an entry of a list to a line."""
    line = lambda value: json.dumps(value, separators=(", ", ": "))
    parts = []
    for key, value in made.items():
        inner = line(value)
        if key in ("stages", "logits"):
            inner = "[\n  " + ",\n  ".join(line(entry) for entry in value) + "\n ]"
        parts.append(f" {line(key)}: {inner}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path, nargs="+")
    parser.add_argument("--positions", type=int, default=8, help="tokens of the pass, up to 256")
    parser.add_argument("--seed", type=int, default=1, help="of the random tokens")
    parser.add_argument("--tolerance", type=float, default=2e-5, help="of a model in float32")
    parser.add_argument("--output", type=pathlib.Path, help="default: reference.json in the folder")
    given = parser.parse_args()
    if given.output and len(given.folder) > 1:
        parser.error("--output is for one folder")
    for folder in given.folder:
        made = reference(folder, min(given.positions, 256), given.seed, given.tolerance)
        (given.output or folder / "reference.json").write_text(text_of(made))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
