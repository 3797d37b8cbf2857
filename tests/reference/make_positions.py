#!/usr/bin/env python3
"""Makes tests/reference/positions/: models/base with other positions than it learned.

    pip install -r tests/reference/requirements.txt
    python tests/reference/make_positions.py

GPT2LMHeadModel in float64, once with sinusoidal vectors in the place of wpe, once with none and
with queries and keys turned by GPT-J's apply_rotary_pos_emb. Angles are computed in float64 and
checked against SpeechT5's and GPT-J's own tables, which are float32.
"""

import pathlib

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2LMHeadModel
from transformers.models.gptj.modeling_gptj import (
    apply_rotary_pos_emb, create_sinusoidal_positions)
from transformers.models.speecht5.modeling_speecht5 import SpeechT5ScaledPositionalEncoding

from make_models import stages_of

HERE = pathlib.Path(__file__).parent


def angles(positions, size):
    """(positions, size/2), in radians."""
    pairs = np.arange(size // 2) * 2.0 / size
    return torch.tensor(np.arange(positions)[:, None] / 10000.0**pairs)


def sinusoidal(model):
    config = model.config
    turned = angles(config.n_positions, config.n_embd)
    table = torch.stack((turned.sin(), turned.cos()), -1).flatten(1)  # (T, C)
    known = SpeechT5ScaledPositionalEncoding(0.0, config.n_embd, config.n_positions).pe[0]
    torch.testing.assert_close(table.float(), known, rtol=0, atol=1e-5)
    model.transformer.wpe.weight.copy_(table)


def rotary(model):
    config = model.config
    size = config.n_embd // config.n_head
    turned = angles(config.n_positions, size)
    known = create_sinusoidal_positions(config.n_positions, size)
    torch.testing.assert_close(torch.cat((turned.sin(), turned.cos()), -1).float(), known,
                               rtol=0, atol=1e-5)
    model.transformer.wpe.weight.zero_()

    def turn(_, __, qkv):
        q, k, v = qkv.split(config.n_embd, dim=-1)
        sin, cos = turned.sin()[None, : q.shape[1]], turned.cos()[None, : q.shape[1]]
        heads = lambda x: x.unflatten(-1, (config.n_head, size))  # (1, T, H, D)
        q, k = (apply_rotary_pos_emb(heads(x), sin, cos).flatten(2) for x in (q, k))
        return torch.cat((q, k, v), dim=-1)

    for block in model.transformer.h:
        block.attn.c_attn.register_forward_hook(turn)


@torch.no_grad()
def main():
    (HERE / "positions").mkdir(exist_ok=True)
    ids = load_file(HERE / "models/base/expect.safetensors")["ids"]
    for policy in (sinusoidal, rotary):
        model = GPT2LMHeadModel.from_pretrained(
            HERE / "models/base", attn_implementation="eager", dtype=torch.float64).eval()
        policy(model)
        found = stages_of(model, ids)
        if policy is rotary:
            del found["position_embedding"]
        found = {name: value.contiguous() for name, value in found.items()} | {"ids": ids}
        save_file(found, HERE / f"positions/{policy.__name__}.safetensors")


main()
