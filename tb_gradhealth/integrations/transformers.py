"""``Trainer(…, callbacks=[GradHealthCallback("runs/exp1")])`` for Hugging Face transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from ..writer import GradHealthWriter

_LOGGED = ("loss", "grad_norm")  # the learning rate is read from the optimizer, at every step


class GradHealthCallback(TrainerCallback):
    """Watches the optimizer that the Trainer built, from ``global_step`` on, so a resumed run continues its axis.

    Writes below ``logdir``, by default the Trainer's ``output_dir``. Further options are those of
    :class:`GradHealthWriter`. Loss and the Trainer's own norm, which is that before clipping, are added as the Trainer
    logs them.
    """

    def __init__(self, logdir: str | Path | None = None, **options: Any) -> None:
        self._logdir, self._options = logdir, options
        self._watched: Any = None

    def on_train_begin(
        self, args: Any, state: Any, control: Any, *, model: torch.nn.Module, optimizer: Any, **_: Any
    ) -> None:
        self.on_train_end()  # of a training that was interrupted
        self._watched = GradHealthWriter(
            getattr(optimizer, "optimizer", optimizer),  # Accelerate's wrapper has no step hooks
            model,
            None if "summary_writer" in self._options else self._logdir or args.output_dir,
            **{"start_step": state.global_step, **self._options},
        )

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if self._watched is not None:
            self._watched.gradhealth.log(**{name: value for name, value in (logs or {}).items() if name in _LOGGED})

    def on_train_end(self, *_: Any, **__: Any) -> None:
        watched, self._watched = self._watched, None
        if watched is not None:
            watched.gradhealth.close()
