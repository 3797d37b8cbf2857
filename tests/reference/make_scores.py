"""What transformers says of texts: tests/reference/scores/scores.json.

    pip install -r tests/reference/requirements.txt
    python tests/reference/make_scores.py

All numbers come from GPT2LMHeadModel in float64, of the tiny model `base` and of the bundled model:

* `tokens`: log-probability of each token behind those before it, its rank (the lowest and highest
  within 1e-4), the three best in its place, and offset_mapping of the tokenizer, in bytes;
* `windows`: the same by the loop with a stride that transformers documents for perplexity
  (docs/source/en/perplexity.md), and the perplexity from the model's own loss over those windows;
* `rankings`: continuations of a context as lm-evaluation-harness compares them;
* `hidden`: hidden_states of all layers, their mean and the last one, of length one;
* `inputs`: logits for inputs_embeds that are no rows of wte.
"""

import json
import math
import pathlib

import torch
from transformers import AutoTokenizer, GPT2LMHeadModel

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = {"base": ROOT / "tests/reference/models/base", "tales": ROOT / "examples/models/tales"}
TEXTS = ["The wolf came to the door, and the little goat said: \"Who is there?\"",
         "Once  upon\n a time café — 日本 😀 naïve <|endoftext|>",
         "king"]
RANKINGS = [("The king had three", [" sons", " daughters", " of the", " wolves in the wood"]),
            ("Once upon a", [" time there was a poor man", " time", " door", " 時間"]),
            ("The wolf ate the", [" goat", " goats.", "\n", " golden bird, and went home"]),
            ("The fox said: \"", ["Good day", "Good morning, dear wolf", "No"])]

models = {name: GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float64).eval()
          for name, folder in FOLDERS.items()}
tokenizer = AutoTokenizer.from_pretrained(FOLDERS["tales"])


def short(values):
    return [float(f"{float(value):.9g}") for value in values]


@torch.no_grad()
def distributions(name, ids):
    """(T, V): by row t the token t + 1 is chosen."""
    return models[name](torch.tensor([ids])).logits[0].log_softmax(-1)


def of_tokens(name, ids, text=None, before=()):
    rows = distributions(name, [*before, *ids])
    place = len(before) - 1
    case = {"model": name, "ids": ids, "bos": bool(before), "first": 0 if before else 1}
    chosen = [(rows[place + i], ids[i]) for i in range(case["first"], len(ids))]
    case["log_probs"] = short(row[id] for row, id in chosen)
    case["ranks"] = [[1 + int((row > row[id] + margin).sum()) for margin in (1e-4, -1e-4)]
                     for row, id in chosen]
    best = [row.topk(3) for row, _ in chosen]
    case["best"] = [entry.indices.tolist() for entry in best]
    case["best_log_probs"] = [short(entry.values) for entry in best]
    if text is not None:
        case["text"] = text
        bytes_to = [len(text[:i].encode()) for i in range(len(text) + 1)]
        offsets = tokenizer(text, split_special_tokens=True, return_offsets_mapping=True)
        assert offsets["input_ids"] == ids
        case["bytes"] = [[bytes_to[a], bytes_to[b]] for a, b in offsets["offset_mapping"]]
    return case


@torch.no_grad()
def of_windows(name, ids, window, stride):
    case = {"model": name, "ids": ids, "window": window, "stride": stride, "places": [],
            "log_probs": []}
    loss, count, done = 0.0, 0, 0
    for begin in range(0, len(ids), stride):
        end = min(begin + window, len(ids))
        inputs = torch.tensor([ids[begin:end]])
        targets = inputs.clone()
        targets[:, :max(done - begin, 0)] = -100
        labels = int((targets[:, 1:] != -100).sum())
        if labels:
            found = models[name](inputs, labels=targets)
            loss, count = loss + float(found.loss) * labels, count + labels
            rows = found.logits[0].log_softmax(-1)
            for i in range(max(done, begin + 1), end):
                case["places"].append(i)
                case["log_probs"] += short([rows[i - begin - 1, ids[i]]])
        done = end
        if end == len(ids):
            break
    case["perplexity"] = math.exp(loss / count)
    return case


def encode(text):
    return tokenizer.encode(text, split_special_tokens=True)


def of_continuation(context, choice):
    """Sum of log-probabilities, tokens, and whether greedy decoding writes it, as in lm-eval."""
    whole, start = encode(context + choice), len(encode(context))
    if not context:
        whole, start = [models["tales"].config.bos_token_id] + whole, 1
    rows = distributions("tales", whole)
    scores = [float(rows[i - 1, whole[i]]) for i in range(start, len(whole))]
    greedy = all(int(rows[i - 1].argmax()) == whole[i] for i in range(start, len(whole)))
    return sum(scores), len(scores), greedy


def of_ranking(context, choices):
    found = [of_continuation(context, choice) for choice in choices]
    case = {"context": context, "choices": choices, "greedy": [entry[2] for entry in found]}
    sums = [entry[0] for entry in found]
    case["log_prob"] = short(sums)
    case["per_token"] = short(entry[0] / entry[1] for entry in found)
    case["per_byte"] = short(s / len(choice.encode()) for s, choice in zip(sums, choices))
    case["per_character"] = short(s / len(choice) for s, choice in zip(sums, choices))
    case["pointwise"] = short(s - of_continuation("", choice)[0]
                              for s, choice in zip(sums, choices))
    return case


@torch.no_grad()
def of_hidden(name, ids):
    states = models[name](torch.tensor([ids]), output_hidden_states=True).hidden_states
    one = torch.nn.functional.normalize
    return {"model": name, "ids": ids,
            "layers": [short(state[0].flatten()) for state in states] if name == "base" else [],
            "means": [short(state[0].mean(0)) for state in states],
            "unit_means": [short(one(state[0].mean(0), dim=0)) for state in states],
            "unit_lasts": [short(one(state[0, -1], dim=0)) for state in states]}


@torch.no_grad()
def of_inputs(name, count):
    random = torch.Generator().manual_seed(3)
    model = models[name]
    vectors = torch.randn(count, model.config.n_embd, generator=random)
    return {"model": name, "vectors": [float(x) for x in vectors.flatten()],
            "logits": short(model(inputs_embeds=vectors[None].double()).logits[0].flatten())}


def random_ids(name, count, seed):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(models[name].config.vocab_size, (count,), generator=random).tolist()


def main():
    begin = [models["tales"].config.bos_token_id]
    made = {
        "tokens": [of_tokens("base", random_ids("base", 30, 1))]
        + [of_tokens("tales", encode(text), text, before) for text in TEXTS[:2]
           for before in ((), begin)]
        + [of_tokens("tales", encode(TEXTS[2]), TEXTS[2], begin)],
        "windows": [of_windows("base", random_ids("base", 90, 2), *rule)
                    for rule in ((32, 16), (32, 32), (32, 1), (7, 3), (7, 7), (2, 1))]
        + [of_windows("base", random_ids("base", 33, 4), 32, 16),
           of_windows("base", random_ids("base", 65, 5), 32, 32),
           of_windows("tales", random_ids("tales", 620, 6), 512, 200)],
        "rankings": [of_ranking(*entry) for entry in RANKINGS],
        "hidden": [of_hidden("base", random_ids("base", 9, 7)),
                   of_hidden("tales", encode("The wolf came to the door"))],
        "inputs": [of_inputs("base", 6)],
    }
    line = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    parts = [f"{line(key)}:[\n" + ",\n".join(map(line, cases)) + "\n]"
             for key, cases in made.items()]
    path = pathlib.Path(__file__).parent / "scores/scores.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text("{" + ",\n".join(parts) + "}\n", encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
