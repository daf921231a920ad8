"""Runs as TensorBoard's data provider has them; the only way in, so it works with every provider and logdir."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np
from tensorboard.data import provider

from ..store.archive import DIRECTORY
from ..store.archive_reader import Archive
from ..store.findings import session_of
from ..store.format import PLUGIN, FormatError, Tag, check_metadata
from ..store.reader import Run
from ..store.source import Content, revision

#: Events that stay in memory; the least recently viewed run goes first, but for the last one.
MAX_BYTES = 128 << 20
#: Tags fetched in one call: a segment holds about 1 MiB, and the Rust server refuses answers over 256 MiB.
TAGS_AT_ONCE = 64
#: Points asked for per tag: every one of them, since a segment has far fewer.
ALL_POINTS = 1 << 24

#: What the provider lists is asked for again after so long: the data server takes 44 ms, and a view has many tiles.
LISTED_SECONDS = 0.5
MAX_LISTS = 64
#: Where TensorBoard's own providers are from. They list the same for whoever asks; another one may not.
OWN_PROVIDERS = ("tensorboard.data.", "tensorboard.backend.")

Status = Literal["ok", "waiting", "none", "unreadable"]


class UnknownRun(KeyError):
    """No run of that name has data of ours."""


@dataclass(frozen=True)
class RunEntry:
    """A line of the run picker."""

    name: str
    label: str
    status: Status
    problem: str | None
    revision: int


class ProviderSource:
    """One run's events out of a data provider."""

    def __init__(self, data_provider: Any, context: Any, experiment: str, run: str, listed: Mapping[str, Any]) -> None:
        self._provider, self._context, self._experiment, self._run = data_provider, context, experiment, run
        self._contents = contents(listed)

    def tags(self) -> dict[str, Content]:
        return self._contents

    def read(self, tags: list[str]) -> dict[str, list[bytes]]:
        payloads: dict[str, list[bytes]] = {}
        waiting = [tags[first : first + TAGS_AT_ONCE] for first in range(0, len(tags), TAGS_AT_ONCE)]
        while waiting:
            some = waiting.pop()
            try:
                payloads.update(self._read(some))
            except Exception:  # one bad tag, or an answer too large: what can be read is found by halving
                half = len(some) // 2
                waiting += [some[:half], some[half:]] if half else []
        return payloads

    def _read(self, tags: list[str]) -> dict[str, list[bytes]]:
        found = self._provider.read_tensors(
            self._context,
            experiment_id=self._experiment,
            plugin_name=PLUGIN,
            downsample=ALL_POINTS,
            run_tag_filter=provider.RunTagFilter([self._run], tags),
        )
        return {tag: [_bytes(event.numpy) for event in events] for tag, events in found.get(self._run, {}).items()}


class Runs:
    """All runs of a TensorBoard server; safe to call from several threads. ``logdir`` is where archives are looked for,
    below the directories of the runs; None where there is no local directory."""

    def __init__(self, data_provider: Any, logdir: str | None = None) -> None:
        self._provider = data_provider
        self._logdir = Path(logdir).expanduser() if logdir and "://" not in logdir else None
        self._lock = threading.Lock()
        self._may_keep_lists = type(data_provider).__module__.startswith(OWN_PROVIDERS)
        #: By experiment: when it was asked for, and what came.
        self._lists: dict[str, tuple[float, Mapping[str, Mapping[str, Any]]]] = {}
        self._runs: OrderedDict[tuple[str, str], Run] = OrderedDict()

    def list(self, context: Any, experiment: str) -> list[RunEntry]:
        """Every run, ours first, each kind by label; the parent directory of a run of ours is left out."""
        entries = [*self._ours(context, experiment)]
        ours = {entry.name for entry in entries}
        hidden = {name.removesuffix(f"/{PLUGIN}") for name in ours}
        others = [run.run_name for run in self._provider.list_runs(context, experiment_id=experiment)]
        entries += [RunEntry(name, name, "none", None, 0) for name in others if name not in ours and name not in hidden]
        return sorted(entries, key=lambda entry: (entry.status == "none", entry.label))

    def first(self, context: Any, experiment: str) -> str:
        """The first run of the list that can be shown. Raises UnknownRun where there is none."""
        shown = [entry for entry in self._ours(context, experiment) if entry.status == "ok"]
        if not shown:
            raise UnknownRun("")
        return min(shown, key=lambda entry: entry.label).name

    def get(self, context: Any, experiment: str, name: str) -> Run:
        """The run ``name``, up to date. Raises UnknownRun."""
        listed = self._listed(context, experiment).get(name)
        if listed is None:
            raise UnknownRun(name)
        key = experiment, name
        with self._lock:
            run = self._runs.get(key)
            if run is None:
                run = self._runs[key] = Run(self._archive(name))
            self._runs.move_to_end(key)
        run.update(ProviderSource(self._provider, context, experiment, name, listed))
        with self._lock:
            while len(self._runs) > 1 and sum(one.nbytes for one in self._runs.values()) > MAX_BYTES:
                self._runs.popitem(last=False)
        return run

    def _archive(self, name: str) -> Archive | None:
        """The archive of a run that the provider lists; its name comes from there, but a hostile one may lead out."""
        path = PurePath(name)
        if self._logdir is None or path.is_absolute() or ".." in path.parts:
            return None
        return Archive(self._logdir / path / DIRECTORY)

    def _listed(self, context: Any, experiment: str) -> Mapping[str, Mapping[str, Any]]:
        with self._lock:
            asked, known = self._lists.get(experiment, (-math.inf, {}))
            if time.monotonic() - asked < LISTED_SECONDS:
                return known
        now = time.monotonic()
        found: Mapping[str, Mapping[str, Any]] = self._provider.list_tensors(
            context, experiment_id=experiment, plugin_name=PLUGIN
        )
        if self._may_keep_lists:
            with self._lock:
                if len(self._lists) >= MAX_LISTS:
                    self._lists.clear()
                self._lists[experiment] = now, found
        return found

    def _ours(self, context: Any, experiment: str) -> Sequence[RunEntry]:
        listed = self._listed(context, experiment)
        return [self._entry(experiment, name, contents(tags)) for name, tags in listed.items()]

    def _entry(self, experiment: str, name: str, tags: Mapping[str, Content]) -> RunEntry:
        label = name.removesuffix(f"/{PLUGIN}") if name != PLUGIN else "."
        with self._lock:
            run = self._runs.get((experiment, name))
        problems = run.problems if run is not None else _problems(tags)
        rows = any(_is_row(tag, content) for tag, content in tags.items())
        latest = revision(tags) if run is None else run.latest(tags)
        readable = bool(run.streams()) if run is not None and run.revision == latest else rows
        status: Status = "ok" if readable else "unreadable" if problems else "waiting"
        return RunEntry(name, label, status, problems[0] if problems else None, latest)


def contents(listed: Mapping[str, Any]) -> dict[str, Content]:
    """What the provider lists of a run's tags. Steps only grow within a tag of ours, so they tell its progress."""
    return {tag: Content(series.plugin_content, series.max_step + 1) for tag, series in listed.items()}


def _bytes(tensor: Any) -> bytes:
    """A tensor of any other type is not ours, and of text not even bytes of the file."""
    return bytes(tensor.tobytes()) if tensor.dtype == np.uint8 else b""


def _is_row(tag: str, content: Content) -> bool:
    """Whether the tag holds rows of a version that this reader knows."""
    try:
        check_metadata(content.metadata)
        return Tag.parse(tag).level is not None
    except FormatError:
        return False


def _problems(tags: Mapping[str, Content]) -> Sequence[str]:
    """What can be told before any row is read: names and versions."""
    found = []
    for tag, content in tags.items():
        try:
            if session_of(tag) is None:
                Tag.parse(tag)
            check_metadata(content.metadata)
        except FormatError as error:
            found.append(str(error))
    return found
