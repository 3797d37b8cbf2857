#!/usr/bin/env python3
"""What `convert` writes, loaded by the programs it is written for.

    python3 tests/reference/check_saved.py build/examples

Hugging Face transformers loads the folders (logits in float32 within 1e-5 of the largest of the
model they were made from; the tokenizer gives the same ids), the gguf package reads the values,
and llama.cpp (the wheel `xllamacpp`, where it is installed) continues a text as transformers does.
Exit status 0 when all holds, 1 when not, 77 where the packages of requirements.txt are missing."""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import gguf
    import numpy as np
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)
try:
    import xllamacpp
except ImportError:
    xllamacpp = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
TALES = ROOT / "examples/models/tales"
MODELS = ROOT / "tests/reference/models"
PROMPT = "Once upon a time"
TEXTS = [PROMPT, "The wolf's  den,\n\t1234 é 日本 <|endoftext|> x", "", "   ", "a\r\n\x00\x7f😀"]
programs = pathlib.Path(sys.argv[1])
failed = 0


def check(what, good, detail=""):
    global failed
    failed += not good
    print(("ok   " if good else "FAIL ") + what + ("" if good else f": {detail}"), flush=True)


def convert(source, target, *options):
    command = [programs / "convert", "--from", source, "--to", target, "--force", *options]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    return target


def load(folder, **how):
    return AutoModelForCausalLM.from_pretrained(folder, **how).eval()


def logits(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].double().numpy()


def check_folder(name, source, target, tolerance=1e-5):
    """`source` as transformers loads it against `target`, in float32."""
    a, b = (load(folder, dtype=torch.float32) for folder in (source, target))
    ids = [i * 7 % a.config.vocab_size for i in range(min(24, a.config.n_positions))]
    want, have = logits(a, ids), logits(b, ids)
    worst = float(abs(want - have).max() / abs(want).max())
    check(f"{name}: logits", worst <= tolerance, f"off by {worst:.1e} of the largest")
    for key in ("bos_token_id", "eos_token_id"):
        check(f"{name}: {key}", getattr(a.config, key) == getattr(b.config, key),
              (getattr(a.config, key), getattr(b.config, key)))


def check_tokenizer(name, source, target):
    a, b = (AutoTokenizer.from_pretrained(folder) for folder in (source, target))
    for text in TEXTS:
        for special in (True, False):
            want, have = (t.encode(text, add_special_tokens=special) for t in (a, b))
            check(f"{name}: ids of {text[:12]!r}", want == have, (want, have))
    check(f"{name}: as many tokens", len(a) == len(b), (len(a), len(b)))
    check(f"{name}: end of text", a.eos_token == b.eos_token, (a.eos_token, b.eos_token))


def check_gguf(name, path, kind):
    """The values of the tales in the file, rounded as the gguf package rounds."""
    stored = load(TALES, dtype=torch.float32).state_dict()
    reader = gguf.GGUFReader(path)
    ours = {"token_embd.weight": "transformer.wte.weight",
            "position_embd.weight": "transformer.wpe.weight",
            "blk.5.attn_qkv.weight": "transformer.h.5.attn.c_attn.weight",
            "blk.0.ffn_down.weight": "transformer.h.0.mlp.c_proj.weight",
            "blk.3.ffn_up.bias": "transformer.h.3.mlp.c_fc.bias"}
    for tensor in reader.tensors:
        if tensor.name not in ours:
            continue
        values = stored[ours[tensor.name]].numpy()
        matrix = values.ndim == 2 and tensor.name != "position_embd.weight"
        turned = values.T if matrix and tensor.name.startswith("blk") else values
        wanted_kind = kind if matrix else gguf.GGMLQuantizationType.F32
        wanted = gguf.quants.quantize(np.ascontiguousarray(turned), wanted_kind)
        check(f"{name}: {tensor.name}", tensor.tensor_type == wanted_kind
              and wanted.tobytes() == tensor.data.tobytes(), tensor.tensor_type.name)
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    vocabulary = json.loads((TALES / "vocab.json").read_text())
    check(f"{name}: tokens", tokens == sorted(vocabulary, key=vocabulary.get))


def check_llama(name, path):
    """A greedy continuation by llama.cpp against transformers'."""
    model, tokenizer = load(TALES, dtype=torch.float32), AutoTokenizer.from_pretrained(TALES)
    ids = tokenizer(PROMPT, return_tensors="pt")
    longer = model.generate(**ids, do_sample=False, max_new_tokens=24)[0]
    want = tokenizer.decode(longer)[len(PROMPT):]
    how = xllamacpp.CommonParams()
    how.model.path = str(path)
    how.n_ctx, how.cpuparams.n_threads, how.warmup, how.n_parallel = 128, 1, False, 1
    answer = xllamacpp.Server(how).handle_completions(
        {"prompt": PROMPT, "max_tokens": 24, "temperature": 0, "top_k": 1})
    answer = json.loads(answer) if isinstance(answer, str) else answer
    have = answer["choices"][0]["text"]
    check(f"{name}: llama.cpp writes the same", want == have, (want, have))


def main():
    kinds = gguf.GGMLQuantizationType
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        for weights in ([], ["--weights", "f32"]):
            folder = convert(TALES, scratch / "tales", *weights)
            check_folder(f"tales {weights}", TALES, folder)
            check_tokenizer(f"tales {weights}", TALES, folder)
        check("dtype of a folder of floats", load(folder).dtype == torch.float32)
        halves = convert(TALES, scratch / "halves", "--weights", "bf16")
        check("dtype of a folder of halves", load(halves).dtype == torch.bfloat16)
        for name in ("base", "activation_relu", "scale_none", "scale_by_layer", "inner_37",
                     "head_untied", "epsilon_0.1", "stored_bf16", "odd_sizes"):
            check_folder(name, MODELS / name, convert(MODELS / name, scratch / name))
        for weights, kind in (("f32", kinds.F32), ("f16", kinds.F16), ("bf16", kinds.BF16),
                              ("int8", kinds.Q8_0)):
            path = convert(TALES, scratch / f"{weights}.gguf", "--weights", weights)
            check_gguf(path.name, path, kind)
            if xllamacpp and weights != "bf16":
                check_llama(path.name, path)
        back = convert(scratch / "f32.gguf", scratch / "back")
        check_folder("through GGUF and back", TALES, back)
        check_tokenizer("through GGUF and back", TALES, back)
    if not xllamacpp:
        print("without llama.cpp: xllamacpp is not installed")
    print(f"{failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
