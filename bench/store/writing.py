"""A case → its files, through the writer's own levels, codes and tiers, on this thread."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tb_gradhealth.boundary.options import EVENT_BYTES
from tb_gradhealth.stages import FIRST_SHARE
from tb_gradhealth.store import events as event_tier
from tb_gradhealth.store.archive import DIRECTORY
from tb_gradhealth.store.archive_writer import ArchiveWriter
from tb_gradhealth.store.events import EventTier
from tb_gradhealth.store.format import PLUGIN
from tb_gradhealth.store.levels import Levels
from tb_gradhealth.store.pending import PendingRow
from tb_gradhealth.store.records import EventFile
from tb_gradhealth.store.rowgroup import code

from .cases import Case
from .progress import Progress
from .recording import every_row, sampled_rows

#: Rows of level 0 that the archive takes at once; it compacts as many, so the journal of a live run leaves no trace.
ARCHIVED_AT_ONCE = 64
#: Bytes of the event tier, as the gradients have them by default.
BUDGET = int(FIRST_SHARE * EVENT_BYTES)
_DONE = "case.json"


@dataclass(frozen=True)
class Recorded:
    """A case in ``folder``: ``logdir`` has both tiers, ``overview`` the event file alone, where there is an archive."""

    case: Case
    folder: Path
    rows: dict[int, int]  # level → rows that the levels made
    whole: int  # steps that were measured one by one; of the others see sampled_rows
    seconds: float

    @property
    def logdir(self) -> Path:
        return self.folder / "logdir"

    @property
    def overview(self) -> Path:
        return self.folder / "overview" if self.case.archive else self.logdir

    @property
    def cells(self) -> int:
        """Numbers in all rows: steps, counts and metrics of each node."""
        schema = self.case.schema
        return sum(self.rows.values()) * len(schema.nodes) * (3 + len(schema.counts) + 3 * len(schema.metrics))


def directory(logdir: Path) -> Path:
    """Where the event file is."""
    return logdir / "run" / PLUGIN


def recorded(case: Case, folder: Path, budget: int) -> Recorded:
    """The case as it lies in ``folder``, written now if it is not there."""
    described = {**asdict(case), "budget": budget}
    done = folder / _DONE
    if done.exists():
        was = json.loads(done.read_text())
        if was["case"] == described:
            rows = {int(level): count for level, count in was["rows"].items()}
            return Recorded(case, folder, rows, was["whole"], was["seconds"])
    if folder.exists():
        shutil.rmtree(folder)
    began = time.monotonic()
    rows, whole = _write(case, directory(folder / "logdir"), budget)
    found = Recorded(case, folder, rows, whole, time.monotonic() - began)
    if case.archive:
        copy = directory(found.overview)
        shutil.copytree(directory(found.logdir), copy, ignore=shutil.ignore_patterns(DIRECTORY))
    done.write_text(json.dumps({"case": described, "rows": rows, "whole": whole, "seconds": found.seconds}))
    return found


def _write(case: Case, where: Path, budget: int) -> tuple[dict[int, int], int]:
    """Rows of each level, and steps measured one by one."""
    count: dict[int, int] = {}
    whole = 0
    with paced() as clock, Progress(f"{case.name}: recording", case.steps) as progress:
        tiers = Tiers(case, where, budget)
        levels = Levels(case.every)
        for row in _rows(case, tiers.events):
            clock.seconds = case.pace * row.stop
            whole = row.stop if row.rows.recorded[0] == row.stop - row.start else whole
            for level, done in levels.add(row):
                count[level] = count.get(level, 0) + 1
                tiers.add(level, done)
            tiers.flush()
            progress.at(row.stop)
        for level, done in levels.cut():
            count[level] = count.get(level, 0) + 1
            tiers.add(level, done)
        tiers.close()
    return count, whole


class Tiers:
    """Both tiers, fed as the encoder's thread does."""

    def __init__(self, case: Case, where: Path, budget: int) -> None:
        self._schema = case.schema
        self.events = EventTier(EventFile(where, case.schema.session), case.schema, budget)
        self._archive = ArchiveWriter(where / DIRECTORY, case.schema, None) if case.archive else None

    def add(self, level: int, row: PendingRow) -> None:
        wanted = self._archive is not None or self.events.wants(level)
        coded = code(row, level, self._schema) if wanted else None
        self.events.add(row, coded, level)
        if self._archive is not None and coded is not None:
            self._archive.add(coded)

    def flush(self, at_once: bool = False) -> None:
        self.events.flush()
        if self._archive is not None and (at_once or self._archive.waiting >= ARCHIVED_AT_ONCE):
            self._archive.flush()

    def close(self) -> None:
        self.events.flush()
        self.events.close()
        if self._archive is not None:
            self._archive.close()


def _rows(case: Case, events: EventTier) -> Iterator[PendingRow]:
    training = case.training()
    if not case.sampled:
        yield from every_row(training, case.tree, case.every)
        return
    width, stop = case.sampled_width, 0
    for row in every_row(training, case.tree, case.every):
        yield row
        stop = row.stop
        if not events.wants(1) and stop % width == 0:
            break
    yield from sampled_rows(training, case.tree, stop, case.steps, width)


class Clock:
    """Stands in for the module ``time``: as many seconds as the training would have taken."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return 1_700_000_000.0 + self.seconds


@contextmanager
def paced() -> Iterator[Clock]:
    """What the event tier does now and then, it does by a clock that the caller sets."""
    before, clock = event_tier.time, Clock()
    event_tier.time = clock  # type: ignore[assignment]
    try:
        yield clock
    finally:
        event_tier.time = before
