"""``gradhealth report --html``: the diagnosis as a file for a ticket."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path

from ..diagnosis import Diagnosis, Rule
from ..reading.choose import AskedError
from ..reading.find import label
from ..reading.opened import OpenRun
from ..report.page import MARK, page
from .export import replaced
from .terminal import Progress, printable, size

#: Bytes at the beginning of a file in which a report has its mark.
_HEAD = 1000


def write(name: str, run: OpenRun, diagnosis: Diagnosis, rules: Sequence[Rule], output: str) -> None:
    """The report of the run ``name`` into the file ``output``, or to standard output for "-"."""
    directory = run.directory.resolve()
    shown = label(directory, directory.parent.parent) or directory.name
    with Progress(f"draw {name}") as progress:
        content = page(run, diagnosis, shown, rules, progress)
    if output == "-":
        assert isinstance(sys.stdout, io.TextIOWrapper)
        sys.stdout.reconfigure(encoding="utf-8", newline="")
        sys.stdout.write(content)
        return
    data = content.encode("utf-8", "backslashreplace")
    with replaced(Path(output)) as path:
        path.write_bytes(data)
    print(f"{printable(output)}: written, {size(len(data))}")


def check_writable(output: str) -> None:
    """Raises AskedError where a file stands that no report of ours is: it would be lost."""
    path = Path(output)
    if output == "-" or not path.is_file():
        return
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head and MARK.encode() not in head:
        raise AskedError(
            f"--html: {output!r} exists and is no report of gradhealth's: choose another name, or remove it first"
        )
