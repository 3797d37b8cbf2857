#!/usr/bin/env python3
"""Time from the start of loading to the first token, and peak memory, of one model in every format,
beside Hugging Face transformers and llama.cpp in the same run. Prints a Markdown table.

    pip install torch transformers xllamacpp
    python tests/bench/formats.py --model FOLDER --work FOLDER [--examples FOLDER] [--runs 5]

FOLDER of --model is a Hugging Face folder in f32 with its tokenizer, 124M for the README's table;
--work takes the converted files. Ours are whole processes of `generate`; a peer is timed inside its
process, after its imports, from loading to the first token. Medians; files are in the page cache.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

PROMPT = "Hello, my name is"
HF = """
import sys, time, torch, transformers
from transformers import AutoModelForCausalLM, AutoTokenizer
torch.set_num_threads(2)
begun = time.perf_counter()
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
words = AutoTokenizer.from_pretrained(sys.argv[1])
model.generate(**words(sys.argv[2], return_tensors="pt"), max_new_tokens=1, do_sample=False)
print(time.perf_counter() - begun)
"""
LLAMA = """
import sys, time, xllamacpp
begun = time.perf_counter()
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.cpuparams.n_threads = 2
params.n_ctx = 1024
params.warmup = False
server = xllamacpp.Server(params)
server.handle_completions({"prompt": sys.argv[2], "max_tokens": 1, "temperature": 0})
print(time.perf_counter() - begun)
"""


def measured(command, inside):
    """Seconds and MB of one run; `inside`: the program prints its seconds last."""
    begun = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begun
    if status != 0:
        raise RuntimeError(f"{command[0]} failed")
    if inside:
        seconds = float(out.split()[-1])
    return seconds, usage.ru_maxrss / 1000


def row(name, command, runs, inside=False):
    try:
        measured(command, inside)  # into the page cache
        results = [measured(command, inside) for _ in range(runs)]
    except (RuntimeError, OSError) as problem:
        print(f"{name}: left out ({problem})", file=sys.stderr)
        return
    seconds = statistics.median(r[0] for r in results)
    peak = statistics.median(r[1] for r in results)
    print(f"| {name} | {1000 * seconds:.0f} | {peak:.0f} |", flush=True)


def prepared(given):
    """name: path of the model in each format."""
    work = pathlib.Path(given.work)
    work.mkdir(parents=True, exist_ok=True)
    made = {"Hugging Face folder, safetensors f32": given.model}

    def convert(name, path, *options):
        if not path.exists():
            subprocess.run([f"{given.examples}/convert", "--from", given.model, "--to", path,
                            "--quiet", *options], check=True)
        made[name] = str(path)

    convert("safetensors bf16", work / "bf16", "--weights", "bf16")
    convert("GGUF F32", work / "f32.gguf", "--weights", "f32")
    convert("GGUF F16", work / "f16.gguf", "--weights", "f16")
    convert("GGUF Q8_0", work / "q8_0.gguf", "--weights", "int8")
    convert("packed f32", work / "f32.gpt2", "--weights", "f32")
    convert("packed bf16", work / "bf16.gpt2", "--weights", "bf16")
    convert("packed int8", work / "int8.gpt2", "--weights", "int8")
    convert("packed int4", work / "int4.gpt2", "--weights", "int4")
    torch_folder = work / "pytorch"
    if not torch_folder.exists():
        shutil.copytree(work / "bf16", torch_folder)
        (torch_folder / "model.safetensors").unlink()
        subprocess.run([sys.executable, "-c", "import sys, torch, safetensors.torch as s;"
                        "torch.save(s.load_file(sys.argv[1]), sys.argv[2])",
                        f"{given.model}/model.safetensors", torch_folder / "pytorch_model.bin"],
                       check=True)
    made["pytorch_model.bin f32"] = str(torch_folder)
    llmc = work / "llmc"
    if not llmc.exists():
        llmc.mkdir()
        sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "reference"))
        import make_llmc
        make_llmc.write_model(pathlib.Path(given.model), 3, llmc / "gpt2_124M.bin")
        for name in ("vocab.json", "merges.txt"):
            shutil.copy(f"{given.model}/{name}", llmc)
    made["llm.c f32"] = str(llmc / "gpt2_124M.bin")
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--examples", default="build/examples")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    made = prepared(given)
    print("| file | ms to the first token | peak, MB |\n|---|---|---|")
    for name, path in made.items():
        row(name, [f"{given.examples}/generate", "--model", path, "--prompt", PROMPT, "--quiet",
                   "--max-new-tokens", "1", "--temperature", "0", "--threads", "2"], given.runs)
    row("transformers, safetensors f32", [sys.executable, "-c", HF, given.model, PROMPT],
        given.runs, inside=True)
    for kind in ("F32", "F16", "Q8_0"):
        row(f"llama.cpp, GGUF {kind}", [sys.executable, "-c", LLAMA, made[f"GGUF {kind}"], PROMPT],
            given.runs, inside=True)


if __name__ == "__main__":
    main()
