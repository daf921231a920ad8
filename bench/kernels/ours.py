"""The project's own contender: the door that a training step goes through, with every entry of every gradient."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch

from gradhealth_kernels.launch import StepRing

from .contender import ALL_ENTRIES, Prepared, Unavailable
from .eager import with_gradients
from .gate import Results

#: The slot that is timed and read, and the one that the kernels prove themselves on: results that the timed calls do
#: not write are seen.
_TIMED, _PROOF = 0, 1
#: Steps after which the fused kernels must have been compared with plain torch. Two or three are enough.
PATIENCE = 20


def every_entry(tensors: Sequence[torch.Tensor]) -> Prepared:
    """``StepRing.measure_gradients`` of gradients that stay where they are. Reading the ring back is not timed: a
    training does that once per row, on a stream of its own."""
    ring, parameters = StepRing(len(tensors), slots=2), with_gradients(tensors)
    if tensors[0].is_cuda:
        _prove(ring, parameters)
    return Prepared(lambda: ring.measure_gradients(_TIMED, parameters), lambda _: _read(ring))


def _read(ring: StepRing) -> Results:
    entries = ring.take(_TIMED + 1).entries()[_TIMED]
    return {name: entries[name].astype(np.float64) for name in ALL_ENTRIES}


def _prove(ring: StepRing, parameters: list[torch.nn.Parameter]) -> None:
    """Measures until the fused kernels are in use. Raises Unavailable if plain torch would be timed in their place."""
    device = parameters[0].device
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for _ in range(PATIENCE):
            ring.measure_gradients(_PROOF, parameters)
            torch.cuda.synchronize(device)
            if ring.fused:
                return
    said = [str(warning.message) for warning in warned if issubclass(warning.category, RuntimeWarning)]
    raise Unavailable(f"plain torch is what ran: {said[0] if said else 'the fused kernels were not compared in time'}")
