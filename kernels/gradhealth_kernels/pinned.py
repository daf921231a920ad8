"""Pinned host memory that copies to and from a device go through, and what is asked of a device beside."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

#: Blocks that are there from the beginning: one being filled, one being copied, one being read.
BLOCKS = 3


class PinnedRing:
    """Blocks of int64 words of one shape. One is handed out again only once the copy that used it is over.

    Nothing is waited for: while all blocks are in use, one more is made, which stays. Blocks may be given back by any
    thread.
    """

    def __init__(self, device: torch.device, shape: tuple[int, ...]) -> None:
        self._shape, self._pin = shape, device.type != "cpu"
        self._free: deque[tuple[torch.Tensor, Any]] = deque((self._made(), None) for _ in range(BLOCKS))

    def borrow(self) -> torch.Tensor:
        """A block that nobody uses, its content undefined."""
        for _ in range(len(self._free)):
            block, event = self._free.popleft()
            if event is None or event.query():
                return block
            self._free.append((block, event))
        return self._made()

    def give_back(self, block: torch.Tensor, event: Any) -> None:
        """``event`` says when the copy that uses ``block`` is over."""
        self._free.append((block, event))

    def _made(self) -> torch.Tensor:
        # A tensor made in inference mode could not be written outside it.
        with torch.inference_mode(False):
            return torch.empty(self._shape, dtype=torch.int64, device="cpu", pin_memory=self._pin)


def uploaded(values: npt.NDArray[Any], device: torch.device) -> torch.Tensor:
    """A copy of ``values`` on ``device``, on its current stream, without waiting: for what is rarely uploaded.

    torch's caching host allocator hands the pinned memory out again only once the copy from it has run.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return tensor.clone() if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def programs(device: torch.device) -> int:
    """How many programs keep ``device`` busy: eight waves of eight on each multiprocessor."""
    if device.type == "cpu":
        return 1
    properties = torch.get_device_module(device).get_device_properties(device)
    return 64 * int(properties.multi_processor_count)
