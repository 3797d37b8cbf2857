"""Bits per byte of an exported model, in float32, by the rule that README.md states.

    evaluate.py FOLDER [--text ../shared/data/text/tales-valid] [--json FILE]
    evaluate.py FOLDER --sample "Once upon a time"     write on instead

Read `join` in prepare.py first. Exits with 1 if --at-most is given and the total lies above it.
"""
import argparse
import json
import math
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import GPT2LMHeadModel

from prepare import END, join


@torch.no_grad()
def bits(model, ids: list[int]) -> float:
    """-log2 of the probability of ids[1:], in windows that share one id with the next."""
    size, total = model.config.n_positions, 0.0
    for at in range(0, len(ids) - 1, size - 1):
        window = torch.tensor(ids[at:at + size])                                      # (T,)
        logits = model(window[None, :-1]).logits[0]                                   # (T - 1, V)
        chosen = logits.double().log_softmax(1).gather(1, window[1:, None])           # (T - 1, 1)
        total -= chosen.sum().item() / math.log(2)
    return total


def evaluate(model, tokenizer, folder: Path) -> dict:
    end, rows = tokenizer.token_to_id(END), []
    for path in sorted(folder.glob("*.txt")):
        text = join(path.read_bytes())
        ids = [end, *tokenizer.encode(text.decode()).ids]
        rows.append(dict(file=path.name, bytes=len(text), tokens=len(ids) - 1,
                         bits=bits(model, ids)))
    if not rows:
        sys.exit(f"no .txt files in {folder}")
    total = {key: sum(row[key] for row in rows) for key in ("bytes", "tokens", "bits")}
    for row in [*rows, total]:
        row["bits_per_byte"] = row["bits"] / row["bytes"]
    return dict(files=rows, total=total)


def sample(model, tokenizer, prompt: str, count: int, seed: int) -> str:
    """Goes on from the prompt: top-k 40 at temperature 0.8, the whole text within one context."""
    torch.manual_seed(seed)
    ids = torch.tensor([[tokenizer.token_to_id(END), *tokenizer.encode(prompt).ids]])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=count,
                         do_sample=True, temperature=0.8, top_k=40, pad_token_id=0)
    return tokenizer.decode(out[0].tolist())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--text", type=Path, default=Path("../shared/data/text/tales-valid"))
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    parser.add_argument("--at-most", type=float, metavar="BITS")
    parser.add_argument("--sample", metavar="PROMPT")
    parser.add_argument("--tokens", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    model = GPT2LMHeadModel.from_pretrained(args.folder, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(str(args.folder / "tokenizer.json"))
    if args.sample is not None:
        print(sample(model, tokenizer, args.sample, args.tokens, args.seed))
        return

    result = evaluate(model, tokenizer, args.text)
    for row in [*result["files"], dict(result["total"], file="total")]:
        print(f"{row['file']:32} {row['bytes']:8} bytes {row['tokens']:8} tokens"
              f" {row['bits']:12.2f} bits {row['bits_per_byte']:8.5f} bits per byte")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")
    if args.at_most is not None and result["total"]["bits_per_byte"] > args.at_most:
        sys.exit(f"more than {args.at_most} bits per byte")


if __name__ == "__main__":
    main()
