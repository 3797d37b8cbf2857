"""Hashes of every 16-bit float widened to float32, as NumPy and PyTorch widen them.

Prints FNV-1a (64 bits) over the little-endian float32 bytes of all 65,536 patterns in order, for
IEEE binary16 (NumPy) and bfloat16 (PyTorch). NaN patterns are left out: libraries differ in whether
they keep a payload. tests/files/weights_test.cpp holds the two numbers.

    python tests/reference/half_patterns.py
"""
import numpy
import torch


def fnv1a(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


patterns = numpy.arange(65536, dtype=numpy.uint16)
half = patterns.view(numpy.float16).astype(numpy.float32)
bfloat = torch.from_numpy(patterns.view(numpy.int16)).view(torch.bfloat16).float().numpy()
for name, values in (("f16", half), ("bf16", bfloat)):
    print(name, hex(fnv1a(values[~numpy.isnan(values)].astype("<f4").tobytes())))
