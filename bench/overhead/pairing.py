"""A monitored training and its bare twin: advanced in turns, and compared before any figure is believed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from .monitors import NEVER, Contender, clip_by_torch
from .trainings import Block, Size, Training

#: How far a clipped gradient may be from torch's, relative to its norm: torch adds up squares in float32, which on the
#: reference model puts its total norm 1e-6 beside the one in float64.
CLIPPED = 1e-5
#: How far parameters may drift apart then, relative to their norms. Scaling all gradients by 1 + 1e-6 at each of 400
#: steps moved those of a 4-layer GPT by 9e-7; under autocast, where differences flip roundings to bfloat16, 6e-3.
DRIFT, DRIFT_AUTOCAST = 1e-5, 0.05


class WrongResult(RuntimeError):
    """The runs do not agree, so their times mean nothing."""


def warm_up_steps(steps: int) -> int:
    """Before the first of blocks of ``steps``."""
    return max(10, steps)


class Pair:
    """One contender beside its twin."""

    def __init__(self, contender: Contender, size: Size, device: torch.device, directory: Path) -> None:
        self.contender = contender
        self.bare, self.watched = Training(size, device), Training(size, device)
        if contender.max_norm is not None:
            for training in (self.bare, self.watched):
                clip_by_torch(training, contender.max_norm)
        self._monitor = contender.attach(self.watched, directory)

    def warm_up(self, steps: int) -> None:
        """A step whose clipped gradients are compared, then the others before a block of ``steps``."""
        self.bare.advance(1)
        self.watched.advance(1)
        self._check_first_moments()
        for training in (self.bare, self.watched):
            training.advance(warm_up_steps(steps) - 1)

    def measure(self, steps: int, bare_first: bool) -> tuple[Block, Block]:
        """A block of each: (bare, watched)."""
        if bare_first:
            bare = self.bare.advance(steps)
            return bare, self.watched.advance(steps)
        watched = self.watched.advance(steps)
        return self.bare.advance(steps), watched

    def finish(self) -> None:
        """Close the monitor; raises WrongResult unless both trained alike and everything was recorded."""
        self._check_parameters()
        self._check_clipping()
        if self._monitor is None:
            return
        self._monitor.close()
        problems, recorded, made = self._monitor.problems(), self._monitor.steps(), self.watched.steps
        if problems or recorded != made:
            raise WrongResult(
                f"{self.contender.name}: expected all {made} steps of every gradient in the file and no problem, got "
                f"{recorded} steps and {problems} problems"
            )

    def _check_first_moments(self) -> None:
        """After one step Adam's first moment is (1 - beta1) times the gradient that it was given."""
        bare, watched = (
            {name: training.optimizer.state[p]["exp_avg"] for name, p in training.model.named_parameters()}
            for training in (self.bare, self.watched)
        )
        self._check_near("gradient", bare, watched, CLIPPED)

    def _check_parameters(self) -> None:
        bare, watched = (dict(training.model.named_parameters()) for training in (self.bare, self.watched))
        self._check_near("parameter", bare, watched, DRIFT_AUTOCAST if self.bare.size.autocast else DRIFT)

    def _check_near(
        self, what: str, bare: Mapping[str, torch.Tensor], watched: Mapping[str, torch.Tensor], far: float
    ) -> None:
        allowed = far if self.contender.rounds else 0.0
        wanted = f"within {allowed:g} of" if allowed else "bit-identical to"
        for name, one in bare.items():
            with torch.no_grad():
                difference = float((watched[name] - one).norm())
                same = difference <= allowed * float(one.norm()) if allowed else torch.equal(watched[name], one)
            if not same:
                raise WrongResult(
                    f"{self.contender.name}: expected {what} {name} {wanted} the bare training's, got a difference of "
                    f"norm {difference:.3g} after {self.watched.steps} steps"
                )

    def _check_clipping(self) -> None:
        """What was timed is what the name says."""
        max_norm = self.contender.max_norm
        if max_norm is None:
            return
        wanted = max_norm < NEVER
        for training in (self.bare, self.watched):
            clipped = int((torch.stack(training.norms) > max_norm).sum())
            if clipped != (training.steps if wanted else 0):
                raise WrongResult(
                    f"{self.contender.name}: expected {'each' if wanted else 'no'} step's gradients above the norm "
                    f"{max_norm:g}, got {clipped} of {training.steps}"
                )
