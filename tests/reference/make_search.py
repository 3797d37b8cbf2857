#!/usr/bin/env python3
"""What searches of HF transformers find: tests/reference/search/*.json.

    pip install -r tests/reference/requirements.txt
    python tests/reference/make_search.py

makes beam.json (beam search), guided.json (classifier-free guidance) and contrasted.json
(contrastive decoding). Diverse beam groups and contrastive search left transformers with version 5;
groups.json and contrastive.json come from the last that has them, in an environment of its own:

    pip install 'transformers==4.49.0' torch safetensors
    python tests/reference/make_search.py

A case names a folder below tests/reference/models, or "tales" (examples/models/tales), the prompt,
the end-of-text ids and HF's options; it expects the new tokens of each sequence without the end,
whether it ended, and HF's sequences_scores. Each case ran in float32 and in float64; what differed
there is left out, so that no expectation hangs on a rounding.

Contrastive decoding is no part of transformers: its scores are the formula of Li et al. 2022
(arXiv:2210.15097, equations 2 and 3), written below on the log-softmax of HF's logits.
"""

import json
import pathlib
import random

import torch
import transformers
from transformers import GPT2LMHeadModel

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "reference" / "search"
LEGACY = int(transformers.__version__.split(".")[0]) < 5


def load(name):
    folder = ROOT / "examples/models/tales" if name == "tales" else (
        ROOT / "tests/reference/models" / name)
    read = lambda kind: GPT2LMHeadModel.from_pretrained(
        folder, torch_dtype=kind, attn_implementation="eager").eval()
    models = read(torch.float32), read(torch.float64)
    for model in models:
        model.generation_config = transformers.GenerationConfig()
        if LEGACY:  # generate makes float32 of the logits, but not everywhere
            model.register_forward_hook(with_single_logits)
    return models


def with_single_logits(model, given, out):
    out.logits = out.logits.float()
    return out


MODELS = {name: load(name) for name in ("wide", "odd_sizes", "base", "tales")}


def new_tokens(row, prompt, end):
    """The tokens behind the prompt up to the first end of text."""
    tokens = row[len(prompt):].tolist()
    ends = [i for i, token in enumerate(tokens) if token in end]
    return {"tokens": tokens[: ends[0]] if ends else tokens, "ended": bool(ends)}


def run(model, prompt, end, settings):
    ids = torch.tensor([prompt])
    settings = dict(settings)
    if "negative_prompt_ids" in settings:
        settings["negative_prompt_ids"] = torch.tensor([settings["negative_prompt_ids"]])
    with torch.no_grad():
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, return_dict_in_generate=True,
            output_scores=True, eos_token_id=end or None, pad_token_id=end[0] if end else None,
            **settings)
    found = [new_tokens(row, prompt, end) for row in out.sequences]
    if getattr(out, "sequences_scores", None) is not None:
        for one, score in zip(found, out.sequences_scores.tolist()):
            one["score"] = score
    return found


def same(left, right):
    return [(one["tokens"], one["ended"]) for one in left] == [
        (one["tokens"], one["ended"]) for one in right]


def prompt_for(name, pick):
    size = MODELS[name][0].config.vocab_size
    return [pick.randrange(1, size) for _ in range(pick.randrange(1, 9))]


def ends_for(name, pick):
    """None, one or two ids that end a text; on a tiny model often enough to be met."""
    if name == "tales":
        words = [11, 13, 14, 199, 262, 286, 305]
        return [0] if pick.random() < 0.3 else [0] + pick.sample(words, 2)
    size = MODELS[name][0].config.vocab_size
    return sorted(pick.sample(range(size), pick.choice([0, 1, 1, 2, 3])))


def many_ends(name, pick):
    """So many that texts end early, and groups are over before others."""
    size = MODELS[name][0].config.vocab_size
    return [0] if name == "tales" else sorted(pick.sample(range(size), size // 3))


def cases(draw, count, seed, ends=ends_for):
    """`count` cases that `draw` makes and on which float32 and float64 agree."""
    pick, made, dropped = random.Random(seed), [], 0
    while len(made) < count:
        name = pick.choice(["wide", "wide", "odd_sizes", "odd_sizes", "base", "tales"])
        prompt, end = prompt_for(name, pick), ends(name, pick)
        settings = draw(pick, name)
        room = MODELS[name][0].config.n_positions - len(prompt)
        settings["max_new_tokens"] = min(settings["max_new_tokens"], room)
        single, double = (run(model, prompt, end, settings) for model in MODELS[name])
        if not same(single, double):
            dropped += 1
            continue
        made.append({"model": name, "prompt": prompt, "end": end, "options": settings,
                     "expect": double})
    print(f"{count} cases, {dropped} left out")
    return made


def processors(pick):
    """Sometimes settings that change the scores."""
    settings = {}
    if pick.random() < 0.25:
        settings["repetition_penalty"] = pick.choice([0.8, 1.3, 2.0])
    if pick.random() < 0.25:
        settings["no_repeat_ngram_size"] = pick.choice([2, 3])
    if pick.random() < 0.25:
        settings["min_new_tokens"] = pick.randrange(1, 12)
    return settings


def beam(pick, name):
    beams = pick.choice([2, 3, 4, 5, 8])
    return processors(pick) | {
        "num_beams": beams, "num_return_sequences": pick.randrange(1, beams + 1),
        "length_penalty": pick.choice([1.0, 1.0, 0.0, -0.5, 0.6, 2.0]),
        "early_stopping": pick.choice([False, True, "never"]),
        "max_new_tokens": pick.randrange(1, 25)}


def groups(pick, name):
    count, size = pick.choice([(2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (4, 2)])
    return processors(pick) | {
        "num_beams": count * size, "num_beam_groups": count,
        "num_return_sequences": pick.randrange(1, count * size + 1),
        "diversity_penalty": pick.choice([0.3, 1.0, 4.0]),
        "length_penalty": pick.choice([1.0, 0.0, 0.6, 2.0]),
        "early_stopping": pick.choice([False, True, "never"]),
        "max_new_tokens": pick.randrange(1, 25)}


def contrastive(pick, name):
    return processors(pick) | {"penalty_alpha": pick.choice([0.1, 0.4, 0.6, 0.9]),
                               "top_k": pick.choice([2, 4, 5, 8]),
                               "max_new_tokens": pick.randrange(1, 25)}


def guided(pick, name):
    # One position less: HF's own negative pass must fit as well.
    return processors(pick) | {"guidance_scale": pick.choice([0.0, 0.5, 1.5, 3.0, 5.0]),
                               "negative_prompt_ids": prompt_for(name, pick),
                               "max_new_tokens": pick.randrange(1, 24)}


def contrasted(pick):
    """Greedy contrastive decoding: log p_expert - beta log p_amateur among the tokens with
    p_expert ≥ alpha max p_expert; the amateur's logits are divided by its temperature."""
    made = []
    while len(made) < 12:
        # Two random models of one vocabulary: the 17 tokens that most of the folders share.
        pair = [load(pick.choice(["base", "inner_37", "head_size_17", "one_layer"]))
                for _ in range(2)]
        prompt = [pick.randrange(17) for _ in range(pick.randrange(1, 6))]
        settings = {"alpha": pick.choice([0.0, 0.1, 0.3]), "beta": pick.choice([0.5, 1.0]),
                    "temperature": pick.choice([0.5, 1.0, 2.0]), "max_new_tokens": 20}
        texts = []
        for expert, amateur in zip(*pair):
            ids = list(prompt)
            for _ in range(settings["max_new_tokens"]):
                with torch.no_grad():
                    last = lambda model: model(torch.tensor([ids])).logits[0, -1]
                    strong = torch.log_softmax(last(expert), -1)
                    weak = torch.log_softmax(last(amateur) / settings["temperature"], -1)
                plausible = strong.exp() >= settings["alpha"] * strong.exp().max()
                score = torch.where(plausible, strong - settings["beta"] * weak, -torch.inf)
                ids.append(int(score.argmax()))
            texts.append(ids[len(prompt):])
        if texts[0] != texts[1] or pair[0][0].name_or_path == pair[1][0].name_or_path:
            continue
        names = [pathlib.Path(models[0].name_or_path).name for models in pair]
        made.append({"model": names[0], "amateur": names[1], "prompt": prompt, "end": [],
                     "options": settings, "expect": [{"tokens": texts[0], "ended": False}]})
    return made


def write(name, made):
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in made)
    (FOLDER / name).write_text(f"[\n{lines}\n]\n")


def main():
    FOLDER.mkdir(exist_ok=True)
    if LEGACY:
        write("groups.json", cases(groups, 60, 2) + cases(groups, 60, 6, many_ends))
        write("contrastive.json", cases(contrastive, 40, 3))
        return
    write("beam.json", cases(beam, 90, 1))
    write("guided.json", cases(guided, 30, 4))
    write("contrasted.json", contrasted(random.Random(5)))


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    main()
