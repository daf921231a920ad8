"""What a stream is, and one look at its tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.optim import Optimizer

from gradhealth_kernels import metrics, statistics
from gradhealth_kernels.metrics import Metric
from gradhealth_kernels.statistics import NEAR_ZERO, Entries, Entry


@dataclass(frozen=True)
class Stream:
    """Named tensors that are measured alike.

    ``what`` says what one of them is, for people. Of a ``sampled`` stream one step in each row is looked at; a row is
    ``every`` times as long as one of the gradients.
    ``further`` names entries that come with the tensors (``statistics.FURTHER_ENTRIES``). One that is not ``usual``
    has the metrics of those alone.
    """

    name: str
    label: str
    what: str
    sampled: bool = True
    every: int = 1
    near_zero: float = NEAR_ZERO
    signed: bool = False
    further: tuple[str, ...] = ()
    usual: bool = True

    def metrics(self, chosen: Sequence[Metric]) -> tuple[Metric, ...]:
        """``chosen`` ones, and those that the entries are for that not every stream has."""
        further = metrics.further_metrics([entry.name for entry in self.entries])
        return (*chosen, *further) if self.usual else further

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The table of what is known of each tensor."""
        return statistics.table(self.signed, self.further)

    def nothing(self, shape: tuple[int, ...]) -> Entries:
        """Entries of "nothing measured", in the given shape."""
        return statistics.nothing(shape, statistics.dtype_of(self.entries))


#: Values ``[tensor]`` that may still be on their way from a device; called on the writer's thread alone.
Fetch = Callable[[], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Sample:
    """One look at tensors of a stream, of its columns from ``first`` on; None where there is none to look at.

    ``further`` gives each further entry of the stream, NaN where there is nothing. With ``inverse_scale``, one float32,
    the tensors are still loss-scaled.
    """

    stream: Stream
    tensors: Sequence[torch.Tensor | None]
    further: Mapping[str, Fetch] = field(default_factory=dict)
    first: int = 0
    inverse_scale: torch.Tensor | None = None


class Source:
    """Where samples of an optimizer's parameters come from; one for each optimizer and session.

    Both looks are at a sampled step alone, without autograd, and may wait for no device. What they give is measured at
    once, sample by sample, so that a generator need not hold all tensors at a time. Columns are those of the
    parameters, whose elements on this rank are ``local``. ``every`` is that of its streams.
    """

    every = 1

    def before(
        self, optimizer: Optimizer, parameters: Sequence[torch.Tensor], local: Sequence[torch.Tensor | None]
    ) -> Iterable[Sample]:
        """Just before the optimizer writes to its parameters."""
        return ()

    def after(
        self, optimizer: Optimizer, parameters: Sequence[torch.Tensor], local: Sequence[torch.Tensor | None]
    ) -> Iterable[Sample]:
        """Just after."""
        return ()

    def forget(self) -> None:
        """There will be no "after": keep nothing of the step that has begun."""
        return


def later(values: torch.Tensor) -> Fetch:
    """``values`` as they are now, to be read on another thread; never waits for a device."""
    values = values.detach()
    if values.device.type == "cpu":
        kept = values.double().clone().numpy()
        return lambda: kept
    module: Any = torch.get_device_module(values.device)
    pinned = torch.empty(values.shape, dtype=values.dtype, device="cpu", pin_memory=True)
    pinned.copy_(values, non_blocking=True)
    event = module.Event()
    event.record(module.current_stream(values.device))

    def fetch() -> npt.NDArray[np.float64]:
        event.synchronize()
        fetched: npt.NDArray[np.float64] = pinned.double().numpy()
        return fetched

    return fetch
