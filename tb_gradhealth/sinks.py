"""Where a session's events go: a file of our own, or the user's SummaryWriter."""

from __future__ import annotations

import socket
import threading
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from tensorboard.compat.proto.event_pb2 import Event

from .store.events import Sink
from .store.records import EventFile, FileLost

#: Our own TensorBoard run below the user's: a second event file in the user's directory would stop live reading of the
#: first on TensorBoard's Python path.
SUBDIRECTORY = "gradhealth"


class FlushedSink(Sink, Protocol):
    """A sink that may keep events back for a while."""

    def flush(self) -> None:
        """Hand what was appended to the system, so that it outlives the process; raises as ``append`` does."""
        ...


class SummaryWriterSink:
    """Adds our events to the event file of a ``torch.utils.tensorboard.SummaryWriter``."""

    def __init__(self, summary_writer: Any) -> None:
        self._file_writer = summary_writer.file_writer

    def append(self, event: Event) -> None:
        try:
            self._file_writer.add_event(event)
        except OSError as error:
            if "closed" not in str(error):
                raise
            raise OSError(
                "the SummaryWriter was closed before ours: call optimizer.gradhealth.close() first, and "
                "summary_writer.close() then"
            ) from error

    def flush(self) -> None:
        self._file_writer.flush()

    def close(self) -> None:
        """The file stays the user's: only what we added is flushed."""
        self._file_writer.flush()


class SharedSink:
    """One sink that several encoders write to; it is closed when the last of them is.

    One that comes only then, as that of ranks who met late, opens it once more.
    """

    def __init__(self, sink: FlushedSink) -> None:
        self._sink = sink
        self._lock = threading.Lock()
        self._shares: list[_Share] = []

    def share(self) -> FlushedSink:
        """The sink, for one more encoder."""
        share = _Share(self)
        with self._lock:
            self._shares.append(share)
        return share

    def append(self, event: Event, share: _Share) -> None:
        with self._lock:
            lost, share.lost = share.lost, None
            if lost is not None:
                raise lost
            try:
                self._sink.append(event)
            except FileLost as error:
                for other in self._shares:
                    other.lost = error if other is not share else None
                raise

    def flush(self) -> None:
        with self._lock:
            self._sink.flush()

    def close(self, share: _Share) -> None:
        with self._lock:
            self._shares.remove(share)
            if not self._shares:
                self._sink.close()


class _Share:
    """What one encoder has of a shared sink: each learns of a file that was lost, whichever met it."""

    def __init__(self, shared: SharedSink) -> None:
        self.lost: FileLost | None = None
        self._shared = shared

    def append(self, event: Event) -> None:
        self._shared.append(event, self)

    def flush(self) -> None:
        self._shared.flush()

    def close(self) -> None:
        self._shared.close(self)


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


def make_sink(directory: Path | None, summary_writer: Any, session: str) -> FlushedSink:
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
