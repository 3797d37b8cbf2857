#!/usr/bin/env python3
"""Makes tests/reference/gguf/: GGUF files as the gguf package writes them, and what they say.

    pip install -r tests/reference/requirements.txt
    python tests/reference/make_models.py
    python tests/reference/make_gguf.py

base_*.gguf are models/base with matrices of one type. mixed.gguf is models/wide in six types, and
mixed.safetensors the float64 logits of HF's GPT2LMHeadModel on the same numbers. blocks.gguf holds
random blocks of every quantised type, each beside the floats that gguf.quants makes of them, and a
key of every type. tokenizer.gguf is the vocabulary of reference/tokenizer.
"""

import json
import pathlib
import shutil

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as kinds
from safetensors.numpy import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

HERE = pathlib.Path(__file__).parent
FOLDER = HERE / "gguf"
LINEAR = {"attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "mlp.c_fc": "ffn_up",
          "mlp.c_proj": "ffn_down"}
NORMS = {"ln_1": "attn_norm", "ln_2": "ffn_norm"}
ROOT = {"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm", "lm_head": "output"}
MIXED = {"token_embd": kinds.Q8_0, "attn_qkv": kinds.Q4_0, "attn_output": kinds.Q5_1,
         "ffn_up": kinds.Q5_0, "ffn_down": kinds.Q4_1}
BLOCKS = [kinds.Q8_0, kinds.Q4_0, kinds.Q4_1, kinds.Q5_0, kinds.Q5_1, kinds.Q4_K, kinds.Q5_K,
          kinds.Q6_K]


def theirs(name):
    """llama.cpp's name of a tensor, and whether it is stored transposed."""
    stem, kind = name.removeprefix("transformer.").rsplit(".", 1)
    if stem in ROOT:
        return f"{ROOT[stem]}.{kind}", False
    _, layer, part = stem.split(".", 2)
    return f"blk.{layer}.{(LINEAR | NORMS)[part]}.{kind}", part in LINEAR and kind == "weight"


def writer(name, config=None):
    out = gguf.GGUFWriter(FOLDER / name, "gpt2")
    if config is not None:
        out.add_block_count(config["n_layer"])
        out.add_context_length(config["n_positions"])
        out.add_embedding_length(config["n_embd"])
        out.add_feed_forward_length(config["n_inner"] or 4 * config["n_embd"])
        out.add_head_count(config["n_head"])
        out.add_layer_norm_eps(config["layer_norm_epsilon"])
    return out


def finish(out):
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def write_model(source, name, kind_of):
    """The folder `source` as GGUF; returns its tensors with the numbers that were stored."""
    config = json.loads((HERE / "models" / source / "config.json").read_text())
    stored = {}
    out = writer(name, config)
    for ours, values in load_file(HERE / "models" / source / "model.safetensors").items():
        called, turned = theirs(ours)
        rows = np.ascontiguousarray(values.T if turned else values, dtype=np.float32)
        kind = kind_of(called) if rows.ndim == 2 else kinds.F32
        if kind == kinds.F32:
            out.add_tensor(called, rows)
        else:
            packed = gguf.quants.quantize(rows, kind)
            rows = gguf.quants.dequantize(packed, kind).astype(np.float32).reshape(rows.shape)
            out.add_tensor(called, packed, raw_dtype=kind)
        stored[ours] = rows.T if turned else rows
    finish(out)
    return config, stored


def write_mixed():
    def kind_of(name):
        return MIXED.get(name.removesuffix(".weight").rsplit(".", 1)[-1], kinds.F32)

    config, stored = write_model("wide", "mixed.gguf", kind_of)
    model = GPT2LMHeadModel(GPT2Config(**config))
    state = {name: torch.tensor(np.ascontiguousarray(values)) for name, values in stored.items()}
    state["lm_head.weight"] = state["transformer.wte.weight"]
    model.load_state_dict(state)
    model.config._attn_implementation = "eager"
    model = model.double().eval()
    ids = torch.randint(config["vocab_size"], (19,), generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        logits = model(ids[None], use_cache=False).logits[0]
    save_file({"ids": ids.numpy().astype(np.float64), "logits": logits.numpy()},
              FOLDER / "mixed.safetensors")


def write_blocks():
    random = np.random.default_rng(5)
    out = writer("blocks.gguf")
    for kind in BLOCKS:
        values, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = random.integers(0, 256, (2, 256 // values, size), dtype=np.uint8)
        halves = {kinds.Q8_0: [0], kinds.Q4_0: [0], kinds.Q5_0: [0], kinds.Q6_K: [208]}
        for at in halves.get(kind, [0, 2]):  # finite halves of sizes that occur
            scales = random.normal(0, 0.1, blocks.shape[:2]).astype(np.float16)
            blocks[:, :, at : at + 2] = scales[..., None].view(np.uint8)
        rows = blocks.reshape(2, -1)
        out.add_tensor(f"{kind.name}.blocks", rows, raw_dtype=kind)
        out.add_tensor(f"{kind.name}.floats", gguf.quants.dequantize(rows, kind))
    out.add_uint8("test.u8", 200)
    out.add_int8("test.i8", -100)
    out.add_uint16("test.u16", 60000)
    out.add_int16("test.i16", 30000)
    out.add_uint32("test.u32", 4000000000)
    out.add_int32("test.i32", 2000000000)
    out.add_uint64("test.u64", 2**63)
    out.add_int64("test.i64", 2**62)
    out.add_float32("test.f32", 0.5)
    out.add_float64("test.f64", 0.1)
    out.add_bool("test.bool", True)
    out.add_string("test.string", "žluťoučký")
    out.add_array("test.integers", [3, -1, 2])
    out.add_array("test.strings", ["a", "", "bcd"])
    finish(out)


def write_tokenizer():
    folder = HERE / "tokenizer"
    vocabulary = json.loads((folder / "vocab.json").read_text())
    tokens = sorted(vocabulary, key=vocabulary.get)
    kind = [gguf.TokenType.CONTROL if token == "<|endoftext|>" else gguf.TokenType.NORMAL
            for token in tokens]
    lines = (folder / "merges.txt").read_text().splitlines()
    out = writer("tokenizer.gguf")
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list(tokens + ["[PAD0]", "[PAD1]"])
    out.add_token_types(kind + [gguf.TokenType.UNUSED] * 2)
    out.add_token_merges([line for line in lines if line and not line.startswith("#version")])
    finish(out)


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    for kind in (kinds.F32, kinds.F16, kinds.BF16):
        write_model("base", f"base_{kind.name.lower()}.gguf", lambda _: kind)
    write_mixed()
    write_blocks()
    write_tokenizer()
    for path in sorted(FOLDER.iterdir()):
        print(f"{path.name:24} {path.stat().st_size:8} bytes")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
