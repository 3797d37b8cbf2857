"""Random requests for the sampler program, and what HF transformers answers to them.

Used by make_sampling.py, which commits some of them as fixtures, and by check_sampling.py, which
puts thousands through the program.
"""

import numpy as np
import torch
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

MODEL = GPT2LMHeadModel(GPT2Config(vocab_size=8, n_positions=8, n_embd=4, n_layer=1, n_head=1))


def hf_scores(request, dtype):
    """The scores after the list of processors that `generate` builds for these options."""
    options = dict(request["options"])
    options.setdefault("do_sample", True)
    options.setdefault("top_k", None)
    ends = options.get("eos_token_id")
    least = options.pop("min_tokens_to_keep", 1)
    config = GenerationConfig(**options)
    if least > 1:
        config.num_beams = 2  # of beams HF keeps one token more than there are ends
        assert least == len(np.atleast_1d(ends)) + 1
    config._eos_token_tensor = None if ends is None else torch.tensor(np.atleast_1d(ends))
    if options.get("max_new_tokens"):
        config.max_length = request["prompt_length"] + options["max_new_tokens"]
    chain = MODEL._get_logits_processor(
        config, input_ids_seq_length=request["prompt_length"], device="cpu"
    )
    tokens = torch.tensor([request["tokens"]], dtype=torch.long)
    scores = torch.tensor([request["logits"]], dtype=torch.float32).to(dtype)
    return chain(tokens, scores)[0].to(torch.float64).numpy()


def answer(scores):
    """The ids that survive, ascending, and their probabilities."""
    ids = np.flatnonzero(np.isfinite(scores))
    weights = np.exp(scores[ids] - scores[ids].max()) if len(ids) else np.zeros(0)
    return ids.tolist(), (weights / weights.sum()).tolist()


def hf_answer(request):
    """The answer, and whether float64 would have decided otherwise: then rounding decides."""
    ids, probabilities = answer(hf_scores(request, torch.float32))
    edge = answer(hf_scores(request, torch.float64))[0] != ids
    return ids, probabilities, edge


def random_logits(rng, size):
    logits = rng.normal(0, rng.choice([0.3, 1, 3, 8]), size)
    style = rng.integers(0, 6)
    if style == 1:
        logits = np.round(logits)  # many ties
    if style == 2:
        logits = np.round(logits * 4) / 4  # some ties
    if style == 3 and size > 2:
        logits[rng.permutation(size)[: size // 3]] = -np.inf  # banned
    if style == 4:
        logits = logits - 60
    return [float(np.float32(x)) for x in logits]


def random_ids(rng, size, most, least=0):
    count = int(rng.integers(least, most + 1))
    return [int(x) for x in rng.integers(0, size, count)]


def some_words(rng, size, tokens, most):
    """Sequences of one to three ids, of which many continue the text."""
    words = []
    for _ in range(int(rng.integers(1, most + 1))):
        length = int(rng.integers(1, 4))
        word = random_ids(rng, size, length, length)
        if rng.integers(0, 2) and len(tokens) >= length - 1 and length > 1:
            word[:-1] = tokens[len(tokens) - length + 1 :]
        if word not in words:
            words.append(word)
    return words


def choose(rng, *values):
    return values[int(rng.integers(0, len(values)))]


def processors(rng, size, request):
    """Each processor of HF with settings of its own, by name."""
    tokens, length = request["tokens"], len(request["tokens"])
    some = lambda most: random_ids(rng, size, most, 1)
    one = lambda: int(rng.integers(0, size))
    prompt = request["prompt_length"]
    return {
        "sequence_bias": lambda: [
            [word, float(np.float32(rng.normal(0, 4)))] for word in some_words(rng, size, tokens, 6)
        ],
        "repetition_penalty": lambda: float(choose(rng, 0.5, 1.1, 1.3, 2.0, 10.0)),
        "no_repeat_ngram_size": lambda: int(rng.integers(1, 5)),
        "bad_words_ids": lambda: some_words(rng, size, tokens, 5),
        "min_length": lambda: max(1, length + int(rng.integers(-2, 3))),
        "min_new_tokens": lambda: max(1, length - prompt + int(rng.integers(-1, 3))),
        "forced_bos_token_id": one,
        "forced_eos_token_id": lambda: choose(rng, one(), some(3)),
        "exponential_decay_length_penalty": lambda: [
            int(rng.integers(0, 4)),
            float(choose(rng, 0.5, 1.01, 1.5, 3.0)),
        ],
        "suppress_tokens": lambda: some(5),
        "begin_suppress_tokens": lambda: some(5),
    }


def warpers(rng, size):
    """Each of the others, by name."""
    share = lambda: float(np.round(rng.random() * 0.98 + 0.01, 4))
    return {
        "temperature": lambda: float(choose(rng, 0.1, 0.5, 0.7, 1.3, 2.0, 10.0)),
        "top_h": share,
        "top_k": lambda: int(rng.integers(1, size + 3)),
        "top_p": lambda: float(choose(rng, 0.1, 0.5, 0.8, 0.9, 0.95, share())),
        "min_p": lambda: float(choose(rng, 0.01, 0.05, 0.1, 0.5, 1.0, share())),
        "typical_p": lambda: float(choose(rng, 0.1, 0.5, 0.9, 0.99, share())),
        "epsilon_cutoff": lambda: float(choose(rng, 3e-4, 1e-3, 0.01, 0.1, 0.5)),
        "eta_cutoff": lambda: float(choose(rng, 3e-4, 1e-3, 0.01, 0.1, 0.5)),
    }


def text_of(rng, size):
    tokens = random_ids(rng, min(size, int(choose(rng, 3, 6, size))), 24, 1)
    at = int(choose(rng, 1, len(tokens), int(rng.integers(1, len(tokens) + 1))))
    return {"tokens": tokens, "prompt_length": min(at, len(tokens))}


def request_with(rng, size, names):
    """A request with these options; None: a few at random."""
    request = {"logits": random_logits(rng, size), **text_of(rng, size)}
    known = {**processors(rng, size, request), **warpers(rng, size)}
    if names is None:
        names = [str(x) for x in rng.permutation(list(known))[: int(rng.integers(1, 7))]]
    options = {name: known[name]() for name in names}
    options["eos_token_id"] = choose(rng, 0, size - 1, random_ids(rng, size, 3, 1))
    if "forced_eos_token_id" in options:
        options["max_length"] = len(request["tokens"]) + choose(rng, 1, 1, 5)
    if "min_length" in options and "max_length" in options:
        options["min_length"] = min(options["min_length"], options["max_length"])
    if "min_new_tokens" in options and "max_length" in options:
        options["min_new_tokens"] = min(options["min_new_tokens"], options["max_length"])
    if rng.integers(0, 4) == 0:
        options["min_tokens_to_keep"] = len(np.atleast_1d(options["eos_token_id"])) + 1
    return {**request, "options": options}


NAMES = list(processors(None, 1, {"tokens": [], "prompt_length": 0})) + list(warpers(None, 1))
