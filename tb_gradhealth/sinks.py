"""Where a session's events go: a file of our own, or the user's SummaryWriter."""

from __future__ import annotations

import socket
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event

from .store.events import Sink
from .store.records import EventFile

#: Our own TensorBoard run below the user's: a second event file in the user's directory would stop live reading of the
#: first on TensorBoard's Python path.
SUBDIRECTORY = "gradhealth"


class SummaryWriterSink:
    """Adds our events to the event file of a ``torch.utils.tensorboard.SummaryWriter``."""

    def __init__(self, summary_writer: Any) -> None:
        self._file_writer = summary_writer.file_writer

    def append(self, event: Event) -> None:
        self._file_writer.add_event(event)

    def close(self) -> None:
        """The file stays the user's: only what we added is flushed."""
        self._file_writer.flush()


class SharedSink:
    """One sink that several encoders write to; it is closed when the last of them is."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._lock = threading.Lock()
        self._users = 0

    def share(self) -> SharedSink:
        """The sink, for one more encoder."""
        with self._lock:
            self._users += 1
        return self

    def append(self, event: Event) -> None:
        with self._lock:
            self._sink.append(event)

    def close(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._sink.close()


def event_directory(logdir: str | Path | None) -> Path:
    """The directory of our event files for ``logdir``; None means ``runs/<time>_<host>``, as SummaryWriter's default.

    Raises ValueError for a URL, NotADirectoryError when a file stands in the way.
    """
    if logdir is None:
        logdir = Path("runs", f"{datetime.now():%b%d_%H-%M-%S}_{socket.gethostname()}")
    if "://" in str(logdir):
        raise ValueError(f"logdir: expected a local directory, got {logdir!s}: write locally and copy, or mount it")
    directory = Path(logdir).expanduser() / SUBDIRECTORY
    for path in (directory, *directory.parents):
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(
                f"logdir: expected a directory or a new path, but {path} is a file: choose another"
            )
    return directory


def summary_writer_directory(summary_writer: Any) -> Path | None:
    """The local directory that a SummaryWriter writes into; None where it has none, or it is remote."""
    try:
        logdir = str(summary_writer.file_writer.get_logdir())
    except Exception:
        return None
    return None if "://" in logdir else Path(logdir)


def make_sink(directory: Path | None, summary_writer: Any, session: str) -> Sink:
    """The sink of one session; exactly one of ``directory`` and ``summary_writer`` is given."""
    if directory is not None:
        return EventFile(directory, session)
    return SummaryWriterSink(summary_writer)


def check_summary_writer(summary_writer: Any) -> None:
    """Raises TypeError when ``summary_writer`` has no file writer that takes events."""
    if not callable(getattr(getattr(summary_writer, "file_writer", None), "add_event", None)):
        raise TypeError(
            "summary_writer: expected an open torch.utils.tensorboard.SummaryWriter, "
            f"got {type(summary_writer).__name__}: pass logdir= to have a file of its own"
        )
