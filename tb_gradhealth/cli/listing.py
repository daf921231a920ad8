"""``gradhealth ls``: the runs below a directory, a line each."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from ..reading.choose import AskedError
from ..reading.find import archive_files, label, runs_below
from ..reading.opened import OpenRun
from ..store.files import event_files
from .status import DONE, FOUND
from .terminal import Progress, coloured, complain, printable, size

#: Of a name or a problem, so many characters are shown.
LONGEST_NAME, LONGEST_PROBLEM = 60, 300


@dataclass(frozen=True)
class Listed:
    """A run as ``--json`` has it. ``steps`` ``[first, end)``; sizes in bytes; ``written`` in ISO 8601, UTC."""

    label: str
    path: str
    steps: tuple[int, int] | None
    tensors: int
    streams: list[str]
    sessions: int
    event_bytes: int
    archive_bytes: int
    written: str
    full: bool | None
    problems: list[str]


def ls(options: argparse.Namespace) -> int:
    root = Path(options.directory).expanduser()
    if not root.is_dir():
        raise AskedError(f"expected a directory to look in, got {str(root)!r}")
    with Progress("ls") as progress:
        found = list(runs_below(root, lambda looked: progress.counted(looked, "directories")))
        listed = []
        for done, directory in enumerate(found):
            progress(done, len(found))
            listed.append(_listed(directory, root))
    if options.json:
        print(json.dumps([asdict(run) for run in listed], indent=2))
    elif listed:
        _show(listed)
    if not listed:
        complain(f"no run is recorded in or below {str(root)!r}")
    return DONE if listed else FOUND


def _listed(directory: Path, root: Path) -> Listed:
    events, archive = event_files(directory), archive_files(directory)
    sizes, problems = [], []
    written = 0.0
    for files in (events, archive):
        sizes.append(0)
        for file in files:
            try:
                about = file.stat()
            except FileNotFoundError:  # deleted meanwhile, as a full archive does
                continue
            sizes[-1] += about.st_size
            written = max(written, about.st_mtime)
    steps = full = None
    streams: list[str] = []
    tensors = sessions = 0
    try:
        run = OpenRun(directory)
        streams = run.streams
        if streams:
            steps, full = run.steps, run.full
            tensors, sessions = len(run.timeline().tensors), len(run.sessions)
        problems = run.problems
    except OSError as error:  # one run that cannot be read must not hide the others
        problems = [str(error)]
    return Listed(
        label=label(directory, root),
        path=str(directory),
        steps=steps,
        tensors=tensors,
        streams=streams,
        sessions=sessions,
        event_bytes=sizes[0],
        archive_bytes=sizes[1],
        written=datetime.fromtimestamp(written, timezone.utc).isoformat(timespec="seconds"),
        full=full,
        problems=problems,
    )


def _show(runs: Sequence[Listed]) -> None:
    head = ["run", "steps", "tensors", "streams", "sessions", "events", "archive", "last written", "rows"]
    lines = [head, *map(_line, runs)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    right = {"tensors", "sessions", "events", "archive"}
    for number, line in enumerate(lines):
        cells = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for cell, width, name in zip(line, widths, head, strict=True)
        ]
        text = "  ".join(cells).rstrip()
        print(coloured(text, "bold", sys.stdout) if number == 0 else text)
        for problem in runs[number - 1].problems if number else ():
            print(coloured(f"  ! {printable(problem, LONGEST_PROBLEM)}", "yellow", sys.stdout))


def _line(run: Listed) -> list[str]:
    written = datetime.fromisoformat(run.written).astimezone()
    return [
        printable(run.label, LONGEST_NAME),
        "none yet" if run.steps is None else f"[{run.steps[0]}, {run.steps[1]})",
        str(run.tensors),
        ", ".join(run.streams) or "-",
        str(run.sessions),
        size(run.event_bytes),
        size(run.archive_bytes) if run.archive_bytes else "-",
        f"{written:%Y-%m-%d %H:%M}",
        "-" if run.full is None else "full" if run.full else "overview",
    ]
