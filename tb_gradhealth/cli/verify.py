"""``gradhealth verify``: whether all that was recorded can be read, and what cannot."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..reading.find import event_directory
from ..reading.soundness import Check, Soundness
from .status import DONE, FOUND
from .terminal import Progress, coloured, printable, size


def verify(options: argparse.Namespace) -> int:
    directories = {name: event_directory(name) for name in options.runs}
    sound = True
    for name, directory in directories.items():
        check = Check(directory)
        with Progress(f"verify {name}") as progress:
            for _ in check:
                progress(check.found.bytes, check.total)
        show(name, directory, check.found)
        sound = sound and not check.found.damages
    return DONE if sound else FOUND


def show(name: str, directory: Path, found: Soundness) -> None:
    damages = len(found.damages)
    said = f"{damages} damaged {'place' if damages == 1 else 'places'}" if damages else "no damage"
    said = coloured(said, "red" if damages else "green", sys.stdout)
    print(f"{printable(name)}: {found.groups:,} row groups, {size(found.bytes)}, {said}")
    if found.deleted:
        what = (
            "1 row group of the archive was"
            if found.deleted == 1
            else f"{found.deleted:,} row groups of the archive were"
        )
        print(f"  {what} deleted to stay within its size")
    for damage in found.damages:
        path = damage.path.relative_to(directory)
        print(f"  {printable(str(path))}, byte {damage.offset:,}: {printable(damage.what)}")
        print(f"    lost: {printable(damage.lost)}")
