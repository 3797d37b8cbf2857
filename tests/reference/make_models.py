#!/usr/bin/env python3
"""Makes tests/reference/models/: tiny random GPT-2 folders and what HF transformers says of them.

    pip install -r tests/reference/requirements.txt
    python tests/reference/make_models.py

Each folder is one way a GPT-2 can be configured or stored, with the float64 results of
GPT2LMHeadModel beside it (README.md here lists the files and tensors). Weights are drawn once in
float32 (or float16, bfloat16) and widened, so the reference is computed on exactly the stored
numbers. Whatever HF can load again from the folder is checked to give the same logits.
"""

import json
import pathlib
import shutil

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

FOLDER = pathlib.Path(__file__).parent / "models"
NEW_TOKENS = 20
BASE = dict(
    n_embd=8, n_head=2, n_layer=2, n_positions=32, vocab_size=17, bos_token_id=None,
    eos_token_id=None, activation_function="gelu_new", n_inner=None, layer_norm_epsilon=1e-5,
    scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False, reorder_and_upcast_attn=False,
    tie_word_embeddings=True,
)
ACTIVATIONS = [
    "gelu_new", "gelu", "gelu_10", "gelu_fast", "quick_gelu", "relu", "relu2", "relu6",
    "leaky_relu", "silu", "mish", "sigmoid", "tanh", "linear", "hardswish", "laplace",
    "sqrtsoftplus",
]


def build(settings, seed, scales):
    """A float32 model with every parameter random: no zero, no gain of one, no shared bias."""
    random = torch.Generator().manual_seed(seed)
    config = GPT2Config(**settings)
    config._attn_implementation = "sdpa" if config.reorder_and_upcast_attn else "eager"
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            part = name.rsplit(".", 2)[-2]
            spread = scales.get(part, {"wte": 0.7, "wpe": 0.7, "c_attn": 0.5}.get(part, 0.3))
            parameter.normal_(0, spread, generator=random)
            if part.startswith("ln_") and name.endswith("weight"):
                parameter.add_(1.0)
    return model


def stages_of(model, ids):
    """Every stage of one pass by its name in trace.hpp, float64, shapes without the batch."""
    found, hooks = {}, []

    def after(module, name):
        hooks.append(module.register_forward_hook(lambda _, __, out: found.update({
            name: (out[0] if isinstance(out, tuple) else out).detach()[0]})))

    def before(module, name):
        hooks.append(module.register_forward_pre_hook(
            lambda _, given: found.update({name: given[0].detach()[0]})))

    body = model.transformer
    after(body.wte, "token_embedding")
    hooks.append(body.wpe.register_forward_hook(lambda _, __, out: found.update({
        "position_embedding": out.detach().reshape(-1, out.shape[-1])})))
    before(body.h[0], "embedding")
    for i, block in enumerate(body.h):
        after(block.ln_1, f"h.{i}.ln_1")
        after(block.attn.c_attn, f"h.{i}.qkv")
        before(block.attn.c_proj, f"h.{i}.heads")
        after(block.attn.c_proj, f"h.{i}.attention")
        before(block.ln_2, f"h.{i}.attention_residual")
        after(block.ln_2, f"h.{i}.ln_2")
        after(block.mlp.c_fc, f"h.{i}.c_fc")
        before(block.mlp.c_proj, f"h.{i}.activation")
        after(block.mlp.c_proj, f"h.{i}.mlp")
        after(block, f"h.{i}.block")
    after(body.ln_f, "ln_f")
    eager = model.config._attn_implementation == "eager"
    out = model(ids[None], use_cache=False, output_attentions=eager)
    for hook in hooks:
        hook.remove()
    found["logits"] = out.logits[0]
    for i in range(len(body.h)):
        attention(model.config, i, found, out.attentions[i][0] if eager else None)
    return found


def attention(config, layer, found, weights_of_hf):
    """q, k, v, scores and weights, which no module of HF returns; checked against what it does."""
    q, k, v = found.pop(f"h.{layer}.qkv").split(config.n_embd, dim=-1)
    heads = lambda x: x.reshape(x.shape[0], config.n_head, -1).transpose(0, 1)  # (H, T, D)
    scale = 1.0
    if config.scale_attn_weights:
        scale /= (config.n_embd // config.n_head) ** 0.5
    if config.scale_attn_by_inverse_layer_idx:
        scale /= layer + 1
    scores = heads(q) @ heads(k).transpose(1, 2) * scale
    seen = torch.ones(scores.shape[1:], dtype=torch.bool).tril()
    weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
    mixed = (weights @ heads(v)).transpose(0, 1).reshape(q.shape)
    torch.testing.assert_close(mixed, found[f"h.{layer}.heads"], rtol=1e-12, atol=1e-12)
    if weights_of_hf is not None:
        torch.testing.assert_close(weights, weights_of_hf, rtol=1e-12, atol=1e-12)
    values = dict(q=q, k=k, v=v, scores=scores.masked_fill(~seen, 0.0), weights=weights)
    found.update({f"h.{layer}.{name}": value for name, value in values.items()})


def continue_greedily(model, prompt, count):
    """The argmax of the whole text again and again, no cache; None when a choice is close
    or the text is monotonous."""
    ids = prompt.tolist()
    for _ in range(count):
        logits = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
        best = logits.topk(min(2, logits.numel())).values
        if best.numel() == 2 and best[0] - best[1] < 1e-3 * logits.abs().max():
            return None
        ids.append(int(logits.argmax()))
    greedy = ids[len(prompt) :]
    return torch.tensor(greedy) if len(set(greedy)) >= min(5, logits.numel()) else None


def plain(model):
    """Stored names and tensors as `save_pretrained` writes them: no head when it is tied."""
    tied = model.lm_head.weight.data_ptr() == model.transformer.wte.weight.data_ptr()
    return {name: tensor.clone() for name, tensor in model.state_dict().items()
            if not (tied and name == "lm_head.weight")}


def renamed(prefix):
    def change(model, tensors):
        return {prefix(name): tensor for name, tensor in tensors.items()}
    return change


def without_biases(model, tensors):
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(".bias")}


def with_masks(model, tensors):
    size = model.config.n_positions
    mask = torch.ones(size, size).tril().reshape(1, 1, size, size)
    for i, kind in zip(range(model.config.n_layer), (torch.float32, torch.uint8)):
        tensors[f"transformer.h.{i}.attn.bias"] = mask.to(kind)
        tensors[f"transformer.h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    return tensors


def stored_as(kind):
    return lambda model, tensors: {name: tensor.to(kind) for name, tensor in tensors.items()}


def with_tied_head(model, tensors):
    return tensors | {"lm_head.weight": model.transformer.wte.weight.detach().clone()}


def zero_biases(model):
    for name, parameter in model.named_parameters():
        if name.endswith(".bias"):
            parameter.zero_()


def round_to(kind):
    def change(model):
        for parameter in model.parameters():
            parameter.copy_(parameter.to(kind).to(torch.float32))
    return change


class Case:
    """One folder. `settings` differ from BASE; `edit` changes the model before the reference is
    made, `store` the tensors as written; `config` replaces the written config."""

    def __init__(self, name, settings={}, *, length=11, prompt=11, scales={}, edit=None, store=None,
                 config=None, stages=False, hf_reads=True, shard=None):
        self.name, self.settings, self.length, self.prompt = name, BASE | settings, length, prompt
        self.scales, self.edit, self.store, self.config = scales, edit, store, config
        self.stages, self.hf_reads, self.shard = stages, hf_reads, shard

    def write(self, seed, root=FOLDER):
        """False when the seed's greedy text would test little."""
        model = build(self.settings, seed, self.scales)
        with torch.no_grad():
            if self.edit:
                self.edit(model)
            tensors = plain(model)
            model = model.double()
            random = torch.Generator().manual_seed(seed + 1)
            ids = torch.randint(self.settings["vocab_size"], (self.length,), generator=random)
            ids = self.text(ids)
            prompt = ids[: self.prompt]
            count = min(NEW_TOKENS, self.settings["n_positions"] - len(prompt))
            greedy = continue_greedily(model, prompt, count)
            if greedy is None or not self.accepts(greedy):
                return False
            found = stages_of(model, ids)
        if not self.stages:
            found = {"logits": found["logits"]}
        expect = {name: value.clone(memory_format=torch.contiguous_format)
                  for name, value in found.items()}
        expect |= dict(ids=ids, prompt=prompt.clone(), greedy=greedy)
        expect |= self.more(model, prompt, count)
        folder = root / self.name
        folder.mkdir(parents=True)
        save_file(expect, folder / "expect.safetensors")
        self.write_weights(folder, model, tensors)
        config = self.config if self.config else self.settings | {
            "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        if self.hf_reads:
            self.read_back(folder, model.config._attn_implementation, ids, expect["logits"])
        return True

    def text(self, random_ids):
        return random_ids

    def accepts(self, greedy):
        return True

    def more(self, model, prompt, count):
        """Further arrays of the reference."""
        return {}

    def write_weights(self, folder, model, tensors):
        if self.store:
            tensors = self.store(model, tensors)
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
        if self.shard:
            model.to(torch.float32).save_pretrained(folder, max_shard_size=self.shard)
            (folder / "generation_config.json").unlink(missing_ok=True)
            assert (folder / "model.safetensors.index.json").exists()
            return
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    def read_back(self, folder, implementation, ids, logits):
        again = GPT2LMHeadModel.from_pretrained(
            folder, dtype=torch.float64, attn_implementation=implementation).eval()
        with torch.no_grad():
            found = again(ids[None], use_cache=False).logits[0]
        torch.testing.assert_close(found, logits, rtol=1e-12, atol=1e-12)


def cases():
    yield Case("base", stages=True)
    for name in ACTIVATIONS:  # wide inputs: they must reach every clip and both tails
        yield Case(f"activation_{name}", {"activation_function": name}, scales={"c_fc": 2.0},
                   stages=True)
    yield Case("scale_none", {"scale_attn_weights": False}, stages=True)
    yield Case("scale_by_layer", {"scale_attn_by_inverse_layer_idx": True}, stages=True)
    yield Case("scale_only_by_layer", stages=True, settings={
        "scale_attn_weights": False, "scale_attn_by_inverse_layer_idx": True})
    yield Case("reorder_and_upcast", stages=True, settings={
        "reorder_and_upcast_attn": True, "scale_attn_by_inverse_layer_idx": True})
    yield Case("inner_37", {"n_inner": 37}, stages=True)
    yield Case("epsilon_1e-6", {"layer_norm_epsilon": 1e-6}, scales={"wte": 0.01, "wpe": 0.01},
               stages=True)
    yield Case("epsilon_0.1", {"layer_norm_epsilon": 0.1}, stages=True)
    yield Case("head_size_17", {"n_embd": 34}, stages=True)
    yield Case("head_size_1", {"n_embd": 5, "n_head": 5}, stages=True)
    yield Case("one_layer", {"n_layer": 1})
    yield Case("layers_48", {"n_layer": 48, "n_embd": 16}, length=8, prompt=8)
    yield Case("full_context", {"n_positions": 33}, length=33, prompt=13, stages=True)
    yield Case("odd_sizes", {"vocab_size": 97, "n_embd": 12, "n_head": 3, "n_positions": 37,
                             "n_inner": 5, "n_layer": 3}, stages=True)
    yield Case("wide", {"vocab_size": 65, "n_embd": 64, "n_head": 4, "n_positions": 40},
               length=19, prompt=19)
    yield Case("vocabulary_1", {"vocab_size": 1})
    yield from storage_cases()


def storage_cases():
    yield Case("head_untied", {"tie_word_embeddings": False}, stages=True)
    # The flag says tied, the file holds a head of its own: the file wins.
    yield Case("head_stored_though_tied", {"tie_word_embeddings": False},
               config=BASE | {"model_type": "gpt2"})
    yield Case("head_stored_twice", store=with_tied_head)  # the same numbers under both names
    yield Case("no_biases", edit=zero_biases, store=without_biases, hf_reads=False)
    yield Case("stored_f16", edit=round_to(torch.float16), store=stored_as(torch.float16))
    yield Case("stored_bf16", edit=round_to(torch.bfloat16), store=stored_as(torch.bfloat16))
    yield Case("names_bare", store=renamed(lambda name: name.removeprefix("transformer.")))
    yield Case("names_orig_mod", store=renamed(lambda name: "_orig_mod." + name), hf_reads=False)
    yield Case("names_module", store=renamed(lambda name: "module." + name), hf_reads=False)
    yield Case("mask_buffers", store=with_masks)
    yield Case("sharded", shard="4KB")
    sizes = {key: BASE[key] for key in ("n_embd", "n_head", "n_layer", "n_positions", "vocab_size")}
    yield Case("old_config", config=sizes | {"n_ctx": 32, "initializer_range": 0.02,
                                             "layer_norm_epsilon": 1e-5, "resid_pdrop": 0.1})
    yield Case("config_aliases", config={
        "model_type": "gpt2", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2,
        "max_position_embeddings": 32, "vocab_size": 17, "intermediate_size": 99,
        "hidden_act": "relu", "bos_token_id": None, "eos_token_id": None})


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    for number, case in enumerate(cases()):
        seed = 1000 * number
        while not case.write(seed):
            seed += 2
        size = sum(path.stat().st_size for path in (FOLDER / case.name).iterdir())
        print(f"{case.name:28} seed {seed:6} {size:8} bytes")
    total = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    print(f"{total} bytes")
    assert total < 4_000_000


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
