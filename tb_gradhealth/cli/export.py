"""``gradhealth export``: a run's rows as a file for other tools, in bounded memory."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..reading.choose import AskedError
from ..reading.lines import STOP, Column
from ..reading.opened import open_run
from .formats import Csv, Format, JsonLines, Parquet
from .terminal import Progress, complain

SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


def export(options: argparse.Namespace) -> int:
    chosen = options.format or _by_name(options.output)
    if chosen == "parquet" and options.output in (None, "-"):
        raise AskedError("parquet is no text: name a file with -o FILE")
    run = open_run(options.run)
    lines = run.lines(
        stream=options.stream,
        metrics=options.metric and [name for name in map(str.strip, ",".join(options.metric).split(",")) if name],
        nodes=options.nodes,
        steps=options.steps,
        width=options.width,
        level=options.level,
    )
    with opened_output(options.output, chosen, lines.columns) as output, Progress(f"export {options.run}") as progress:
        to_file = options.output not in (None, "-") or stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)
        for batch in lines:
            output.write(batch)
            if to_file:  # what goes to the screen, or through a pager, has no room for a second writer
                progress(int(batch[STOP][-1]) - lines.begin, lines.end - lines.begin)
    for problem in run.problems:
        complain(problem)
    return 0


def _by_name(output: str | None) -> str:
    """The format that a file's name tells of; CSV for one without ending, and for what is no file of ours."""
    suffix = Path(output or "").suffix.lower()
    if suffix and suffix not in SUFFIXES and not Path(output or "").is_char_device():
        raise AskedError(f"expected a file called {', '.join(SUFFIXES)}, got {suffix!r}: or say --format")
    return SUFFIXES.get(suffix, "csv")


@contextlib.contextmanager
def opened_output(name: str | None, chosen: str, columns: Sequence[Column]) -> Iterator[Format]:
    """Where batches go: the file ``name``, or standard output."""
    text = Csv if chosen == "csv" else JsonLines
    if name in (None, "-"):
        assert isinstance(sys.stdout, io.TextIOWrapper)
        sys.stdout.reconfigure(encoding="utf-8", newline="")
        yield text(sys.stdout, columns)
        return
    assert name is not None
    with replaced(Path(name)) as path:
        if chosen == "parquet":
            with Parquet(path, columns) as output:
                yield output
        else:
            with path.open("w", encoding="utf-8", newline="") as file:
                yield text(file, columns)


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A new file beside ``path`` that takes its place at the end; when something goes wrong ``path`` stays as it was.

    What is no regular file, as a pipe or /dev/null, is written to as it is.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        if path.is_dir():
            raise IsADirectoryError(f"expected a file to write to, but {str(path)!r} is a directory: name one in it")
        yield path
        return
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)
    except OSError as error:  # names a file that nobody asked for
        raise type(error)(f"cannot write {str(path)!r}: {error.strerror}") from error
    os.close(handle)
    new = Path(name)
    try:
        umask = os.umask(0)
        os.umask(umask)
        new.chmod(0o666 & ~umask)
        yield new
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
