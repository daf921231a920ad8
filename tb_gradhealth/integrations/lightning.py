"""``Trainer(…, callbacks=[GradHealthCallback("runs/exp1")])`` for Lightning, by either of its two package names."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..writer import GradHealthWriter

if TYPE_CHECKING:
    from pytorch_lightning import Callback
else:

    def _base() -> type:
        # Both packages may be installed, and each is a copy of the other: take the one that the program uses.
        names = sorted(("lightning.pytorch", "pytorch_lightning"), key=lambda name: name not in sys.modules)
        for name in names:
            try:
                return importlib.import_module(name).Callback
            except ModuleNotFoundError as error:
                if error.name not in (name, name.partition(".")[0]):
                    raise
        raise ModuleNotFoundError("GradHealthCallback needs Lightning: pip install lightning", name="lightning")

    Callback = _base()


class GradHealthCallback(Callback):
    """Watches the optimizers of ``configure_optimizers``; the step number is part of Lightning's checkpoints.

    Writes below ``logdir``, by default where the Trainer's logger writes. Further options are those of
    :class:`GradHealthWriter`. Several optimizers are recorded together on one step axis.
    """

    def __init__(self, logdir: str | Path | None = None, **options: Any) -> None:
        super().__init__()
        self._logdir, self._options = logdir, options
        self._watched: Any = None
        self._state: dict[str, int] = {}
        self._resumed: dict[str, int] = {}

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._close()
        place: dict[str, Any] = {}
        if "summary_writer" not in self._options:
            place["logdir"] = self._logdir or trainer.log_dir or trainer.default_root_dir
        # A checkpoint from before this callback was added has no step of ours.
        place["start_step"] = self._resumed.pop("step", trainer.global_step)
        first, *others = trainer.optimizers
        self._watched = GradHealthWriter(first, pl_module, **{**place, **self._options})
        for optimizer in others:
            GradHealthWriter(optimizer, pl_module, beside=first)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self._close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._close()

    def state_dict(self) -> dict[str, Any]:
        return self._state if self._watched is None else self._watched.gradhealth.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._state, self._resumed = state_dict, dict(state_dict)

    def _close(self) -> None:
        if self._watched is not None:
            self._state = self.state_dict()
            self._watched.gradhealth.close()
            self._watched = None
