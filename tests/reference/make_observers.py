#!/usr/bin/env python3
"""Makes tests/reference/observers/*.json: what HF transformers computes, in float64, where a pass
is measured or changed on its way, for two of the tiny models beside it.

    pip install -r tests/reference/requirements.txt
    python tests/reference/make_observers.py

Of each model, for the ids of its expect.safetensors: mean and biased variance of what every
LayerNorm is given; the logits of the residual stream at every depth (the logit lens); and the
logits after a head was silenced (zeros, its mean), a row was patched with that of another text, and
a direction was added, each as the entry says.
"""

import json
import pathlib

import torch
from safetensors.torch import load_file
from transformers import GPT2LMHeadModel

FOLDER = pathlib.Path(__file__).parent
MODELS = ["base", "head_untied"]
HEAD = dict(layer=1, head=1)
PATCH = dict(layer=0, to=5, row=3)
STEER = dict(layer=0, token=3, scale=1.5, first=4)


def rounded(tensor):
    return [[float(f"{x:.15g}") for x in row] for row in tensor.tolist()]


class Hooked:
    """The model with hooks for the length of a with."""

    def __init__(self, model, *hooks):
        self.hooks, self.model = hooks, model

    def __enter__(self):
        self.handles = [
            module.register_forward_pre_hook(hook) if kind == "before"
            else module.register_forward_hook(hook)
            for kind, module, hook in self.hooks]
        return self.model

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()


def logits_of(model, ids):
    return model(ids[None], use_cache=False).logits[0]


def first_of(out):
    return out[0] if isinstance(out, tuple) else out


def moments(model, ids):
    found = {}

    def watch(name):
        def hook(_, given):
            x = given[0][0]
            found[name] = dict(mean=x.mean(-1).tolist(), variance=x.var(-1, correction=0).tolist())
        return hook

    norms = [(f"h.{i}.{name}", getattr(block, name))
             for i, block in enumerate(model.transformer.h) for name in ("ln_1", "ln_2")]
    norms.append(("ln_f", model.transformer.ln_f))
    with Hooked(model, *[("before", norm, watch(name)) for name, norm in norms]):
        logits_of(model, ids)
    return found


def residuals(model, ids):
    """The residual stream after the embedding and after every block."""
    rows = []
    keep = lambda _, given: rows.append(given[0][0].clone())
    body = model.transformer
    hooks = [("before", block, keep) for block in body.h] + [("before", body.ln_f, keep)]
    with Hooked(model, *hooks):
        logits_of(model, ids)
    return rows


def without_head(model, ids, how):
    size = model.config.n_embd // model.config.n_head
    part = slice(HEAD["head"] * size, (HEAD["head"] + 1) * size)

    def hook(_, given):
        x = given[0].clone()
        x[..., part] = 0 if how == "zero" else x[..., part].mean(1, keepdim=True)
        return (x,)

    c_proj = model.transformer.h[HEAD["layer"]].attn.c_proj
    with Hooked(model, ("before", c_proj, hook)):
        return logits_of(model, ids)


def patched(model, ids):
    row = residuals(model, ids.flip(0))[PATCH["layer"] + 1][PATCH["row"]]

    def hook(_, __, out):
        first_of(out)[0, PATCH["to"]] = row

    with Hooked(model, ("after", model.transformer.h[PATCH["layer"]], hook)):
        return logits_of(model, ids)


def steered(model, ids):
    direction = STEER["scale"] * model.transformer.wte.weight[STEER["token"]]

    def hook(_, __, out):
        first_of(out)[0, STEER["first"]:] += direction

    with Hooked(model, ("after", model.transformer.h[STEER["layer"]], hook)):
        return logits_of(model, ids)


def main():
    torch.set_grad_enabled(False)
    (FOLDER / "observers").mkdir(exist_ok=True)
    for name in MODELS:
        folder = FOLDER / "models" / name
        model = GPT2LMHeadModel.from_pretrained(folder, attn_implementation="eager").eval().double()
        ids = load_file(folder / "expect.safetensors")["ids"]
        lens = [model.lm_head(model.transformer.ln_f(x)) for x in residuals(model, ids)]
        torch.testing.assert_close(lens[-1], logits_of(model, ids), rtol=1e-12, atol=1e-12)
        found = dict(
            ids=ids.tolist(),
            moments=moments(model, ids),
            lens=[rounded(x) for x in lens],
            head=HEAD | dict(zero=rounded(without_head(model, ids, "zero")),
                             mean=rounded(without_head(model, ids, "mean"))),
            patch=PATCH | dict(logits=rounded(patched(model, ids))),
            steer=STEER | dict(logits=rounded(steered(model, ids))),
        )
        (FOLDER / "observers" / f"{name}.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
