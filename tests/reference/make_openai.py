#!/usr/bin/env python3
"""Makes tests/reference/openai/: models/base in the files that OpenAI published GPT-2 in.

    pip install numpy tensorflow-cpu==2.21.0
    python tests/reference/make_openai.py

hparams.json, and what TensorFlow's Saver writes: checkpoint, model.ckpt.index and
model.ckpt.data-00000-of-00001, with an optimiser's slots among the tensors, as trainers leave
them."""

import json
import os

import numpy as np
import tensorflow.compat.v1 as tf

from make_llmc import HERE, tensors_of

OUT = HERE / "openai"
LEAVES = {"g": "weight", "w": "weight", "b": "bias"}
PLACES = ["ln_1/g", "ln_1/b", "attn/c_attn/w", "attn/c_attn/b", "attn/c_proj/w", "attn/c_proj/b",
          "ln_2/g", "ln_2/b", "mlp/c_fc/w", "mlp/c_fc/b", "mlp/c_proj/w", "mlp/c_proj/b"]


def main():
    OUT.mkdir(exist_ok=True)
    config = json.loads((HERE / "models/base/config.json").read_text())
    sizes = dict(n_vocab=config["vocab_size"], n_ctx=config["n_positions"],
                 n_embd=config["n_embd"], n_head=config["n_head"], n_layer=config["n_layer"])
    stored = tensors_of(HERE / "models/base")
    tensors = {"model/wte": stored["wte.weight"], "model/wpe": stored["wpe.weight"],
               "model/ln_f/g": stored["ln_f.weight"], "model/ln_f/b": stored["ln_f.bias"],
               "model/wte/Adam": np.zeros((2, 3), "<f4"), "beta1_power": np.float32(0.9)}
    for layer in range(config["n_layer"]):
        for place in PLACES:
            *path, leaf = place.split("/")
            values = stored[f"h.{layer}.{'.'.join(path)}.{LEAVES[leaf]}"]
            tensors[f"model/h{layer}/{place}"] = values[None] if leaf == "w" else values
    os.chdir(OUT)
    tf.disable_eager_execution()
    variables = {name: tf.Variable(values, name=f"v{i}")
                 for i, (name, values) in enumerate(tensors.items())}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        tf.train.Saver(variables).save(session, "./model.ckpt", write_meta_graph=False)
    (OUT / "hparams.json").write_text(json.dumps(sizes, indent=2) + "\n")


if __name__ == "__main__":
    main()
