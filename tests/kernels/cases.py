"""Tensors that a measuring path must get right, and what counts as right: the oracle is ``reference.measure``."""

from __future__ import annotations

import math

import numpy as np
import torch

from gradhealth_kernels import figures
from gradhealth_kernels.elements import EIGHT_BIT, saturated_from
from gradhealth_kernels.statistics import BIG_FROM, COUNTS, NEAR_ZERO, SMALL_BELOW, table_of

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
TOLERANCE = 2e-6

NAN, INF = math.nan, math.inf


def normal(size: int, dtype: torch.dtype, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(size)
    return (torch.randn(size, generator=generator, dtype=torch.float64) * scale).to(dtype)


def neighbours(value: float, dtype: torch.dtype) -> list[float]:
    """The values of ``dtype`` around ``value``: below, nearest, above."""
    nearest = torch.tensor(value, dtype=dtype)
    bits = nearest.view({2: torch.int16, 4: torch.int32, 8: torch.int64}[dtype.itemsize])
    return [float((bits + step).view(dtype)) for step in (-1, 0, 1)]


def with_specials(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.clone()
    tensor[1::97], tensor[2::89], tensor[3::83] = NAN, INF, -INF
    return tensor


def of_dtype(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Flat tensors: sizes around vectors and tiles, addresses off 16 bytes, special, extreme and edge values."""
    info = torch.finfo(dtype)
    base = normal(6000, dtype)
    edges = [*neighbours(NEAR_ZERO, dtype), *neighbours(saturated_from(dtype), dtype), info.max, info.tiny, 0.0, -0.0]
    cases = {f"{size} elements": normal(size, dtype) for size in (0, 1, 7, 8, 1023, 1025, 4097)}
    cases |= {f"misaligned by {k}": base[k : 5000 - k] for k in (1, 3, 7)}
    cases |= {
        "zeros": torch.zeros(1500, dtype=dtype),
        "a constant": torch.full((5000,), 0.1, dtype=dtype),
        "edges": torch.tensor([*edges, *(-edge for edge in edges)], dtype=dtype).repeat(40),
        "specials": with_specials(base[5:5005]),
        "one NaN": torch.cat([base[:4500], torch.tensor([NAN], dtype=dtype)]),
        "all NaN": torch.full((300,), NAN, dtype=dtype),
        "all -Inf": torch.full((300,), -INF, dtype=dtype),
        "the largest": torch.full((2000,), info.max, dtype=dtype) * (-1) ** torch.arange(2000),
        "subnormal": torch.full((3000,), info.smallest_normal / 8, dtype=dtype),
        "smallest and specials": with_specials(torch.full((3000,), neighbours(0.0, dtype)[2], dtype=dtype)),
        "near-zero": normal(3000, dtype, 1e-8),
    }
    if dtype is not torch.float16:
        cases["1e30"] = normal(3000, dtype, 1e30)
        cases["1e-42"] = normal(3000, dtype, 1e-42)
        cases["one 1e30, one NaN"] = torch.cat([base, torch.tensor([1e30, NAN], dtype=dtype)])
        cases["1e-30 and infinity"] = torch.cat([normal(2000, dtype, 1e-30), torch.tensor([INF], dtype=dtype)])
    if dtype is torch.float64:
        cases["1e200"] = normal(3000, dtype, 1e200)
        cases["1e-200"] = normal(3000, dtype, 1e-200)
        blue = torch.tensor(neighbours(BIG_FROM, dtype) + neighbours(SMALL_BELOW, dtype), dtype=dtype)
        cases |= {"around 2^486": blue[:3], "around 2^-511": blue[3:], "at 2^486": blue[1:2], "at 2^-511": -blue[4:5]}
        cases["1e-200 to 1e200"] = torch.cat([normal(1000, dtype, 10.0**power) for power in (-200, -3, 200)])
    return cases


def views() -> dict[str, torch.Tensor]:
    """Tensors whose elements do not simply lie one after the other."""
    matrix = normal(35 * 44, torch.float32).reshape(35, 44)
    complex_row = torch.complex(matrix[0], matrix[1])
    repeated = _sparse([3, 3, 9, 5], torch.tensor([1.0, 2.0, NAN, 0.0]), (11,))
    return {
        "transposed": matrix.T,
        "permuted": matrix.reshape(5, 7, 44).permute(2, 0, 1),
        "columns": matrix[:, 3:17],
        "every third": matrix[::3, ::2],
        "expanded": matrix[:1].expand(6, 44),
        "an expanded scalar": torch.tensor(2.5).expand(8, 9),
        "overlapping": matrix.as_strided((10, 10), (1, 1)),
        "a scalar": torch.tensor(-3.0),
        "bfloat16 columns": matrix.bfloat16()[:, 1::2],
        "with a gradient": matrix.clone().requires_grad_(),
        "a parameter": torch.nn.Parameter(matrix.T),
        "complex": complex_row,
        "complex128": complex_row.to(torch.complex128).reshape(4, 11).T,
        "conjugate": complex_row.conj(),
        "lazily negated": complex_row.conj().imag,
        "sparse": repeated,
        "sparse rows": _sparse([1, 1], matrix[:2], (35, 44)),
        "sparse complex": _sparse([2], torch.tensor([1 + 2j]), (5,)),
        "sparse without values": _sparse([], torch.empty(0), (7,)),
    }


def _sparse(rows: list[int], values: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    indices = torch.tensor([rows], dtype=torch.int64)
    return torch.sparse_coo_tensor(indices, values, shape, check_invariants=True)


def eight_bit() -> dict[str, torch.Tensor]:
    every_byte = torch.arange(256, dtype=torch.uint8)
    return {str(dtype): every_byte.view(dtype) for dtype in sorted(EIGHT_BIT, key=str)}


def differences(got: np.void, expected: np.void) -> list[str]:
    """What is wrong with ``got``: counts and extremes must be equal, sums within TOLERANCE of their terms."""
    entries = table_of(np.asarray(expected))
    allowed = {entry.name: TOLERANCE * abs(float(expected[entry.name])) for entry in entries}
    allowed |= dict.fromkeys((*COUNTS, "abs_max", "minimum", "maximum"), 0.0)
    allowed["sum"] = TOLERANCE * float(expected["sum_abs"])
    found = {entry.name: (float(got[entry.name]), float(expected[entry.name])) for entry in entries}
    with np.errstate(over="ignore"):
        found["norm"] = (float(figures.norm(np.asarray(got))), float(figures.norm(np.asarray(expected))))
    allowed["norm"] = TOLERANCE * found["norm"][1]
    # Overflow to infinity is right where the reference overflows too; its sign depends on the order of adding.
    return [
        f"{name}: expected {right!r}, got {value!r}"
        for name, (value, right) in found.items()
        if not (value == right or abs(value - right) <= allowed[name] or (name == "sum" and allowed["sum"] == INF))
    ]
