"""Which elements a tensor has: any tensor → a dense one to read, and thresholds → bit patterns in its dtype."""

from __future__ import annotations

from functools import lru_cache

import torch

from .statistics import SATURATED_SHARE

WIDE: frozenset[torch.dtype] = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
EIGHT_BIT: frozenset[torch.dtype] = frozenset(
    getattr(torch, name)
    for name in ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu")
    if hasattr(torch, name)
)
#: Every dtype that can be measured; complex tensors are measured as their real and imaginary components.
REAL: frozenset[torch.dtype] = WIDE | EIGHT_BIT

#: The entries to which an element that is exactly 0 adds one; it adds nothing to the others.
OF_ZERO: frozenset[str] = frozenset({"count", "zero", "near_zero"})

BITS: dict[int, torch.dtype] = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}

#: Where a tensor may lie.
DEVICES: frozenset[str] = frozenset({"cpu", "cuda", "xpu", "mps"})

Item = tuple[int, torch.Tensor, int]
"""(index, dense tensor, implicit zeros), the latter two as :func:`prepare` gives them."""

#: Classes whose elements are their own, and whose methods are torch's.
PLAIN: frozenset[type] = frozenset({torch.Tensor, torch.nn.Parameter})


def stays(device: torch.device) -> bool:
    """Whether tensors there are measured there: not on the host, nor where float64 is lacking."""
    if device.type == "xpu":
        return bool(torch.xpu.get_device_properties(device).has_fp64)
    return device.type not in ("cpu", "mps")


class Unmeasurable(ValueError):
    """The tensor has no elements that this process can read; the text says why and what to pass instead."""


def prepare(tensor: torch.Tensor) -> tuple[torch.Tensor, int]:
    """The elements of ``tensor`` as (dense tensor, implicit zeros beside it).

    The dense tensor has a real dtype of :data:`REAL`, needs no gradient and holds its elements, in any order,
    without gaps from ``data_ptr()`` on. It shares memory with ``tensor`` where that is possible, and is a copy
    for views with gaps or overlaps. A complex element counts as two. An uncoalesced sparse tensor is coalesced
    as a copy, which on CUDA waits for the device: duplicates must add up before they are squared.

    Raises :class:`Unmeasurable`.
    """
    if (
        type(tensor) in PLAIN
        and tensor.layout is torch.strided
        and tensor.dtype in REAL
        and tensor.is_contiguous()
        and not tensor.is_neg()
    ):
        return readable(tensor.detach() if tensor.requires_grad else tensor), 0
    own, implicit = strided(tensor)
    return readable(_dense(own)), implicit


def readable(tensor: torch.Tensor) -> torch.Tensor:
    """``tensor``, or a copy of it where its address is no multiple of its element's size. Raises Unmeasurable."""
    if not tensor.is_cpu and tensor.device.type not in DEVICES:
        raise Unmeasurable(
            f"expected a tensor on one of {', '.join(sorted(DEVICES))}, got one on {tensor.device.type}; "
            "pass a copy on the CPU, or a meta tensor once it is materialised"
        )
    address = tensor.data_ptr()
    if address == 0 and tensor.numel():
        raise Unmeasurable(
            f"expected a tensor with memory behind it, got one of shape {tuple(tensor.shape)} whose storage was "
            "freed; measure it while it is materialised"
        )
    return tensor.clone() if address % tensor.itemsize else tensor


def strided(tensor: torch.Tensor) -> tuple[torch.Tensor, int]:
    """The elements that any tensor has in memory, in a strided one of a real dtype, and how many zeros are beside it.

    Raises :class:`Unmeasurable`.
    """
    kind = type(tensor)
    if kind not in PLAIN:
        if kind.__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
            raise Unmeasurable(
                f"expected a plain tensor, got {kind.__module__}.{kind.__qualname__}, which keeps its elements "
                "elsewhere; pass the tensor that it wraps (for DTensor: to_local())"
            )
        tensor = tensor.as_subclass(torch.Tensor)
    tensor = tensor.detach()
    elements = tensor.numel()
    if tensor.layout is torch.sparse_coo:
        tensor = tensor.coalesce().values()
    elif tensor.layout is not torch.strided:
        raise Unmeasurable(
            f"expected a strided or sparse COO tensor, got layout {tensor.layout}; pass its values() or to_dense()"
        )
    implicit = elements - tensor.numel()
    if tensor.is_complex():
        tensor, implicit = torch.view_as_real(tensor.resolve_conj()), 2 * implicit
    if tensor.dtype not in REAL:
        raise Unmeasurable(f"expected a floating-point tensor, got {tensor.dtype}; convert it with .float()")
    return tensor.resolve_neg(), implicit


def _dense(tensor: torch.Tensor) -> torch.Tensor:
    """A view in memory order where the elements fill their span of memory exactly once, else a copy."""
    in_order = in_memory_order(tensor)
    return in_order if in_order.is_contiguous() else tensor.contiguous()


def in_memory_order(tensor: torch.Tensor) -> torch.Tensor:
    """A strided tensor's dimensions by descending stride: contiguous if the elements fill their span exactly once."""
    return tensor.permute(sorted(range(tensor.dim()), key=tensor.stride, reverse=True))


@lru_cache(maxsize=256)
def bits_from(threshold: float, dtype: torch.dtype) -> int:
    """Bit pattern of the smallest value of ``dtype`` at or above ``threshold`` (at least 0): of +Inf if none is finite.

    Patterns of non-negative values are ordered as the values are, so ``bits(|x|) < bits_from(t)`` is ``|x| < t`` in
    real arithmetic, whatever rounding ``t`` to the dtype would give. ``dtype`` is one of :data:`WIDE`.
    """
    low, high = 0, infinity_bits(dtype)
    while low < high:
        middle = (low + high) // 2
        value = torch.tensor(middle, dtype=BITS[dtype.itemsize], device="cpu").view(dtype).item()
        low, high = (low, middle) if value >= threshold else (middle + 1, high)
    return low


def infinity_bits(dtype: torch.dtype) -> int:
    """Bit pattern of +Inf in one of :data:`WIDE`; greater patterns below the sign bit are NaN."""
    infinity = torch.tensor(float("inf"), dtype=dtype, device="cpu")
    return int(infinity.view(BITS[dtype.itemsize]).item())


def saturated_from(dtype: torch.dtype) -> float:
    """The magnitude at which an element of ``dtype`` counts as saturated."""
    return SATURATED_SHARE * torch.finfo(dtype).max
