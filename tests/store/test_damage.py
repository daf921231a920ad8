"""An event file that is cut or damaged anywhere: what is shown is right, and what is lost is not much."""

from __future__ import annotations

import itertools
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from gradhealth_kernels.metrics import select
from tb_gradhealth.rows import Floats
from tb_gradhealth.store.cells import Grid
from tb_gradhealth.store.reader import DirectoryRun, open_directory
from tb_gradhealth.store.records import frame

from ..synthetic import Recording, recorded

STEPS, EVERY = 40, 2
COARSE = 16 * EVERY  # steps of a row of level 1
RECORDING = Recording(recorded(STEPS, 1), names=("w",), every=EVERY, block=2, chosen=select(["norm"]))
#: The norm of the one tensor at each step.
NORMS: Floats = np.sqrt(RECORDING.entries["sum_sq"][:, 0])


def ends(data: bytes) -> list[int]:
    """The offsets behind each record, from the length fields alone."""
    found = [0]
    while found[-1] < len(data):
        found.append(found[-1] + 16 + struct.unpack_from("<Q", data, found[-1])[0])
    return found[1:]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Levels 0 and 1, flushed after every few rows."""
    return RECORDING.write(tmp_path_factory.mktemp("whole"), together=3).read_bytes()


def says(metric: Floats, start: int, stop: int) -> bool:
    """Whether ``metric [mean min max, node]`` is what the steps [start, stop) had."""
    own = NORMS[start:stop]
    expected = np.array([[own.mean()], [own.min()], [own.max()]])
    return bool((np.abs(metric / expected - 1) <= 0.0018).all())


def check_is_right(run: DirectoryRun) -> set[int]:
    """The steps that are shown; every row of them is what its steps say, or is part of a coarser one which does."""
    if not run.streams():
        return set()
    timeline, shown = run.timeline("gradients"), set[int]()
    finest, nodes = Grid(0, 1, STEPS), np.array([0, 1])
    timeline.cells("norm", nodes, finest)
    timeline.tally(nodes, finest)  # damage comes to light when it is seen
    for span in timeline.rows(0, STEPS):
        metric = span.metric("norm", nodes)
        for row, (start, stop) in enumerate(zip(span.start.tolist(), span.stop.tolist(), strict=True)):
            assert not shown & set(range(start, stop))
            shown |= set(range(start, stop))
            begin, end = span.figures_of[row].tolist()
            assert begin <= start < stop <= end <= begin + COARSE
            assert says(metric[:, row], begin, end), (start, stop)
            assert span.recorded[row] == stop - start
    return shown


def test_a_file_cut_at_any_byte_loses_only_its_tail(whole: bytes, tmp_path: Path) -> None:
    """One reader that follows a growing file, and a new one at each record."""
    path = tmp_path / "events.out.tfevents.cut"
    path.touch()
    live, records, shown = open_directory(tmp_path), ends(whole), 0
    with path.open("ab", buffering=0) as file:
        for size in range(1, len(whole) + 1):
            file.write(whole[size - 1 : size])
            changed = live.refresh()
            if size not in records:
                assert not changed, "half a record is no news"
                continue
            steps = check_is_right(live)
            assert steps == set(range(len(steps))), "the first ones, without a gap"
            assert len(steps) >= shown
            shown = len(steps)
            assert check_is_right(open_directory(tmp_path)) == steps
            assert live.problems == []
    assert shown == STEPS
    assert live.timeline("gradients").full
    for size in range(len(whole) - 1, 0, -7):
        os.truncate(path, size)
        run = open_directory(tmp_path)
        assert run.problems == []
        (last,) = [end for end in [0, *records] if end <= size][-1:]
        assert (run.streams() != []) == (last >= records[2])


def test_a_flipped_byte_costs_little_and_never_gives_a_wrong_value(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.flipped"
    records = [0, *ends(whole)]
    detected = lost = 0
    for place in range(0, len(whole), 31):
        data = bytearray(whole)
        data[place] ^= 1 << place % 8
        path.write_bytes(data)
        run = open_directory(tmp_path)
        shown = check_is_right(run)
        number = next(i for i, (a, b) in enumerate(itertools.pairwise(records)) if a <= place < b)
        inside = place - records[number]
        noticed = bool(run.problems) or run.source.damaged > 0
        missing = not run.streams() or not run.timeline("gradients").full or len(shown) < STEPS
        detected += noticed or missing
        lost += STEPS - len(shown)
        if inside >= 12 and number >= 2:  # not in a length, where the rest of the file is lost
            assert noticed, place
            assert shown == set(range(STEPS)) or number == len(records) - 2 or STEPS - len(shown) <= 8, place
    assert detected > 0.9 * len(range(0, len(whole), 31))


def test_where_nobody_checks_records_damage_is_found_all_the_same(whole: bytes, tmp_path: Path) -> None:
    """As behind TensorBoard's data server, which does not look at their checksums: here they fit."""
    path = tmp_path / "events.out.tfevents.flipped"
    records = [0, *ends(whole)]
    parts = [whole[a + 12 : b - 4] for a, b in itertools.pairwise(records)]
    wrong = 0
    for number in range(2, len(parts)):
        for place in range(number % 7, len(parts[number]), 13):
            data = bytearray(parts[number])
            data[place] ^= 1 << place % 8
            path.write_bytes(b"".join(map(frame, [*parts[:number], bytes(data), *parts[number + 1 :]])))
            run = open_directory(tmp_path)
            check_is_right(run)
            wrong += bool(run.problems)
    assert wrong > 10
