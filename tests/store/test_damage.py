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
from tb_gradhealth.store.timeline import Timeline

from ..synthetic import Recording, recorded

STEPS, EVERY = 40, 2
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


def bounds(timeline: Timeline) -> list[tuple[int, int]]:
    found = [pair for span in timeline.rows(0, STEPS) for pair in zip(span.start, span.stop, strict=True)]
    return [(int(start), int(stop)) for start, stop in found]


def check_is_right(run: DirectoryRun) -> set[int]:
    """The steps that are shown; every row of them is what its steps say."""
    if not run.streams():
        return set()
    timeline, shown = run.timeline("gradients"), set[int]()
    for start, stop in bounds(timeline):
        assert not shown & set(range(start, stop))
        shown |= set(range(start, stop))
        cells = timeline.cells("norm", np.array([0, 1]), Grid(start, stop - start, 1))
        own = NORMS[start:stop]
        for view in ("mean", "min", "max"):
            expected = getattr(np, view)(own)
            assert getattr(cells, view)[:, 0] == pytest.approx([expected] * 2, rel=0.0018), (start, stop, view)
        tally = timeline.tally(np.array([0]), Grid(start, stop - start, 1))
        assert tally.recorded.tolist() == [stop - start]
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
    """The checksums of the records are right here, as for TensorBoard's data server, which does not look at them."""
    path = tmp_path / "events.out.tfevents.flipped"
    records = [0, *ends(whole)]
    detected = lost = 0
    for place in range(0, len(whole), 3):
        data = bytearray(whole)
        data[place] ^= 1 << place % 8
        path.write_bytes(data)
        run = open_directory(tmp_path)
        if run.streams():
            timeline = run.timeline("gradients")
            timeline.cells("norm", np.array([0, 1]), Grid(0, EVERY, STEPS // EVERY))  # damage comes to light when seen
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
    assert detected > 0.9 * len(range(0, len(whole), 3))


def test_flipped_bytes_behind_records_whose_checksums_fit_are_found_all_the_same(whole: bytes, tmp_path: Path) -> None:
    from tb_gradhealth.store.records import frame

    path = tmp_path / "events.out.tfevents.flipped"
    records = [0, *ends(whole)]
    parts = [whole[a + 12 : b - 4] for a, b in itertools.pairwise(records)]
    wrong = 0
    for number in range(2, len(parts)):
        for place in range(0, len(parts[number]), 5):
            data = bytearray(parts[number])
            data[place] ^= 1 << place % 8
            path.write_bytes(b"".join(map(frame, [*parts[:number], bytes(data), *parts[number + 1 :]])))
            run = open_directory(tmp_path)
            if run.streams():
                timeline = run.timeline("gradients")
                timeline.cells("norm", np.array([0, 1]), Grid(0, EVERY, STEPS // EVERY))
            check_is_right(run)
            wrong += bool(run.problems)
    assert wrong > 20
