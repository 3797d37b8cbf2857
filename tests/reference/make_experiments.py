"""What PyTorch makes of the experiments: tests/reference/experiments/experiments.json.

    pip install -r tests/reference/requirements.txt
    python tests/reference/make_experiments.py

All numbers come from GPT2LMHeadModel in float64, of the tiny model `base` and of the bundled model,
with PyTorch's hooks where a pass is changed:

* `ablation`: the loss, and its change without each head (zeros, or the head's mean, before c_proj);
* `patching`: the difference of two logits with values of another prompt in every place;
* `steering`: the difference of two texts' hidden states, and what greedy decoding writes with it;
* `attention`: mean distance, entropy and weight on the position before, from the attentions;
* `induction`: random ids (Philox4x32-10, written out here) twice, losses and weights of heads;
* `attribution`: the shares in logits, from the weights themselves;
* `words`: neighbours and analogies among the rows of wte;
* `in_context`: log-probabilities of an answer behind 0, 1, 2 ... examples;
* `order`: cosines of hidden states, log-probabilities and divergence of two texts.
"""

import contextlib
import json
import math
import pathlib

import torch
from transformers import AutoTokenizer, GPT2LMHeadModel

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = {"base": ROOT / "tests/reference/models/base", "tales": ROOT / "examples/models/tales"}

models = {name: GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float64,
                                                attn_implementation="eager").eval()
          for name, folder in FOLDERS.items()}
tokenizer = AutoTokenizer.from_pretrained(FOLDERS["tales"])


def short(values):
    return [float(f"{float(value):.9g}") for value in values]


def table(rows):
    return [short(row) for row in rows]


def encode(text):
    return tokenizer.encode(text, split_special_tokens=True)


def random_ids(name, count, seed):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(models[name].config.vocab_size, (count,), generator=random).tolist()


def logits(name, ids):
    return models[name](torch.tensor([ids])).logits[0]


def log_probs(name, ids):
    rows = logits(name, ids).log_softmax(-1)
    return torch.stack([rows[i, ids[i + 1]] for i in range(len(ids) - 1)])


def blocks(name):
    return models[name].transformer.h


def sizes(name):
    c = models[name].config
    return range(c.n_layer), range(c.n_head), c.n_embd // c.n_head


@contextlib.contextmanager
def edited(module, change, at_input=False):
    """The module with its first input, or its output, changed by `change(tensor)`."""
    def before(_, values):
        return (change(values[0].clone()), *values[1:])

    def after(_, __, value):
        whole = isinstance(value, tuple)
        new = change((value[0] if whole else value).clone())
        return (new, *value[1:]) if whole else new

    handle = module.register_forward_pre_hook(before) if at_input else \
        module.register_forward_hook(after)
    try:
        yield
    finally:
        handle.remove()


def captured(name, ids, module, at_input=False):
    seen = []
    with edited(module, lambda x: (seen.append(x), x)[1], at_input):
        logits(name, ids)
    return seen[0][0]


def replaced(columns, rows, value):
    def change(x):
        x[0, rows, columns] = value
        return x
    return change


def of_ablation(name, ids):
    layers, heads, size = sizes(name)
    loss = -log_probs(name, ids).mean()
    case = {"model": name, "ids": ids, "loss": short([loss])[0]}
    for kind in ("zero", "mean"):
        case[kind] = []
        for layer in layers:
            module = blocks(name)[layer].attn.c_proj
            found = captured(name, ids, module, at_input=True)
            row = []
            for head in heads:
                part = slice(head * size, (head + 1) * size)
                value = 0 if kind == "zero" else found[:, part].mean(0)
                with edited(module, replaced(part, slice(None), value), at_input=True):
                    row.append(-log_probs(name, ids).mean() - loss)
            case[kind].append(short(row))
    return case


def of_patching(name, clean, corrupted, stage, by_head=False):
    layers, heads, size = sizes(name)
    gain = logits(name, clean)[-1].softmax(-1) - logits(name, corrupted)[-1].softmax(-1)
    answers = [int(gain.argmax()), int(gain.argmin())]
    difference = lambda ids: (lambda row: row[answers[0]] - row[answers[1]])(logits(name, ids)[-1])
    case = {"model": name, "clean_ids": clean, "corrupted_ids": corrupted, "stage": stage,
            "heads": by_head, "answers": answers, "differences": [],
            "clean": short([difference(clean)])[0],
            "corrupted": short([difference(corrupted)])[0]}
    for layer in layers:
        block = blocks(name)[layer]
        module = {"block": block, "mlp": block.mlp, "heads": block.attn.c_proj}[stage]
        at_input = stage == "heads"
        found = captured(name, clean, module, at_input)
        row = []
        for i in heads if by_head else range(len(clean)):
            rows = slice(None) if by_head else slice(i, i + 1)
            columns = slice(i * size, (i + 1) * size) if by_head else slice(None)
            with edited(module, replaced(columns, rows, found[rows, columns]), at_input):
                row.append(difference(corrupted))
        case["differences"].append(short(row))
    return case


def of_steering(name, toward, away, layer, scale, prompt):
    states = [models[name](torch.tensor([encode(text)]), output_hidden_states=True)
              .hidden_states[layer][0] for text in (toward, away)]
    case = {"toward": toward, "away": away, "layer": layer, "scale": scale, "prompt": prompt,
            "mean": short(states[0].mean(0) - states[1].mean(0)),
            "last": short(states[0][-1] - states[1][-1]), "greedy": []}
    direction = states[0].mean(0) - states[1].mean(0)
    ids = encode(prompt)
    for _ in range(20):
        with edited(blocks(name)[layer], lambda x: x + scale * direction, at_input=True):
            best = logits(name, ids)[-1].topk(2)
        assert best.values[0] - best.values[1] > 1e-3
        ids = ids + [int(best.indices[0])]
        case["greedy"].append(ids[-1])
    return case


def maps(name, ids):
    """(L, H, T, T)"""
    return torch.stack(models[name](torch.tensor([ids]), output_attentions=True).attentions)[:, 0]


def of_attention(name, ids):
    weights = maps(name, ids)
    at = torch.arange(len(ids), dtype=torch.float64)
    back = (at[:, None] - at[None, :]).clamp(min=0)
    return {"model": name, "ids": ids,
            "distance": table((weights * back).sum(-1).mean(-1)),
            "entropy": table(-torch.xlogy(weights, weights).sum(-1).mean(-1) / math.log(2)),
            "previous": table(weights.diagonal(-1, 2, 3).mean(-1))}


def philox(step, seed):
    """The low 64 bits of Philox4x32-10 (Salmon et al. 2011) for counter (step, 0), key seed."""
    mask = 0xffffffff
    c = [step & mask, step >> 32, 0, 0]
    k = [seed & mask, seed >> 32]
    for _ in range(10):
        a, b = 0xd2511f53 * c[0], 0xcd9e8d57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b & mask, a >> 32 ^ c[3] ^ k[1], a & mask]
        k = [(k[0] + 0x9e3779b9) & mask, (k[1] + 0xbb67ae85) & mask]
    return c[0] | c[1] << 32


def of_induction(name, length, seed):
    config = models[name].config
    begin = [] if config.bos_token_id is None else [config.bos_token_id]
    stretch = [philox(i, seed) % config.vocab_size for i in range(length)]
    ids = begin + stretch + stretch
    first = len(begin) + length
    weights, found = maps(name, ids), -log_probs(name, ids)
    scores = torch.stack([weights[:, :, t, t - length + 1] for t in range(first, len(ids))])
    return {"model": name, "length": length, "seed": seed, "ids": ids,
            "scores": table(scores.mean(0)),
            "losses": short([found[len(begin):first - 1].mean(), found[first:].mean()])}


def of_attribution(name, ids, position, others):
    """The logits behind a position, part by part, in the order of the pass."""
    model, ids = models[name], ids[:position + 1]
    layers, heads, size = sizes(name)
    own = logits(name, ids)[-1]
    tokens = [int(own.argmax()), *others]
    parts = [model.transformer.wte.weight[ids[-1]], model.transformer.wpe.weight[position]]
    for layer in layers:
        attention, mlp = blocks(name)[layer].attn.c_proj, blocks(name)[layer].mlp
        found = captured(name, ids, attention, at_input=True)[-1]
        for head in heads:
            part = slice(head * size, (head + 1) * size)
            parts.append(found[part] @ attention.weight[part])
        parts += [attention.bias, captured(name, ids, mlp)[-1]]
    norm, stream = model.transformer.ln_f, sum(parts)
    scale = torch.sqrt(stream.var(correction=0) + norm.eps)
    shares = torch.stack([(part - part.mean()) / scale * norm.weight for part in parts] +
                         [norm.bias]) @ model.lm_head.weight.T
    assert torch.allclose(shares.sum(0), own)
    return {"model": name, "ids": ids, "tokens": tokens, "logits": short(own[tokens]),
            "centred_logits": short((own - own.mean())[tokens]),
            "parts": table(shares[:, tokens]),
            "centred_parts": table((shares - shares.mean(1, keepdim=True))[:, tokens])}


def of_words(plus, minus, count=8):
    token = lambda word: encode(" " + word)[0]
    unit = torch.nn.functional.normalize(models["tales"].transformer.wte.weight, dim=1)
    ids = [token(word) for word in plus + minus]
    assert all(len(encode(" " + word)) == 1 for word in plus + minus)
    direction = sum(unit[token(word)] for word in plus) - sum(unit[token(word)] for word in minus)
    cosines = unit @ (direction / direction.norm())
    cosines[ids] = -2
    best = cosines.topk(count)
    return {"plus": plus, "minus": minus, "tokens": best.indices.tolist(),
            "cosines": short(best.values)}


def of_in_context(examples, asked, between):
    case = {"examples": examples, "asked": asked, "between": between, "log_probs": []}
    for count in range(len(examples) + 1):
        context = "".join(q + a + between for q, a in examples[:count]) + asked[0]
        text = context + asked[1]
        ids = encode(text)
        offsets = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        found = log_probs("tales", ids)
        case["log_probs"] += short([sum(found[i - 1] for i in range(1, len(ids))
                                        if offsets[i][1] > len(context))])
    return case


def of_order(first, second):
    """`same`: the pairs of positions of a token in both texts."""
    texts = [encode(text) for text in (first, second)]
    left = list(enumerate(texts[1]))
    pairs = []
    for i, id in enumerate(texts[0]):
        match = next((entry for entry in left if entry[1] == id), None)
        if match:
            pairs.append([i, match[0]])
            left.remove(match)
    depths = []
    for ids in texts:
        run = models["tales"](torch.tensor([ids]), output_hidden_states=True)
        last = captured("tales", ids, blocks("tales")[-1])  # hidden_states end behind ln_f
        depths.append([models["tales"].transformer.wte.weight[ids],
                       *(state[0] for state in run.hidden_states[:-1]), last])
    cosine = torch.nn.functional.cosine_similarity
    p, q = (logits("tales", ids)[-1].softmax(-1) for ids in texts)
    middle = (p + q) / 2
    kl = lambda a: torch.xlogy(a, a / middle).sum() / math.log(2)
    return {"first": first, "second": second, "pairs": pairs,
            "same_token": short(sum(cosine(a[i], b[j], 0) for i, j in pairs) / len(pairs)
                                for a, b in zip(*depths)),
            "whole": short(cosine(a.mean(0), b.mean(0), 0) for a, b in zip(*depths)),
            "log_probs": short(log_probs("tales", ids).sum() for ids in texts),
            "next": [logits("tales", ids)[-1].topk(3).indices.tolist() for ids in texts],
            "divergence": short([(kl(p) + kl(q)) / 2])[0]}


@torch.no_grad()
def main():
    text = encode("The wolf came to the door, and the little goat said: Who is there?")
    queen, king = encode("Then the queen was glad that"), encode("Then the king was glad that")
    base = random_ids("base", 9, 1)
    other = base[:2] + random_ids("base", 2, 5) + base[4:]
    numbers = ["one", "two", "three", "four", "five"]
    made = {
        "ablation": [of_ablation("base", base), of_ablation("tales", text)],
        "patching": [of_patching("base", base, other, stage) for stage in ("block", "mlp")]
        + [of_patching("base", base, other, "heads", True),
           of_patching("tales", queen, king, "block"),
           of_patching("tales", queen, king, "heads", True)],
        "steering": [of_steering("tales", "the sea, the ship and the waves",
                                 "the house, the room and the door", layer, 0.7, "Once upon a time")
                     for layer in (0, 3)],
        "attention": [of_attention("base", base), of_attention("tales", text)],
        "induction": [of_induction("base", 9, 3), of_induction("tales", 30, 1 << 40)],
        "attribution": [of_attribution("base", base, 8, [3]), of_attribution("base", base, 0, []),
                        of_attribution("tales", text, 9, encode(" wolf"))],
        "words": [of_words(["king"], []), of_words(["king", "woman"], ["man"]),
                  of_words(["brother", "mother"], ["father"])],
        "in_context": [of_in_context([[a + ", ", b] for a, b in zip(numbers, numbers[1:])],
                                     ["five, ", "six"], "\n")],
        "order": [of_order("The dog ran after the cat", "The cat ran after the dog")],
    }
    line = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    parts = [f"{line(key)}:[\n" + ",\n".join(map(line, cases)) + "\n]"
             for key, cases in made.items()]
    path = pathlib.Path(__file__).parent / "experiments/experiments.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text("{" + ",\n".join(parts) + "}\n", encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
