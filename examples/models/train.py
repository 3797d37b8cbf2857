"""Trains the bundled GPT-2 on a CPU within a given time, and exports it as Hugging Face does.

    prepare.py WORK                          first: tokenizer and token ids
    train.py WORK --minutes 115              train; writes WORK/checkpoint.pt and WORK/training.log
    train.py WORK --minutes 115 --resume     go on from WORK/checkpoint.pt
    train.py WORK --export CHECKPOINT FOLDER write config, weights (float16) and tokenizer

The schedule follows the clock, not the step count: the learning rate is constant after a short
warm-up and falls linearly to zero over the last part of the minutes given, so that the run ends
decayed on a busy machine as on a quiet one. Every name in the model is the checkpoint's.
"""
import argparse
import json
import math
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from prepare import END, VOCAB

T, C, H, L = 512, 256, 4, 6         # context, width, heads, layers
QUERIES = 256                       # queries attended at once: skips most of the masked half
BATCH, MICRO = 16, 4                # windows per step, and per pass: four stay near the cache
WARM_UP, DECAY = 100, 0.40          # steps; share of the time
LR_MUON, LR_ADAM = 0.02, 3e-3
WEIGHT_DECAY = 0.05                 # of the matrices, times LR_MUON
CHECK_EVERY = 300                   # seconds between checkpoints


# ---------------------------------------------------------------- the model

class Linear(nn.Module):
    """GPT-2's "Conv1D": weight (in, out), applied from the right."""

    def __init__(self, n_in: int, n_out: int, std: float = 0.02):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_in, n_out) * std)
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x):
        return F.linear(x, self.weight.t(), self.bias)


def attend(q, k, v):
    """Causal attention of the last queries: q (B, H, Q, D), k and v (B, H, K, D). Written out and
    compiled, 7 % more tokens per second in all than PyTorch's scaled_dot_product_attention."""
    n_q, n_k = q.shape[2], k.shape[2]
    future = torch.ones(n_q, n_k, dtype=torch.bool).triu(n_k - n_q + 1)
    scores = (q @ k.transpose(2, 3)) * q.shape[3] ** -0.5              # (B, H, Q, K)
    return scores.masked_fill(future, -1e4).softmax(dim=3).to(v.dtype) @ v


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn = Linear(C, 3 * C)
        self.c_proj = Linear(C, C, 0.02 / math.sqrt(2 * L))

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = (z.view(b, t, H, C // H).transpose(1, 2)             # (B, H, T, D)
                   for z in self.c_attn(x).split(C, dim=2))
        y = torch.cat([attend(q[:, :, i:i + QUERIES], k[:, :, :i + QUERIES], v[:, :, :i + QUERIES])
                       for i in range(0, t, QUERIES)], dim=2)          # (B, H, T, D)
        return self.c_proj(y.transpose(1, 2).reshape(b, t, C))


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_fc = Linear(C, 4 * C)
        self.c_proj = Linear(4 * C, C, 0.02 / math.sqrt(2 * L))

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(C, eps=1e-5), Attention()
        self.ln_2, self.mlp = nn.LayerNorm(C, eps=1e-5), MLP()

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT2(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCAB, C), nn.Embedding(T, C)
        self.h = nn.ModuleList(Block() for _ in range(L))
        self.ln_f = nn.LayerNorm(C, eps=1e-5)
        nn.init.normal_(self.wte.weight, std=0.02)
        nn.init.normal_(self.wpe.weight, std=0.01)

    def forward(self, ids, targets):
        """Mean cross-entropy in nats of targets (B, T) after ids (B, T)."""
        x = self.wte(ids) + self.wpe.weight[:ids.shape[1]]             # (B, T, C)
        for block in self.h:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.wte.weight)               # (B, T, V)
        return F.cross_entropy(logits.view(-1, VOCAB).float(), targets.reshape(-1))


# ---------------------------------------------------------------- the optimiser

def orthogonal(g):
    """The nearest semi-orthogonal matrix, roughly: five Newton-Schulz steps (Jordan, 2024)."""
    x = g.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.t() if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        a = x @ x.t()
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.t() if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Nesterov momentum whose update is made orthogonal; q, k and v count as three matrices."""

    def __init__(self, matrices, lr, momentum=0.95, weight_decay=WEIGHT_DECAY):
        super().__init__(matrices, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("momentum", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["momentum"])
                g = p.grad.lerp(m, group["momentum"])
                p.mul_(1 - group["lr"] * group["weight_decay"])
                parts = 3 if p.shape == (C, 3 * C) else 1
                for w, part in zip(p.chunk(parts, dim=1), g.chunk(parts, dim=1)):
                    n_in, n_out = w.shape
                    w.add_(orthogonal(part), alpha=-group["lr"] * max(1.0, n_out / n_in) ** 0.5)


def optimisers(model):
    matrices = [p for n, p in model.named_parameters() if n.startswith("h.") and p.ndim == 2]
    others = [p for n, p in model.named_parameters() if not (n.startswith("h.") and p.ndim == 2)]
    return [Muon(matrices, LR_MUON),
            torch.optim.AdamW(others, LR_ADAM, betas=(0.9, 0.95), weight_decay=0.0, fused=True)]


# ---------------------------------------------------------------- the run

def epoch(ids, seed):
    """All windows of T + 1 ids, shuffled, from an offset that differs with each epoch."""
    rng = np.random.default_rng(seed)
    starts = np.arange(rng.integers(T), len(ids) - T, T)
    rng.shuffle(starts)
    return starts


def windows(ids, starts):
    """(ids, targets), each (len(starts), T)."""
    rows = torch.from_numpy(np.stack([ids[s:s + T + 1] for s in starts]).astype(np.int64))
    return rows[:, :-1], rows[:, 1:]


@torch.no_grad()
def held_out(model, ids):
    """Bits per token over the held-out ids, less an incomplete last pass."""
    starts = np.arange(0, len(ids) - T, T)
    with torch.autocast("cpu", torch.bfloat16):
        losses = [model(*windows(ids, starts[i:i + MICRO])).item()
                  for i in range(0, len(starts) - MICRO + 1, MICRO)]
    return sum(losses) / len(losses) / math.log(2)


def save(path, value):
    """Writes beside the file, then renames: a checkpoint is whole or not there."""
    torch.save(value, f"{path}.tmp")
    os.replace(f"{path}.tmp", path)


def train(work: Path, minutes: float, resume: bool) -> None:
    torch.manual_seed(1)
    ids, held = np.load(work / "train.npy"), np.load(work / "held.npy")
    model = GPT2()
    forward = torch.compile(model)  # 4,800 instead of 3,200 tokens/s
    optims = optimisers(model)
    state = dict(step=0, elapsed=0.0, epoch=0, at=0)
    if resume:
        saved = torch.load(work / "checkpoint.pt")
        model.load_state_dict(saved["model"])
        for optim, s in zip(optims, saved["optims"]):
            optim.load_state_dict(s)
        state = saved["state"]
    log = open(work / "training.log", "a" if resume else "w", buffering=1)

    def say(text):
        print(text, file=log)

    parameters = sum(p.numel() for p in model.parameters())
    say(f"# {parameters} parameters, {len(ids)} tokens per epoch, {minutes:g} minutes"
        + (f", resumed at step {state['step']}" if resume else ""))
    begin = time.monotonic() - state["elapsed"]
    checked, spoke, spoke_step, mean = time.monotonic(), time.monotonic(), state["step"], None
    starts = epoch(ids, state["epoch"])
    done = False
    while not done:
        progress = (time.monotonic() - begin) / (60 * minutes)
        done = progress >= 1
        scale = min(1.0, (state["step"] + 1) / WARM_UP, max(0.0, 1 - progress) / DECAY)
        for optim, lr in zip(optims, (LR_MUON, LR_ADAM)):
            optim.param_groups[0]["lr"] = lr * scale

        if not done:
            if state["at"] + BATCH > len(starts):
                state["epoch"], state["at"] = state["epoch"] + 1, 0
                starts = epoch(ids, state["epoch"])
            x, y = windows(ids, starts[state["at"]:state["at"] + BATCH])
            state["at"] += BATCH
            loss = 0.0
            for i in range(0, BATCH, MICRO):
                with torch.autocast("cpu", torch.bfloat16):
                    part = forward(x[i:i + MICRO], y[i:i + MICRO]) * (MICRO / BATCH)
                part.backward()
                loss += part.item()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optim in optims:
                optim.step()
                optim.zero_grad()
            state["step"] += 1
            mean = loss if mean is None else 0.97 * mean + 0.03 * loss

        now = time.monotonic()
        state["elapsed"] = now - begin
        if now - spoke >= 30 or done:
            speed = (state["step"] - spoke_step) * BATCH * T / (now - spoke)
            say(f"{state['elapsed'] / 60:6.1f} min  step {state['step']:5d}"
                f"  epoch {state['epoch'] + state['at'] / len(starts):5.2f}"
                f"  {state['step'] * BATCH * T / 1e6:6.2f} M tokens  lr x {scale:.3f}"
                f"  loss {mean / math.log(2):.4f} bits/token  {speed:.0f} tokens/s")
            spoke, spoke_step = now, state["step"]
        if now - checked >= CHECK_EVERY or done:
            say(f"       held out {held_out(forward, held):.4f} bits/token")
            save(work / "checkpoint.pt", dict(model=model.state_dict(), state=state,
                                              optims=[o.state_dict() for o in optims]))
            checked = time.monotonic()


# ---------------------------------------------------------------- the export

CONFIG = dict(
    architectures=["GPT2LMHeadModel"], model_type="gpt2", activation_function="gelu_new",
    vocab_size=VOCAB, n_positions=T, n_ctx=T, n_embd=C, n_layer=L, n_head=H, n_inner=None,
    layer_norm_epsilon=1e-5, initializer_range=0.02,
    attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0,
    scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False, reorder_and_upcast_attn=False,
    tie_word_embeddings=True, bos_token_id=0, eos_token_id=0, use_cache=True, torch_dtype="float16")


def export(work: Path, checkpoint: Path, folder: Path) -> None:
    """Writes the folder that `from_pretrained` reads; each file is replaced whole."""
    from safetensors.torch import save_file
    weights = {f"transformer.{n}": w.half().contiguous()
               for n, w in torch.load(checkpoint)["model"].items()}
    tokenizer = json.loads((work / "tokenizer.json").read_text())
    vocab, merges = tokenizer["model"]["vocab"], tokenizer["model"]["merges"]
    text = {
        "config.json": json.dumps(CONFIG, indent=2),
        "generation_config.json": json.dumps(dict(bos_token_id=0, eos_token_id=0), indent=2),
        "tokenizer.json": json.dumps(tokenizer, indent=1, ensure_ascii=False),
        "tokenizer_config.json": json.dumps(dict(
            tokenizer_class="GPT2Tokenizer", add_prefix_space=False, model_max_length=T,
            bos_token=END, eos_token=END, unk_token=END,
            clean_up_tokenization_spaces=False), indent=2),
        "vocab.json": json.dumps(vocab, ensure_ascii=False),
        "merges.txt": "#version: 0.2\n" + "\n".join(" ".join(m) for m in merges),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        for name, content in text.items():
            (Path(temporary) / name).write_text(content + "\n")
        save_file(weights, Path(temporary) / "model.safetensors", metadata={"format": "pt"})
        for path in Path(temporary).iterdir():
            path.chmod(0o644)
            os.replace(path, folder / path.name)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("work", type=Path, help="folder that prepare.py filled")
    parser.add_argument("--minutes", type=float, default=115)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--export", nargs=2, type=Path, metavar=("CHECKPOINT", "FOLDER"))
    args = parser.parse_args()
    if args.export:
        export(args.work, *args.export)
    else:
        train(args.work, args.minutes, args.resume)


if __name__ == "__main__":
    main()
