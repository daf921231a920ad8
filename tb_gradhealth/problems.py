"""What goes wrong on our side is counted, told once, and never reaches a training loop."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger("tb_gradhealth")


class GradHealthWarning(UserWarning):
    """Something could not be measured or written; training is not affected."""


class Guard:
    """Runs actions whose exceptions become reports; :attr:`problems` counts what could not be measured or written."""

    def __init__(self) -> None:
        self.problems = 0
        self._reporting = threading.RLock()

    def report(self, problem: str) -> None:
        """Count a problem; the first one is warned about."""
        with self._reporting:  # threads of ours report, too
            self.problems += 1
            first = self.problems == 1
        if not first:
            _log.debug("%s", problem)
            return
        text = (
            f"tb_gradhealth: {problem}. Training goes on; further problems are only counted "
            "(optimizer.gradhealth.problems)"
        )
        try:
            warnings.warn(text, GradHealthWarning, stacklevel=2)
        except Exception:  # warnings turned into errors must not reach the loop
            _log.warning("%s", text)

    def _guarded(self, action: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return action(*args, **kwargs)
        except Exception as error:
            self.report(f"{type(error).__name__}: {error}")
            return None
