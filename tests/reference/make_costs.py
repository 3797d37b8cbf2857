"""What PyTorch's flop counter counts in GPT-2: tests/reference/costs.json.

    pip install -r tests/reference/requirements.txt
    python tests/reference/make_costs.py

GPT2LMHeadModel of transformers with eager attention runs on the meta device, where tensors have
shapes and no numbers, under torch.utils.flop_counter. For passes of `tokens` new positions behind
`before` others, with logits of the last position: the operations of the matrices of attention
(addmm in `attn`), of scores and weighted values (bmm), of the feed-forward layers and of the head.
"""

import json
import pathlib

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

SHAPES = {"gpt2": (12, 768, 12), "distil": (6, 768, 12), "medium": (24, 1024, 16)}
PASSES = [(0, 1), (1, 1), (511, 1), (1023, 1), (0, 5), (0, 512), (100, 28)]


def counted(model, before, tokens):
    c = model.config
    past = DynamicCache(config=c)
    if before:
        size = (1, c.n_head, before, c.n_embd // c.n_head)
        for layer in range(c.n_layer):
            past.update(torch.empty(size, device="meta"), torch.empty(size, device="meta"), layer)
    ids = torch.zeros((1, tokens), dtype=torch.long, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(ids, past_key_values=past, use_cache=True, logits_to_keep=1)
    parts = {"projections": 0, "scores": 0, "feed_forward": 0, "head": 0}
    for name, operations in counter.get_flop_counts().items():
        for operation, flops in operations.items():
            if name.endswith(".attn"):
                parts["scores" if "bmm" in str(operation) else "projections"] += flops
            elif name.endswith(".mlp"):
                parts["feed_forward"] += flops
            elif name.endswith(".lm_head"):
                parts["head"] += flops
    assert sum(parts.values()) == counter.get_total_flops(), parts
    return parts


def main():
    found = []
    for name, (layers, width, heads) in SHAPES.items():
        config = GPT2Config(n_layer=layers, n_embd=width, n_head=heads,
                            attn_implementation="eager")
        with torch.device("meta"):
            model = GPT2LMHeadModel(config).eval()
        for before, tokens in PASSES:
            found.append({"shape": name, "before": before, "tokens": tokens,
                          **counted(model, before, tokens)})
    path = pathlib.Path(__file__).parent / "costs.json"
    path.write_text("[\n" + ",\n".join(json.dumps(one) for one in found) + "\n]\n")


if __name__ == "__main__":
    main()
