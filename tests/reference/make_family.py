#!/usr/bin/env python3
"""Makes tests/reference/family/: published GPT-2s in miniature, and what HF says of them.

    pip install -r tests/reference/requirements.txt
    python tests/reference/make_family.py

Each folder has the config.json, names and files of one family of checkpoints on Hugging Face, with
everything that is special about it and random weights of tiny sizes. The model is built from that
very config.json, so that keys which are not there have HF's defaults. Beside what make_models.py
keeps, `generated` is what HF's own `generate` writes greedily: it ends with the end token, where
the model has one.
"""

import json
import pathlib
import shutil
import tempfile

import torch
from safetensors.torch import load_file
from transformers import GPT2LMHeadModel

from make_models import Case, round_to, stored_as, with_masks

FOLDER = pathlib.Path(__file__).parent / "family"
DROPOUTS = dict(attn_pdrop=0.1, embd_pdrop=0.1, resid_pdrop=0.1, initializer_range=0.02)
SIZES = dict(n_embd=8, n_head=2, n_layer=2, n_positions=32, vocab_size=23)
GPT2 = dict(model_type="gpt2", architectures=["GPT2LMHeadModel"])
SUMMARY = dict(summary_activation=None, summary_first_dropout=0.1, summary_proj_to_labels=True,
               summary_type="cls_index", summary_use_proj=True)


def bytes_to_unicode():
    """GPT-2's printable stand-ins for the 256 bytes, in the order of their ids."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in kept]
    return [chr(byte) for byte in kept] + [chr(256 + i) for i in range(len(rest))]


def tokenizer_files(folder, first, added):
    """A byte-level tokenizer without merges; `first` tokens before the bytes."""
    vocabulary = {token: i for i, token in enumerate(first + bytes_to_unicode())}
    if "<|endoftext|>" not in vocabulary:
        vocabulary["<|endoftext|>"] = len(vocabulary)
    text = json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":"))
    (folder / "vocab.json").write_text(text)
    (folder / "merges.txt").write_text("#version: 0.2\n")
    if added:
        later = {token: len(vocabulary) + i for i, token in enumerate(added)}
        (folder / "added_tokens.json").write_text(json.dumps(later))


class Row(Case):
    """`config` is config.json; `ids` stand at these places of the text; `files` writes more."""

    def __init__(self, name, config, *, ids={}, files=None, bin=False, **how):
        config = SIZES | config
        super().__init__(name, config=config, **how)
        self.settings, self.ids, self.files, self.bin = config, ids, files, bin

    def text(self, random_ids):
        for place, token in self.ids.items():
            random_ids[place] = token
        return random_ids

    def ends(self):
        end = self.settings.get("eos_token_id", 50256)
        return end is not None and end < self.settings["vocab_size"]

    def accepts(self, greedy):
        end = self.settings.get("eos_token_id")
        ids = greedy.tolist()
        return not self.ends() or (end in ids and 3 <= ids.index(end) < len(ids) - 3)

    def more(self, model, prompt, count):
        out = model.generate(prompt[None], attention_mask=torch.ones_like(prompt[None]),
                             max_new_tokens=count, do_sample=False, use_cache=False)
        return dict(generated=out[0, len(prompt):].clone())

    def write_weights(self, folder, model, tensors):
        super().write_weights(folder, model, tensors)
        if self.files:
            self.files(folder)
        if not self.bin:
            return
        shards = sorted(folder.glob("model-*.safetensors"))
        if not shards:
            tensors = load_file(folder / "model.safetensors")
            tensors["lm_head.weight"] = tensors["transformer.wte.weight"]  # one storage, two names
            torch.save(tensors, folder / "pytorch_model.bin")
            return
        index = json.loads((folder / "model.safetensors.index.json").read_text())
        name = lambda file: file.replace("model", "pytorch_model").replace("safetensors", "bin")
        for shard in shards:
            torch.save(load_file(shard), folder / name(shard.name))
        index["weight_map"] = {key: name(file) for key, file in index["weight_map"].items()}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=1))

    def read_back(self, folder, implementation, ids, logits):
        super().read_back(folder, implementation, ids, logits)
        if not self.bin:
            return
        with tempfile.TemporaryDirectory() as other:
            for path in [folder / "config.json", *folder.glob("pytorch_model*")]:
                shutil.copy(path, other)
            super().read_back(other, implementation, ids, logits)


def with_value_head(model, tensors):
    width = model.config.n_embd
    return tensors | {"v_head.summary.weight": torch.ones(1, width),
                      "v_head.summary.bias": torch.zeros(1)}


def as_body(model, tensors):
    return {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}


def dialogpt_store(model, tensors):
    tensors = with_masks(model, tensors)
    return {name: tensor.half() if tensor.dtype == torch.float32 else tensor
            for name, tensor in tensors.items()}


def rows():
    # F16 in pytorch_model.bin with masks; end of text separates the turns of a prompt.
    yield Row("dialogpt", GPT2 | DROPOUTS | SUMMARY | dict(
        vocab_size=257, bos_token_id=256, eos_token_id=256, n_ctx=32, layer_norm_epsilon=1e-5,
        activation_function="gelu_new",
        task_specific_params={"conversational": {"max_length": 1000}}),
        length=8, prompt=8, ids={2: 256, 7: 256}, edit=round_to(torch.float16),
        store=dialogpt_store, files=lambda folder: tokenizer_files(folder, [], []), bin=True)
    # No n_ctx, exact GELU, n_inner given, an odd number of heads; 13B says GPT2Model.
    yield Row("cerebras", DROPOUTS | dict(
        model_type="gpt2", architectures=["GPT2Model"], n_embd=15, n_head=5, n_inner=60,
        activation_function="gelu", layer_norm_epsilon=1e-5, scale_attn_weights=True,
        bos_token_id=22, eos_token_id=22, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0,
        reorder_and_upcast_attn=False, scale_attn_by_inverse_layer_idx=False),
        store=as_body, prompt=8, edit=round_to(torch.bfloat16))
    # One token more than the tokenizer's bytes and end: the added padding.
    yield Row("lamini", GPT2 | DROPOUTS | dict(
        vocab_size=258, bos_token_id=256, eos_token_id=256, activation_function="gelu",
        n_inner=32), length=6, prompt=6,
        files=lambda folder: tokenizer_files(folder, [], ["[PAD]"]))
    # Both attention flags; begin and end are GPT-2's, beyond the smaller vocabulary.
    yield Row("codeparrot", GPT2 | DROPOUTS | SUMMARY | dict(
        n_ctx=32, n_inner=None, bos_token_id=50256, eos_token_id=50256,
        gradient_checkpointing=False, activation_function="gelu_new", reorder_and_upcast_attn=True,
        scale_attn_by_inverse_layer_idx=True, scale_attn_weights=True, torch_dtype="float32"))
    yield Row("codeparrot_multi", GPT2 | DROPOUTS | dict(
        n_inner=None, bos_token_id=50256, eos_token_id=50256, activation_function="gelu_fast",
        reorder_and_upcast_attn=True, scale_attn_by_inverse_layer_idx=True), scales={"c_fc": 2.0})
    # Exact GELU, ids of SentencePiece, keys of Megatron that mean nothing.
    yield Row("gpt_sw3", GPT2 | DROPOUTS | SUMMARY | dict(
        activation_function="gelu", apply_query_key_layer_scaling=True, bos_token_id=2,
        eos_token_id=3, pad_token_id=0, n_inner=32, normalize_attention_scores=True,
        tokenizer_class="GPTSw3Tokenizer", torch_dtype="float32", use_cache=True))
    yield Row("mgpt", GPT2 | DROPOUTS | dict(
        activation_function="gelu", bos_token_id=0, eos_token_id=5, pad_token_id=1, n_ctx=32,
        n_inner=None, output_past=True, layer_norm_epsilon=1e-5))
    # 1e-6 shows where embeddings are small; the padding lies beyond the vocabulary.
    yield Row("bne", GPT2 | DROPOUTS | dict(
        activation_function="gelu_new", bos_token_id=2, eos_token_id=2, pad_token_id=50261,
        layer_norm_epsilon=1e-6, n_ctx=32, n_inner=None, prefix="</s>"),
        scales={"wte": 0.01, "wpe": 0.01})
    # Both ends are id 0, before the bytes.
    yield Row("protgpt2", GPT2 | DROPOUTS | SUMMARY | dict(
        vocab_size=257, bos_token_id=0, eos_token_id=0, n_ctx=32, activation_function="gelu_new",
        task_specific_params={"text-generation": {"do_sample": True, "max_length": 50}}),
        length=6, prompt=6, ids={0: 0},
        files=lambda folder: tokenizer_files(folder, ["<|endoftext|>"], []))
    # Scaling by layer alone, the end is the last id, shards of either kind.
    yield Row("biomedlm", GPT2 | DROPOUTS | dict(
        n_inner=None, n_ctx=32, bos_token_id=22, eos_token_id=22, activation_function="gelu_new",
        reorder_and_upcast_attn=False, scale_attn_by_inverse_layer_idx=True), shard="4KB", bin=True)
    yield Row("kogpt2", GPT2 | DROPOUTS | SUMMARY | dict(
        _num_labels=1, activation_function="gelu_new", author="Heewon Jeon(madjakarta@gmail.com)",
        bos_token_id=0, created_date="2021-04-28", eos_token_id=1, pad_token_id=3, n_ctx=32,
        gradient_checkpointing=False, layer_norm_epsilon=1e-5, license="CC-BY-NC-SA 4.0",
        id2label={"0": "LABEL_0"}, label2id={"LABEL_0": 0},
        task_specific_params={"text-generation": {"do_sample": True, "max_length": 50}}))
    yield Row("goldfish", GPT2 | DROPOUTS | dict(
        activation_function="gelu", bos_token_id=20, eos_token_id=21, pad_token_id=22, n_inner=32,
        prefix="[CLS]", layer_norm_epsilon=1e-5))
    # Untied, no tokenizer, no begin or end, an odd number of positions.
    yield Row("commavq", GPT2 | DROPOUTS | dict(
        n_positions=37, tie_word_embeddings=False, bos_token_id=None, eos_token_id=None,
        activation_function="gelu_new", n_inner=None, torch_dtype="bfloat16"),
        edit=round_to(torch.bfloat16), store=stored_as(torch.bfloat16))
    # The file has a row of positions for n_positions, not for n_ctx.
    yield Row("contexts_disagree", GPT2 | dict(n_ctx=32, n_positions=33), length=33, prompt=13)
    # Reinforcement learning leaves its value head in the file.
    yield Row("imdb_pos", GPT2 | DROPOUTS | dict(
        architectures=["GPT2LMHeadModel"], bos_token_id=22, eos_token_id=22, n_ctx=32),
        store=with_value_head)


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    for number, row in enumerate(rows()):
        seed = 1000 * number
        while not row.write(seed, FOLDER):
            seed += 2
        size = sum(path.stat().st_size for path in (FOLDER / row.name).iterdir())
        print(f"{row.name:28} seed {seed:6} {size:8} bytes")
    total = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    print(f"{total} bytes")
    assert total < 400_000


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
