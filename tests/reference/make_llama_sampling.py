"""What llama.cpp's samplers leave: tests/reference/sampler/{llama,llama_mirostat}.jsonl.

    pip install xllamacpp numpy
    python tests/reference/make_llama_sampling.py

The wheel carries llama.cpp as one shared library, whose C interface (llama_sampler_*) is called
through ctypes, each sampler alone and as the chain of its command line. A line of llama.jsonl is a
request as the sampler program takes it, with the answer: `survivors`, ids ascending, and their
`probabilities`. A line of llama_mirostat.jsonl is a list of steps: logits, what is left of them,
and the token that llama.cpp drew and learnt from. No two logits are equal: llama.cpp cuts ties in
the order of its sort.
"""

import ctypes as c
import json
import pathlib

import numpy as np
import xllamacpp

FOLDER = pathlib.Path(__file__).parent / "sampler"
LIBRARY = c.CDLL(str(next(pathlib.Path(xllamacpp.__file__).parent.glob("xllamacpp*.so"))))


class Token(c.Structure):
    _fields_ = [("id", c.c_int32), ("logit", c.c_float), ("p", c.c_float)]


class Tokens(c.Structure):
    _fields_ = [
        ("data", c.POINTER(Token)),
        ("size", c.c_size_t),
        ("selected", c.c_int64),
        ("sorted", c.c_bool),
    ]


class Bias(c.Structure):
    _fields_ = [("token", c.c_int32), ("bias", c.c_float)]


class Vector(c.Structure):
    """std::vector of GNU's and LLVM's library."""

    _fields_ = [("begin", c.c_void_p), ("end", c.c_void_p), ("room", c.c_void_p)]


I, F, Z = c.c_int32, c.c_float, c.c_size_t
SIGNATURES = {
    "logit_bias": [I, I, c.POINTER(Bias)],
    "penalties": [I, I, F, F, F],
    "top_n_sigma": [F],
    "top_k": [I],
    "typical": [F, Z],
    "top_p": [F, Z],
    "min_p": [F, Z],
    "xtc": [F, F, Z, c.c_uint32],
    "temp": [F],
    "temp_ext": [F, F, F],
    "mirostat": [I, c.c_uint32, F, F, I],
    "mirostat_v2": [c.c_uint32, F, F],
}
DRY = LIBRARY["_Z30llama_sampler_init_dry_testingffiiRKSt6vectorIS_IiSaIiEESaIS1_EE"]
DRY.argtypes, DRY.restype = [F, F, I, I, c.POINTER(Vector)], c.c_void_p
LIBRARY.llama_sampler_apply.argtypes = [c.c_void_p, c.POINTER(Tokens)]
LIBRARY.llama_sampler_accept.argtypes = [c.c_void_p, c.c_int32]


def sampler(name, *arguments):
    make = LIBRARY[f"llama_sampler_init_{name}"]
    make.argtypes, make.restype = SIGNATURES[name], c.c_void_p
    return make(*arguments)


def vector_of(array):
    begin = c.addressof(array)
    return Vector(begin, begin + c.sizeof(array), begin + c.sizeof(array))


def dry(o):
    """Multiplier, base, allowed length, window, breakers."""
    parts = [(I * len(word))(*word) for word in o.get("dry_sequence_breakers", [])]
    words = (Vector * len(parts))(*map(vector_of, parts))
    window = o.get("dry_penalty_last_n", 1024)
    listed = vector_of(words)
    return DRY(
        o["dry_multiplier"], o.get("dry_base", 1.75), o.get("dry_allowed_length", 2), window,
        c.byref(listed),
    )


def samplers(o, size):
    """The samplers for these options, in the order of llama.cpp's command line."""
    chain = []
    if "logit_bias" in o:
        biases = (Bias * len(o["logit_bias"]))(*[Bias(*pair) for pair in o["logit_bias"]])
        chain.append(sampler("logit_bias", size, len(biases), biases))
    penalties = [o.get("repetition_penalty", 1.0), o.get("frequency_penalty", 0.0)]
    penalties.append(o.get("presence_penalty", 0.0))
    if penalties != [1.0, 0.0, 0.0]:
        chain.append(sampler("penalties", size, o.get("penalty_last_n", 1024), *penalties))
    if "dry_multiplier" in o:
        chain.append(dry(o))
    for name, key, more in (
        ("top_n_sigma", "top_n_sigma", []), ("top_k", "top_k", []), ("typical", "typical_p", [1]),
        ("top_p", "top_p", [1]), ("min_p", "min_p", [1]),
    ):
        if key in o:
            chain.append(sampler(name, o[key], *more))
    if "xtc_probability" in o:
        chain.append(sampler("xtc", o["xtc_probability"], o["xtc_threshold"], 1, 7))
    if "dynatemp_range" in o:
        exponent = o.get("dynatemp_exponent", 1.0)
        chain.append(sampler("temp_ext", o.get("temperature", 1.0), o["dynatemp_range"], exponent))
    elif "temperature" in o:
        chain.append(sampler("temp", o["temperature"]))
    return chain


def apply(chain, logits):
    """The candidates after the samplers: ids, logits, and the place of the selected one."""
    array = (Token * len(logits))(*[Token(i, x, 0) for i, x in enumerate(logits)])
    tokens = Tokens(array, len(logits), -1, False)
    for one in chain:
        LIBRARY.llama_sampler_apply(one, c.byref(tokens))
    left = [(tokens.data[i].id, tokens.data[i].logit) for i in range(tokens.size)]
    return left, tokens.selected


def answer(left):
    left = sorted(pair for pair in left if pair[1] > -np.inf)
    logits = np.array([logit for _, logit in left], dtype=np.float64)
    weights = np.exp(logits - logits.max())
    probabilities = [round(float(p), 8) for p in weights / weights.sum()]
    return {"survivors": [i for i, _ in left], "probabilities": probabilities}


def distinct(rng, size):
    logits = rng.permutation(size * 8)[:size] * float(rng.choice([0.01, 0.05, 0.2]))
    rounded = [round(float(x), 2) for x in logits - round(float(logits.mean()), 2)]
    assert len(set(rounded)) == size
    return rounded


def choose(rng, *values):
    return values[int(rng.integers(0, len(values)))]


def settings(rng, size):
    """Each sampler alone."""
    some = lambda: [int(x) for x in rng.integers(0, size, int(rng.integers(1, 3)))]
    share = lambda: round(float(rng.random() * 0.98 + 0.01), 3)
    return {
        "bias": lambda: {
            "logit_bias": [[int(i), round(float(rng.normal(0, 3)), 2)]
                           for i in rng.permutation(size)[:3]]
        },
        "penalties": lambda: {
            "repetition_penalty": choose(rng, 1.0, 1.2, 0.7),
            "presence_penalty": choose(rng, 0.0, 0.5, -1.0),
            "frequency_penalty": choose(rng, 0.0, 0.3, 1.0),
            "penalty_last_n": choose(rng, 4, 64),
        },
        "dry": lambda: {
            "dry_multiplier": choose(rng, 0.8, 2.0),
            "dry_base": choose(rng, 1.0, 1.75),
            "dry_allowed_length": choose(rng, 1, 2, 3),
            "dry_penalty_last_n": choose(rng, 8, 1024),
            "dry_sequence_breakers": [some() for _ in range(choose(rng, 0, 0, 1, 3))],
        },
        "top_n_sigma": lambda: {"top_n_sigma": choose(rng, 0.5, 1.0, 2.0)},
        "top_k": lambda: {"top_k": int(rng.integers(1, size + 2))},
        "typical": lambda: {"typical_p": share()},
        "top_p": lambda: {"top_p": share()},
        "min_p": lambda: {"min_p": share()},
        "xtc": lambda: {"xtc_probability": 1.0, "xtc_threshold": choose(rng, 0.01, 0.05, 0.2)},
        "temperature": lambda: {"temperature": choose(rng, 0.3, 0.8, 1.5)},
        "dynatemp": lambda: {
            "temperature": 0.9,
            "dynatemp_range": choose(rng, 0.3, 0.9, 1.5),
            "dynatemp_exponent": choose(rng, 1.0, 0.5, 2.0),
        },
    }


def request_with(rng, name):
    size = choose(rng, 5, 20, 35)
    known = settings(rng, size)
    options = {}
    names = [name] if name else rng.permutation(list(known))[: int(rng.integers(2, 6))]
    for one in names:
        options.update(known[str(one)]())
    if {"dynatemp_range", "typical_p"} & set(options):
        options.pop("top_n_sigma", None)  # there llama.cpp sums 0 · log 0 over what that removed
    few = choose(rng, 2, 3, size)
    tokens = [int(x) for x in rng.integers(0, min(few, size), int(rng.integers(0, 30)))]
    return {"logits": distinct(rng, size), "tokens": tokens, "prompt_length": len(tokens) // 2,
            "dialect": "llama_cpp", "options": options}


def chain_lines(rng):
    lines = []
    for name in [x for x in settings(rng, 5) for _ in range(5 if x != "dry" else 16)] + [None] * 50:
        request = request_with(rng, name)
        chain = samplers(request["options"], len(request["logits"]))
        for one in chain:
            for token in request["tokens"]:
                LIBRARY.llama_sampler_accept(one, token)
        left, _ = apply(chain, request["logits"])
        lines.append(json.dumps({**request, **answer(left)}, separators=(",", ":")) + "\n")
    return lines


def mirostat_lines(rng):
    lines = []
    for version, tau, eta in ((1, 3.0, 0.1), (1, 1.0, 0.5), (2, 3.0, 0.1), (2, 1.5, 0.5)):
        size = 40
        one = (sampler("mirostat", size, 5, tau, eta, 100) if version == 1
               else sampler("mirostat_v2", 5, tau, eta))
        steps = []
        for _ in range(10):
            logits = distinct(rng, size)
            left, selected = apply([one], logits)
            steps.append({"logits": logits, **answer(left), "drawn": left[selected][0]})
        options = {"mirostat": version, "mirostat_tau": tau, "mirostat_eta": eta}
        line = {"dialect": "llama_cpp", "options": options, "steps": steps}
        lines.append(json.dumps(line, separators=(",", ":")) + "\n")
    return lines


if __name__ == "__main__":
    rng = np.random.default_rng(2024)
    files = {"llama.jsonl": chain_lines(rng), "llama_mirostat.jsonl": mirostat_lines(rng)}
    for name, lines in files.items():
        (FOLDER / name).write_text("".join(lines))
        print(name, len(lines), "cases,", sum(map(len, lines)), "bytes")
