#!/usr/bin/env python3
"""Makes tests/reference/pytorch/: files of torch.save, and what PyTorch and HF read from them.

    pip install -r tests/reference/requirements.txt
    python tests/reference/make_pytorch.py

README.md here lists the files. make_models.py has to have run before: two folders hold its model
`base` again, as pytorch_model.bin. nanoGPT and minGPT are not on PyPI; their checkpoints are
written here with their names and layout from a GPT2LMHeadModel of transformers, which computes the
reference in float64 (both are GPT-2s: nanoGPT with the exact gelu, minGPT with gelu_new).
"""

import io
import json
import os
import pathlib
import pickle
import shutil
import zipfile
from collections import OrderedDict

import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

HERE = pathlib.Path(__file__).parent
FOLDER = HERE / "pytorch"


def views():
    """Every kind of view of every float type, several on one storage."""
    base = torch.arange(60, dtype=torch.float32).reshape(5, 12) / 8 - 3
    cube = (torch.arange(24, dtype=torch.float64) / 3).reshape(2, 3, 4)
    return OrderedDict(
        f32=base, f64=cube, f16=base.half(), bf16=base.bfloat16(), i64=torch.arange(3),
        mask=torch.ones(2, 2, dtype=torch.bool), transposed=base.t(), slice=base[1:4, 2:7],
        tail=base[3:], column=base[:, 5], steps=base[::2, ::3], permuted=cube.permute(2, 0, 1),
        turned_slice=base[1:4, 2:7].t(), half_turned=base.half().t(), one=torch.tensor(1.5),
        empty=torch.empty(0, 3), parameter=torch.nn.Parameter(base[0]),
        thin=base[:, 1:2], row=base[2:3].t(),
    )


def save(value, path, **how):
    """torch.save without what changes from run to run: the keys of storages in old files are
    addresses, and stay; the name inside an archive is always `archive`."""
    stream = io.BytesIO()
    torch.save(value, stream, **how)
    path.write_bytes(stream.getvalue())


def model_of(seed, **settings):
    random = torch.Generator().manual_seed(seed)
    config = GPT2Config(bos_token_id=None, eos_token_id=None, attn_implementation="eager",
                        **settings)
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0, 0.4, generator=random)
            if "ln_" in name and name.endswith("weight"):
                parameter.add_(1.0)
    return model, random


def linear_layout(model):
    """The tensors as nanoGPT and minGPT name and lay them: matrices are those of nn.Linear."""
    turned = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight")
    return OrderedDict((name, value.t().contiguous() if name.endswith(turned) else value.clone())
                       for name, value in model.state_dict().items()
                       if not name.endswith((".attn.bias", ".attn.masked_bias")))


def reference(model, random, folder, length):
    ids = torch.randint(model.config.vocab_size, (length,), generator=random)
    with torch.no_grad():
        logits = model.double()(ids[None]).logits[0]
    save_file({"ids": ids.double(), "logits": logits.contiguous()}, folder / "expect.safetensors")


def characters(folder):
    """meta.pkl as data/shakespeare_char/prepare.py of nanoGPT writes it."""
    folder.mkdir(exist_ok=True)
    letters = sorted(set("Ser o no ser: ¿ésa es la cuestión?\n"))
    meta = {
        "vocab_size": len(letters),
        "itos": dict(enumerate(letters)),
        "stoi": {letter: number for number, letter in enumerate(letters)},
    }
    (folder / "meta.pkl").write_bytes(pickle.dumps(meta))


def nanogpt(folder, bias):
    folder.mkdir()
    args = dict(n_layer=2, n_head=2, n_embd=8, block_size=16, bias=bias, vocab_size=19,
                dropout=0.0)
    model, random = model_of(5 + bias, n_layer=2, n_head=2, n_embd=8, n_positions=16,
                             vocab_size=19, activation_function="gelu")
    if not bias:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith(".bias"):
                    parameter.zero_()
    tensors = linear_layout(model)
    prefix = "" if bias else "_orig_mod."
    state = OrderedDict((prefix + name, value) for name, value in tensors.items()
                        if bias or not name.endswith(".bias"))
    state[prefix + "lm_head.weight"] = state[prefix + "transformer.wte.weight"]
    parameters = [torch.nn.Parameter(value) for value in state.values()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    for parameter in parameters[:2]:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    save({"model": OrderedDict((k, v.clone()) if k.endswith("h.0.ln_1.weight") else (k, v)
                               for k, v in state.items()),
          "optimizer": optimizer.state_dict(), "model_args": args, "iter_num": 2000,
          "best_val_loss": torch.tensor(1.25), "config": {"dataset": "tiny", "compile": True}},
         folder / "ckpt.pt")
    with torch.no_grad():  # the optimizer moved what it was given: the file is the truth
        saved = torch.load(folder / "ckpt.pt", weights_only=True)["model"]
        for name, parameter in model.named_parameters():
            stored = saved.get(prefix + name)
            if stored is not None:
                turned = stored.shape != parameter.shape or name.endswith(
                    ("c_proj.weight", "c_attn.weight", "c_fc.weight"))
                parameter.copy_(stored.t() if turned else stored)
    reference(model, random, folder, 12)


def mingpt(folder):
    """gpt-nano with llm-viz's task: three letters, eleven positions; mask buffers, untied head."""
    folder.mkdir()
    model, random = model_of(9, n_layer=3, n_head=3, n_embd=48, n_positions=11, vocab_size=3,
                             tie_word_embeddings=False)
    model = model.to(torch.bfloat16)
    state = linear_layout(model)
    for layer in range(3):
        state[f"transformer.h.{layer}.attn.bias"] = torch.ones(11, 11).tril().view(1, 1, 11, 11)
    save(state, folder / "model.pt")
    reference(model, random, folder, 11)


class Evil:
    """What a pickle can do to whoever runs it."""

    def __reduce__(self):
        return os.system, ("touch gpt2-was-run",)


def evil():
    save({"wte.weight": torch.ones(2), "x": Evil()}, FOLDER / "evil_zip.pt")
    save({"wte.weight": torch.ones(2), "x": Evil()}, FOLDER / "evil_legacy.pt",
         _use_new_zipfile_serialization=False)
    save({"wte.weight": torch.ones(2), "x": Evil()}, FOLDER / "evil_4.pt", pickle_protocol=4)


def base_again():
    source = HERE / "models" / "base"
    tensors = load_file(source / "model.safetensors")
    single, sharded = FOLDER / "base_bin", FOLDER / "base_shards"
    for folder in (single, sharded):
        folder.mkdir()
        shutil.copy(source / "config.json", folder)
    save(tensors, single / "pytorch_model.bin")
    names, places = sorted(tensors), {}
    for part in (0, 1):
        file = f"pytorch_model-0000{part + 1}-of-00002.bin"
        held = names[part::2]
        save({name: tensors[name] for name in held}, sharded / file,
             _use_new_zipfile_serialization=part == 0)
        places.update({name: file for name in held})
    (sharded / "pytorch_model.bin.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": places}, indent=1, sort_keys=True) + "\n")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    save(views(), FOLDER / "views.pt")
    save(views(), FOLDER / "views_4.pt", pickle_protocol=4)
    save(views(), FOLDER / "views_legacy.pt", _use_new_zipfile_serialization=False)
    save_file({name: value.detach().contiguous().clone() for name, value in views().items()},
              FOLDER / "views.safetensors")
    tiny = {"a": torch.arange(4.0).reshape(2, 2).t(), "b": torch.ones(3, dtype=torch.float16)}
    save(tiny, FOLDER / "tiny.pt")
    save(tiny, FOLDER / "tiny_legacy.pt", _use_new_zipfile_serialization=False)
    with zipfile.ZipFile(FOLDER / "compressed.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}." + b" " * 64)
    nanogpt(FOLDER / "nanogpt", bias=True)
    nanogpt(FOLDER / "nanogpt_compiled", bias=False)
    characters(FOLDER / "characters")
    mingpt(FOLDER / "mingpt")
    evil()
    base_again()


if __name__ == "__main__":
    main()
