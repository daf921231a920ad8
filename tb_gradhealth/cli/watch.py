"""``gradhealth watch``: the diagnosis of a run while it is being recorded."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ..diagnosis import RULES, SEVERITIES, Diagnosis
from ..diagnosis import settings as configured
from ..diagnosis.growing import Growing
from ..reading.choose import AskedError
from ..reading.find import event_directory, last_written, runs_below
from ..reading.opened import OpenRun
from .lines import Lines
from .screen import Screen
from .status import DONE, FAILED, FOUND
from .terminal import Progress, complain
from .watched import Watched
from .zeros import ZerosFile

#: Of the time at most this share is spent on looking.
BUSY = 0.1
#: Streams end one after the other: behind the last news of a run that has ended, so long nothing else comes.
CLOSING_SECONDS = 2.0


class View(Protocol):
    """What a person sees of a run; a context manager."""

    def wait_for(self, name: str) -> None:
        """Nothing is recorded yet."""

    def show(self, watched: Watched) -> None: ...

    def pause(self, seconds: float, watched: Watched | None) -> None: ...

    def __enter__(self) -> View: ...

    def __exit__(self, *_: object) -> None: ...


def watch(options: argparse.Namespace) -> int:
    for name, least in (("every", 0.1), ("idle", 0.0)):
        if (value := getattr(options, name)) is not None and not value >= least:
            raise AskedError(f"--{name}: expected {least:g} seconds or more, got {value:g}")
    settings = configured.read(options.config) if options.config else None
    rules = configured.apply(settings, (*RULES, *configured.custom_rules()))
    zeros = ZerosFile(options.zeros[0], options.zeros[1], rules) if options.zeros else None
    view: View = Screen() if _is_screen() else Lines()
    watched: Watched | None = None
    try:
        with view:
            began = time.monotonic()
            while (directory := _directory(options.run)) is None:
                view.wait_for(options.run)
                if options.idle is not None and time.monotonic() - began >= options.idle:
                    break
                view.pause(options.every, None)
            if directory is not None:
                name = options.run if _is_named(directory, options.run) else str(directory)
                watched = Watched(name, Growing(OpenRun(directory), None, rules), last_written(directory))
                _follow(watched, view, options, zeros)
    except KeyboardInterrupt:
        pass
    if watched is None:
        complain(f"nothing is recorded in {options.run!r} yet")
        return FAILED
    for line in watched.conclusion(told=isinstance(view, Lines)):
        print(line)
    for problem in watched.diagnosis.problems:
        complain(problem)
    return _status(watched.diagnosis, options.fail_on or "critical")


def _follow(watched: Watched, view: View, options: argparse.Namespace, zeros: ZerosFile | None) -> None:
    """Until there is nothing more to see, or what is found is to end it."""
    while True:
        began = time.process_time()
        with Progress(f"diagnose {watched.name}") as progress:
            watched.look(progress)
        over = bool(options.fail_on) and _status(watched.diagnosis, options.fail_on) == FOUND
        over |= watched.growing.is_closed and watched.age >= CLOSING_SECONDS
        over |= options.idle is not None and watched.age >= options.idle
        if zeros is not None:
            zeros.write(watched, over)
        cost = time.process_time() - began
        view.show(watched)
        if over:
            return
        view.pause(max(options.every, cost / BUSY), watched)


def _status(diagnosis: Diagnosis, fail_on: str) -> int:
    """As ``check`` ends."""
    grave: Sequence[str] = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
    if any(one.severity in grave for one in diagnosis.findings):
        return FOUND
    first, end = diagnosis.steps
    return FAILED if diagnosis.problems or end == first else DONE


def _directory(named: str) -> Path | None:
    """Of the run, or of the one below that was written last; None as long as there is none."""
    try:
        return event_directory(named)
    except FileNotFoundError:
        path = Path(named).expanduser()
        if path.exists() and not path.is_dir():
            raise
        return max(runs_below(path), key=last_written, default=None)


def _is_named(directory: Path, named: str) -> bool:
    """Whether a run is the one that was asked for, not one below."""
    try:
        return directory == event_directory(named)
    except FileNotFoundError:
        return False


def _is_screen() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
