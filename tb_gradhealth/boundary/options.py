"""The arguments of ``GradHealthWriter``, checked before anything is changed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from gradhealth_kernels.metrics import Metric, select
from gradhealth_kernels.statistics import NEAR_ZERO

from ..diagnosis import RULES, Rule
from ..diagnosis import settings as configured
from ..live import actions
from ..live.actions import Action
from ..problems import GradHealthWarning
from ..sinks import check_summary_writer, event_directory, summary_writer_directory
from ..store.archive import DIRECTORY
from ..store.format import MAX_EVERY
from ..streams.choosing import Choice
from ..streams.table import GRADIENTS, SOURCES

#: What a run's event file may grow to, and its archive.
EVENT_BYTES, MIN_EVENT_BYTES = 32 << 20, 1 << 16
ARCHIVE_BYTES, MIN_ARCHIVE_BYTES = 1 << 30, 1 << 20


@dataclass(frozen=True)
class Settings:
    """What one recording is made with; several optimizers beside each other share it."""

    directory: Path | None
    summary_writer: Any
    every: int
    near_zero: float
    metrics: tuple[Metric, ...]
    start_step: int
    group: Any
    unclipped: bool
    archive: Path | None  # directory of rows at full resolution; None for none
    archive_bytes: int | None  # of which the newest are kept; None for all
    event_bytes: int
    activations: Choice = ()  # modules that are looked at; none by default
    streams: tuple[str, ...] = ()  # what is looked at beside the gradients, by its names in the table of sources
    rules: tuple[Rule, ...] = ()  # of the diagnosis; none where there is none
    on_finding: tuple[Action, ...] = ()


def settings(
    logdir: str | Path | None,
    summary_writer: Any,
    every: int | None,
    near_zero: float | None,
    metrics: Sequence[str] | None,
    start_step: int | None,
    group: Any,
    unclipped: bool,
    archive: Any,
    event_bytes: int | None,
    streams: Sequence[str] | None = None,
    activations: Any = False,
    diagnose: Any = None,
    on_finding: Any = None,
) -> Settings:
    """None stands for the default. Raises TypeError, ValueError or NotADirectoryError."""
    every = 10 if every is None else every
    near_zero = NEAR_ZERO if near_zero is None else near_zero
    start_step = 0 if start_step is None else start_step
    if isinstance(every, bool) or not isinstance(every, int) or not 1 <= every < MAX_EVERY:
        raise ValueError(f"every: expected a number of steps, 1 or more, got {every!r}: 10 is the default")
    if isinstance(start_step, bool) or not isinstance(start_step, int) or start_step < 0:
        raise ValueError(f"start_step: expected a step number, 0 or more, got {start_step!r}")
    if not isinstance(near_zero, (int, float)) or not 0 < near_zero < float("inf"):
        raise ValueError(f"near_zero: expected a finite threshold above 0, got {near_zero!r}: 1e-8 is the default")
    if summary_writer is not None and logdir is not None:
        raise ValueError("expected logdir= or summary_writer=, got both: they are two places for the same rows")
    event_bytes = EVENT_BYTES if event_bytes is None else event_bytes
    if isinstance(event_bytes, bool) or not isinstance(event_bytes, int) or event_bytes < MIN_EVENT_BYTES:
        raise ValueError(
            f"event_bytes: expected a number of bytes, {MIN_EVENT_BYTES} or more, got {event_bytes!r}: "
            f"{EVENT_BYTES} is the default"
        )
    keep = _archive_bytes(archive)
    _check_group(group)
    chosen = select(metrics)
    directory = None
    if summary_writer is not None:
        check_summary_writer(summary_writer)
        beside = summary_writer_directory(summary_writer)
    else:
        directory = beside = event_directory(logdir)
    return Settings(
        directory=directory,
        summary_writer=summary_writer,
        every=every,
        near_zero=float(near_zero),
        metrics=chosen,
        start_step=start_step,
        group=group,
        unclipped=unclipped,
        archive=None if keep == 0 or beside is None else beside / DIRECTORY,
        archive_bytes=keep,
        event_bytes=event_bytes,
        streams=_streams(streams),
        activations=_activations(activations),
        rules=_rules(diagnose),
        on_finding=_on_finding(on_finding, diagnose),
    )


def _rules(diagnose: Any) -> tuple[Rule, ...]:
    """What is looked for. Raises TypeError or ValueError."""
    if diagnose is False:
        return ()
    if diagnose is not None and diagnose is not True and not isinstance(diagnose, (str, os.PathLike, Mapping)):
        raise TypeError(
            f"diagnose: expected True, False, a TOML file or a mapping of settings, got {type(diagnose).__name__}: "
            'pass {"skip": ["plateau"]}, or leave it out'
        )
    try:
        given = configured.read(diagnose) if isinstance(diagnose, (str, os.PathLike)) else diagnose
        return configured.apply(given if isinstance(given, Mapping) else None, (*RULES, *_custom_rules(diagnose)))
    except OSError as error:
        raise ValueError(f"diagnose: expected a TOML file of settings, but {error}") from error
    except configured.SettingsError as error:
        raise ValueError(f"diagnose: {error}") from error


def _custom_rules(diagnose: Any) -> tuple[Rule, ...]:
    """Those of installed packages. Where nobody asked for a diagnosis, a broken one costs only itself."""
    try:
        return configured.custom_rules()
    except configured.SettingsError as error:
        if diagnose is not None:
            raise
        warnings.warn(f"tb_gradhealth: {error}. The diagnosis does without such rules", GradHealthWarning, stacklevel=2)
        return ()


def _on_finding(on_finding: Any, diagnose: Any) -> tuple[Action, ...]:
    if on_finding is not None and diagnose is False:
        raise ValueError(
            "on_finding: expected a diagnosis that finds something, got diagnose=False: leave one of them out"
        )
    return actions.parse(on_finding)


def _activations(activations: Any) -> Choice:
    """Raises TypeError or ValueError."""
    if activations is None or activations is False:
        return ()
    if activations is True or activations == "auto":
        return "auto"
    expected = 'activations: expected "auto", True, False or a list of shell patterns on names of modules'
    if isinstance(activations, str) or not isinstance(activations, Iterable):
        came = f"the string {activations!r}" if isinstance(activations, str) else type(activations).__name__
        write = (
            f": write [{activations!r}]"
            if isinstance(activations, str)
            else ': pass "auto", or a list such as ["*.mlp"]'
        )
        raise TypeError(f"{expected}, got {came}{write}")
    patterns = tuple(activations)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(f'{expected}, got {type(pattern).__name__} in it: pass names such as "encoder.*"')
    if not patterns:
        raise ValueError(f"{expected}, got an empty one: pass False to look at none")
    return patterns


def check_modules(activations: Any, model: Any) -> None:
    """Raises ValueError where modules are to be looked at and there are none."""
    if model is None and activations is not None and activations is not False:
        raise ValueError(
            "activations: expected a model whose modules are looked at, got none: pass model=, or leave activations out"
        )


def _streams(streams: Any) -> tuple[str, ...]:
    """What is asked for beside the gradients. Raises TypeError or ValueError."""
    if streams is None:
        return ()
    known = (GRADIENTS, *SOURCES)
    if streams == "all":
        return tuple(SOURCES)
    if isinstance(streams, str) or not isinstance(streams, Iterable):
        came = f"the string {streams!r}" if isinstance(streams, str) else type(streams).__name__
        raise TypeError(f'streams: expected names out of {", ".join(known)}, or "all", got {came}: pass a list')
    asked = list(streams)
    for name in asked:
        if name not in known:
            raise ValueError(
                f"streams: expected names out of {', '.join(known)}, got {name!r}: drop it or correct its spelling"
            )
    return tuple(name for name in SOURCES if name in asked)


def _archive_bytes(archive: Any) -> int | None:
    """Bytes of the archive, None for all; 0 for no archive. Raises ValueError."""
    if archive is None:
        return ARCHIVE_BYTES
    if archive is False or archive == "off":
        return 0
    if archive == "all":
        return None
    if isinstance(archive, bool) or not isinstance(archive, int) or archive < MIN_ARCHIVE_BYTES:
        raise ValueError(
            f'archive: expected "all", "off", or a number of bytes, {MIN_ARCHIVE_BYTES} or more, of which the newest '
            f"rows are kept, got {archive!r}: {ARCHIVE_BYTES} is the default"
        )
    return archive


def check_alone(given: dict[str, Any]) -> None:
    """Raises ValueError when something is given that the optimizer beside has decided already."""
    decided = [f"{name}=" for name, value in given.items() if value is not None and value is not False]
    if decided:
        raise ValueError(
            f"beside=: expected nothing that the first optimizer's writer has settled, got {', '.join(decided)}: "
            "leave it out, both record in one place on one step axis"
        )


def check_model(model: Any, optimizer: Optimizer) -> None:
    """Raises TypeError for what is no module, ValueError when no parameter of the optimizer is in it."""
    if model is None:
        return
    if not isinstance(model, torch.nn.Module):
        raise TypeError(
            f"model: expected a torch.nn.Module, got {type(model).__name__}: pass the model, or leave it out"
        )
    has = {id(parameter) for parameter in model.parameters()}
    own = [p for group in optimizer.param_groups for p in group["params"]]
    if not any(id(p) in has for p in own):
        raise ValueError(
            f"model: none of the optimizer's {len(own)} parameters belongs to this {type(model).__name__}: "
            "pass the model that the optimizer was built for (and build the optimizer after moving or wrapping it)"
        )


def check_prefix(prefix: Any) -> None:
    if not isinstance(prefix, str):
        raise TypeError(f"prefix: expected a name to put before the parameters' names, got {type(prefix).__name__}")


def _check_group(group: Any) -> None:
    if group is not None and not (
        torch.distributed.is_available() and isinstance(group, torch.distributed.ProcessGroup)
    ):
        raise TypeError(
            f"group: expected a torch.distributed.ProcessGroup, got {type(group).__name__}: pass the group of the "
            "ranks that train this model together, or leave it out for all ranks"
        )
