"""Did any gradient change since the last step? If not, what was measured then says where everything lies now.

A gradient may be another object at the same address, or the same object at another one, so neither identity nor address
is enough. The scans compare address, element count, dtype and memory order, and hold no gradient: its memory is freed
when its owner lets go of it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from .elements import PLAIN, WIDE, in_memory_order

#: Set to 1, this environment variable has the scan in C++ built with the first ring: a minute, once per machine.
VARIABLE = "GRADHEALTH_CPP"
#: A build that began longer ago than this does not end.
STALE_SECONDS = 600.0


class Scan(Protocol):
    """Gradients are *ordinary* if each present one is read in place: dense, of a wide dtype, its elements its own."""

    def remember(self, parameters: Sequence[torch.Tensor]) -> bool:
        """Takes down where the gradients lie; whether all are ordinary."""

    def same(self, parameters: Sequence[torch.Tensor]) -> bool:
        """Whether the gradients are ordinary and lie where the last call of :meth:`remember` saw them."""


_gradient, _dtype = attrgetter("grad"), attrgetter("dtype")
_address, _elements = torch.Tensor.data_ptr, torch.Tensor.numel
_contiguous, _negated = torch.Tensor.is_contiguous, torch.Tensor.is_neg


class PythonScan:
    """Columns instead of rows: ``map`` over a method of torch is half as slow as a loop over gradients."""

    def __init__(self) -> None:
        self._types: list[type] = []
        self._addresses: list[int] = []
        self._sizes: list[int] = []
        self._dtypes: list[torch.dtype] = []
        self._in_order: list[bool] = []
        # Places among the present gradients, and what the columns do not say about those that are there.
        self._odd: list[int] = []
        self._odd_layouts: list[Any] = []

    def remember(self, parameters: Sequence[torch.Tensor]) -> bool:
        gradients = [parameter.grad for parameter in parameters]
        present = [gradient for gradient in gradients if gradient is not None]
        if not all(map(_ordinary, present)):
            return False
        self._types = list(map(type, gradients))
        self._addresses = list(map(_address, present))
        self._sizes = list(map(_elements, present))
        self._dtypes = list(map(_dtype, present))
        self._in_order = list(map(_contiguous, present))
        self._odd = [i for i, size in enumerate(self._sizes) if not (size and self._in_order[i])]
        self._odd_layouts = [_layout(present[i]) for i in self._odd]
        return True

    def same(self, parameters: Sequence[torch.Tensor]) -> bool:
        gradients = list(map(_gradient, parameters))
        types = list(map(type, gradients))
        # Other classes may not have the methods that follow, or may give them another meaning.
        if types != self._types:
            return False
        present = gradients
        if len(self._addresses) < len(gradients):
            present = [gradient for gradient in gradients if gradient is not None]
        try:
            return (
                list(map(_dtype, present)) == self._dtypes
                and list(map(_address, present)) == self._addresses
                and list(map(_elements, present)) == self._sizes
                and list(map(_contiguous, present)) == self._in_order
                and True not in map(_negated, present)
                and [_layout(present[i]) for i in self._odd] == self._odd_layouts
            )
        # A sparse gradient has no address, which torch says by raising.
        except RuntimeError:
            return False


def _ordinary(gradient: torch.Tensor) -> bool:
    if type(gradient) not in PLAIN or gradient.layout is not torch.strided or gradient.dtype not in WIDE:
        return False
    address = gradient.data_ptr()
    if address % gradient.itemsize or (address == 0 and gradient.numel()) or gradient.is_meta or gradient.is_neg():
        return False
    return gradient.is_contiguous() or in_memory_order(gradient).is_contiguous()


def disjoint(gradients: Iterable[torch.Tensor | None]) -> bool:
    """Whether all gradients that are there are ordinary, may be written, and share no memory."""
    present = [gradient for gradient in gradients if gradient is not None]
    if not all(_ordinary(gradient) and not gradient.is_inference() for gradient in present):
        return False
    spans = sorted((gradient.data_ptr(), gradient.nbytes) for gradient in present if gradient.numel())
    return all(start + size <= after for (start, size), (after, _) in pairwise(spans))


def _layout(gradient: torch.Tensor) -> tuple[Any, ...]:
    return gradient.device, gradient.shape, gradient.stride()


class CppScan:
    """The same in one pass that makes no Python object per gradient: ``scan.cpp``."""

    def __init__(self, module: Any) -> None:
        self._scan = module.scan
        self._rows = np.zeros((0, 3), np.int64)

    def remember(self, parameters: Sequence[torch.Tensor]) -> bool:
        if len(self._rows) != len(parameters):
            self._rows = np.zeros((len(parameters), 3), np.int64)
        return self._changed(parameters) >= 0

    def same(self, parameters: Sequence[torch.Tensor]) -> bool:
        return self._changed(parameters) == 0

    def _changed(self, parameters: Sequence[torch.Tensor]) -> int:
        changed: int = self._scan(parameters, self._rows, torch.Tensor, torch.nn.Parameter)
        return changed


def scan() -> Scan:
    """The scan in C++ if the environment asks for it and a compiler is there, else the one in Python."""
    module = _built() if os.environ.get(VARIABLE) == "1" else None
    return PythonScan() if module is None else CppScan(module)


@lru_cache(maxsize=1)
def _built() -> Any:
    try:
        from torch.utils.cpp_extension import get_default_build_root, load

        place = Path(get_default_build_root(), f"gradhealth_scan-{torch.__version__}-py{sys.version_info.minor}")
        place.mkdir(parents=True, exist_ok=True)
        lock = place / "lock"  # torch's; one that a killed build left would be waited for without end
        if lock.exists() and time.time() - lock.stat().st_mtime > STALE_SECONDS:
            return None
        source = Path(__file__).with_name("scan.cpp")
        return load("gradhealth_scan", [str(source)], extra_cflags=["-O2"], build_directory=str(place))
    # No compiler, no ninja, no header, no place to build: the scan in Python does the same.
    except Exception:
        return None
