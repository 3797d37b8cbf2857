#!/usr/bin/env python3
"""The polynomial coefficients of include/gpt2/detail/kernels/rows.inl, each with its error.

    pip install mpmath numpy && python tests/tools/make_math.py

A weighted least-squares fit on Chebyshev nodes is driven to equal ripples (Lawson's iteration),
then rounded to float from the highest power down, fitting the rest again after each.
"""
import mpmath as mp
import numpy as np

mp.mp.dps = 40


def fit(target, weight, low, high, fixed, powers):
    """Coefficients c of Σ c·x^p that minimise max |weight·(target - fixed - Σ)| on [low, high]."""
    t = np.cos(np.pi * (np.arange(800) + 0.5) / 800)
    x = [(mp.mpf(low) + high) / 2 + (mp.mpf(high) - low) / 2 * mp.mpf(float(v)) for v in t]
    goal = np.array([float(weight(v) * (target(v) - fixed(v))) for v in x], dtype=np.longdouble)
    base = {p: np.array([float(weight(v) * v**p) for v in x], dtype=np.longdouble) for p in powers}
    found, left = {}, list(powers)
    while left:
        lawson = np.ones(len(x))
        for _ in range(60):
            root = np.sqrt(lawson)
            a = np.stack([base[p] * root for p in left], axis=1).astype(np.float64)
            c, *_ = np.linalg.lstsq(a, (goal * root).astype(np.float64), rcond=None)
            error = np.abs(goal - sum(ci * base[p] for ci, p in zip(c, left)))
            lawson = lawson * np.maximum(error / error.max(), 1e-3).astype(np.float64)
            lawson /= lawson.sum()
        # The lowest power matters most: it is rounded first and the others make up for it.
        power = left.pop(0)
        found[power] = float(np.float32(c[0]))
        goal = goal - found[power] * base[power]
    return found, float(np.abs(goal).max())


def show(name, found, error):
    print(f"{name}: error {error:.2e} = 2^{np.log2(error):.1f}")
    for power, value in found.items():
        print(f"    x^{power}: {value!r} {float(value).hex()}")


half_log2 = mp.log(2) / 2
show("exp(x) = 1 + x + ..., |x| <= log(2)/2, relative",
     *fit(mp.exp, lambda x: 1 / mp.exp(x), -half_log2, half_log2, lambda x: 1 + x,
          [2, 3, 4, 5, 6]))


def scaled_erfc(t):
    """erfc(z)·exp(z²)/2 as a function of t = (z - 2)/(z + 2)."""
    z = 2 * (1 + t) / (1 - t)
    return mp.erfc(z) * mp.exp(z * z) / 2


show("erfc(z)·exp(z²)/2 in t = (z - 2)/(z + 2), 0 <= z <= 11, relative",
     *fit(scaled_erfc, lambda t: 1 / scaled_erfc(t), mp.mpf(-1), mp.mpf(9) / 13, lambda t: 0,
          list(range(11))))


def int4_levels(groups=40000, size=32, rounds=25):
    """16 levels from -127 up that lose least on groups of normal numbers, each group with the best
    of some scales that bring its largest number near one end: Lloyd's iteration. One is zero."""
    x = np.random.default_rng(0).standard_normal((groups, size))
    most = x[np.arange(groups), np.abs(x).argmax(1)][:, None]
    levels = np.concatenate([np.linspace(-127, 0, 9), np.linspace(0, 96, 8)[1:]])
    for _ in range(rounds):
        middle = (levels[1:] + levels[:-1]) / 2
        gain, scale = np.full((groups, 1), -1.0), np.ones((groups, 1))
        for end in (levels[0], levels[-1]):
            for factor in np.arange(0.7, 1.3, 0.05):
                q = levels[np.searchsorted(middle, x / (most / (end * factor)))]
                cross, square = (x * q).sum(1, keepdims=True), (q * q).sum(1, keepdims=True)
                better = cross * cross / square > gain
                scale = np.where(better, cross / square, scale)
                gain = np.where(better, cross * cross / square, gain)
        index = np.searchsorted(middle, x / scale)
        weight = np.broadcast_to(scale * scale, x.shape)
        levels = np.array([(x * scale)[index == i].sum() / weight[index == i].sum()
                           for i in range(16)])
        levels[8] = 0
        levels *= -127 / levels[0]
    lost = 1 - gain.sum() / (x * x).sum()
    print(f"int4 levels: {np.round(levels).astype(int).tolist()}, {100 * lost:.2f} % lost")


int4_levels()
