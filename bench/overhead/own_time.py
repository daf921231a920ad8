"""What a monitor itself takes, measured within its own calls: resolves 0.1 % of a step where comparing steps cannot.

On the training thread, clocks are read where the loop enters the monitor and where it leaves it; each call costs two
microseconds of clocks. Other threads are read by their own CPU clocks. On CUDA, events around the same calls tell how
long the device was at work for them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Own:
    """Seconds within a monitor's calls."""

    cpu: float  # of the calling thread
    wall: float
    device: float


class OwnTime:
    """Adds up what :meth:`timed` calls take. They may run on any thread, one at a time, not within each other."""

    def __init__(self, device: torch.device) -> None:
        self._on_cuda = device.type == "cuda"
        self._cpu = self._wall = 0.0
        self._events: list[tuple[Any, Any]] = []
        #: Whether such a call is running.
        self.inside = False

    def timed(self, call: Callable[P, R]) -> Callable[P, R]:
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            self.inside = True
            before = self._event()
            wall, cpu = time.perf_counter(), time.thread_time()
            try:
                return call(*args, **kwargs)
            finally:
                self._cpu += time.thread_time() - cpu
                self._wall += time.perf_counter() - wall
                if before is not None:
                    self._events.append((before, self._event()))
                self.inside = False

        return timed

    def take(self) -> Own:
        """What came together since the last time; on CUDA only after the device was waited for."""
        device = sum(before.elapsed_time(after) for before, after in self._events) / 1e3
        own = Own(self._cpu, self._wall, device)
        self._cpu = self._wall = 0.0
        self._events.clear()
        return own

    def _event(self) -> Any:
        if not self._on_cuda:
            return None
        event: Any = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


def time_writer(optimizer: Any, own: OwnTime) -> None:
    """Count every way from the training loop into the writer: the step hooks, ``zero_grad``'s, and what is measured in
    modules' hooks.

    Not counted are the attributes that the optimizer's swapped class looks up, well below a microsecond each, and the
    hooks around what they measure, a few microseconds each.
    """
    watch = optimizer.__dict__["_gradhealth"]
    for hooks in (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks):
        for key, hook in hooks.items():
            hooks[key] = own.timed(hook)
    for name in ("before_zero_grad", "after_zero_grad"):
        setattr(watch, name, own.timed(getattr(watch, name)))
    for observer in watch.monitor._observers:
        for name in ("_entering", "_seen", "_graded"):
            setattr(observer, name, own.timed(getattr(observer, name)))


def other_threads() -> dict[int, float]:
    """CPU seconds so far of each Python thread but the calling one, by its identifier; nothing where unknown."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return {}
    others = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    return {t.ident: time.clock_gettime(time.pthread_getcpuclockid(t.ident)) for t in others if t.ident is not None}
