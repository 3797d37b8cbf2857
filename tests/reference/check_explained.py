#!/usr/bin/env python3
"""What `explain` writes, beside the programs that define it.

    python3 tests/reference/check_explained.py build/examples

Its JSON is valid by examples/explain/walk.schema.json (the package jsonschema), also for hostile
texts; what --record writes is read by NumPy and equals transformers' hidden states and attentions
in float64 within 1e-5 of the largest number of each. Exit status 0 when all holds, 1 when not, 77
where a package is missing."""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import jsonschema
    import numpy as np
    import torch
    from transformers import AutoTokenizer, GPT2LMHeadModel
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

ROOT = pathlib.Path(__file__).resolve().parents[2]
TALES = ROOT / "examples/models/tales"
MODELS = ROOT / "tests/reference/models"
HOSTILE = b"</script>\x1b[2J \xe2\x80\xae\xff\xc3( \xf0\x9f\x98 <b>"
programs = pathlib.Path(sys.argv[1])
failed = 0


def check(what, good, detail=""):
    global failed
    failed += not good
    print(("ok   " if good else "FAIL ") + what + ("" if good else f": {detail}"), flush=True)


def explain(*options, given=b""):
    command = [str(programs / "explain"), "--threads", "2", *map(str, options)]
    return subprocess.run(command, input=given, check=True, stdout=subprocess.PIPE).stdout


def check_schema():
    schema = json.loads((ROOT / "examples/explain/walk.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    cases = {
        "a text": (["--prompt", "Once upon a time", "--temperature", "0.8", "--top-k", "9"], b""),
        "a hostile text": (["--window", "99"], HOSTILE),
        "a long text": ([], b"The wolf came to the door. " * 9),
        "post-processing": (["--post", "measures", "--language", "es"], b"mide 5.4cm"),
        "ids": (["--model", MODELS / "base", "--input-ids", "3,1,4"], b""),
    }
    for name, (options, given) in cases.items():
        found = json.loads(explain("--output", "json", *options, given=given))
        wrong = [error.message[:200] for error in validator.iter_errors(found)]
        check(f"{name} is valid by the schema", not wrong, wrong)
        found["layers"][0]["more"] = 1
        check(f"{name} with more than that is not", not validator.is_valid(found))


def check_record(folder, options, ids, scratch):
    file = scratch / f"{folder.name}.npz"
    explain("--model", folder, *options, "--record", file, "--output", "json")
    with np.load(file) as archive:
        found = {name: archive[name] for name in archive.files}
    model = GPT2LMHeadModel.from_pretrained(
        folder, dtype=torch.float64, attn_implementation="eager").eval()
    with torch.no_grad():
        out = model(torch.tensor([ids]), output_hidden_states=True, output_attentions=True)
    last = len(model.transformer.h)
    expected = {"embedding": out.hidden_states[0], "ln_f": out.hidden_states[last],
                "logits": out.logits}
    for i in range(last):
        expected[f"h.{i}.weights"] = out.attentions[i]
        if i + 1 < last:
            expected[f"h.{i}.block"] = out.hidden_states[i + 1]
    for name, value in expected.items():
        value = value[0].numpy()
        off = np.inf
        if found[name].shape == value.shape:
            off = np.abs(found[name] - value).max() / np.abs(value).max()
        check(f"{folder.name}: {name}", off <= 1e-5, off)
    check(f"{folder.name}: every stage", len(found) == 5 + 14 * last, len(found))


check_schema()
with tempfile.TemporaryDirectory() as name:
    scratch = pathlib.Path(name)
    text = "The wolf came to the door."
    ids = AutoTokenizer.from_pretrained(TALES)(text)["input_ids"]
    check_record(TALES, ["--prompt", text], ids, scratch)
    check_record(MODELS / "base", ["--input-ids", "3,1,4,1,5"], [3, 1, 4, 1, 5], scratch)
sys.exit(failed > 0)
