#!/usr/bin/env python3
"""Makes tests/reference/llmc/: what llm.c's train_gpt2.py writes, for the models and the tokenizer
that lie beside it.

    pip install numpy
    python tests/reference/make_llmc.py

f32.bin        models/base as version 3: write_model(…, "float32")
bf16.bin       models/stored_bf16 as version 5: write_model(…, "bfloat16")
tokenizer.bin  tokenizer/ as version 2, whose last token is <|endoftext|>: write_tokenizer

The layout is that of llm.c since May 2024 (padded vocabulary): 256 int32, then wte (Vp, C), wpe,
and each part of the blocks over all layers, weights as nn.Linear has them, (out, in)."""

import json
import pathlib
import struct

import numpy as np

HERE = pathlib.Path(__file__).parent
OUT = HERE / "llmc"
PARTS = [
    "ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight",
    "attn.c_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias",
    "mlp.c_proj.weight", "mlp.c_proj.bias",
]


def tensors_of(folder):
    """name: array of f32, or of the bits of bf16, without the prefix `transformer.`"""
    data = (folder / "model.safetensors").read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    found = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        kind = {"F32": "<f4", "BF16": "<u2"}[entry["dtype"]]
        values = np.frombuffer(data[begin:end], kind).reshape(entry["shape"])
        found[name.removeprefix("transformer.")] = values
    return found


def write_model(folder, version, path):
    config = json.loads((folder / "config.json").read_text())
    tensors = tensors_of(folder)
    wte = tensors["wte.weight"]
    padded = -(-wte.shape[0] // 128) * 128
    header = np.zeros(256, "<i4")
    header[:8] = [20240326, version, config["n_positions"], wte.shape[0], config["n_layer"],
                  config["n_head"], config["n_embd"], padded]
    with open(path, "wb") as file:
        file.write(header.tobytes())
        file.write(np.pad(wte, ((0, padded - wte.shape[0]), (0, 0))).tobytes())
        file.write(tensors["wpe.weight"].tobytes())
        for part in PARTS:
            for layer in range(config["n_layer"]):
                file.write(np.ascontiguousarray(tensors[f"h.{layer}.{part}"].T).tobytes())
        file.write(tensors["ln_f.weight"].tobytes())
        file.write(tensors["ln_f.bias"].tobytes())


def byte_of_symbol():
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(rest)}


def write_tokenizer(version, end, tokens, path):
    header = np.zeros(256, "<i4")
    header[:4] = [20240328, version, len(tokens), end]
    with open(path, "wb") as file:
        file.write(header.tobytes())
        for token in tokens:
            file.write(struct.pack("<B", len(token)) + token)


def main():
    OUT.mkdir(exist_ok=True)
    write_model(HERE / "models/base", 3, OUT / "f32.bin")
    write_model(HERE / "models/stored_bf16", 5, OUT / "bf16.bin")
    vocabulary = json.loads((HERE / "tokenizer/vocab.json").read_text())
    known = byte_of_symbol()
    tokens = [bytes(known[c] for c in symbol)
              for symbol in sorted(vocabulary, key=vocabulary.get)]
    write_tokenizer(2, len(tokens) - 1, tokens, OUT / "tokenizer.bin")


if __name__ == "__main__":
    main()
