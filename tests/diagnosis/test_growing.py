"""A diagnosis that goes on from where it stopped: at each look what :func:`diagnose` says of the files as they are."""

from __future__ import annotations

import itertools
import random
import shutil
import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tb_gradhealth import GradHealthWriter
from tb_gradhealth.diagnosis import RULES, Hit, Rule, View, diagnose
from tb_gradhealth.diagnosis import replay as replaying
from tb_gradhealth.diagnosis.growing import Growing
from tb_gradhealth.reading.opened import OpenRun, open_run
from tb_gradhealth.store.archive import DIRECTORY
from tests.synthetic import NAMES, Recording, gradients, measured

STEPS = 60


def _witness(view: View) -> Iterable[Hit]:
    """A finding for each row, that tells all that was fed."""
    row = view.now.row
    seen = zlib.crc32(repr((row.logged, row.notes)).encode())
    for stream, frame in sorted(row.frames.items()):
        for metric, values in sorted(frame.values.items()):
            seen = zlib.crc32(values.tobytes() + frame.whole[metric].tobytes(), seen)
        seen = zlib.crc32(frame.with_data.tobytes() + frame.first_bad.tobytes() + stream.encode(), seen)
    yield Hit(f"{row.start} to {row.stop}, {seen}", row.start, ())


WITNESS = Rule("witness", "PLATEAU", "notice", _witness, {}, (), (), "", always=True)
WATCHED = (*RULES, WITNESS)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The event file of a training that blows up, with streams of several cadences."""
    directory = tmp_path_factory.mktemp("trained")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    streams = ["updates", "spectrum"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tb_gradhealth.store.encoder.FLUSH_SECONDS", 0.0)
        GradHealthWriter(
            optimizer, model, logdir=directory, every=2, streams=streams, activations="auto", archive=False
        )
        for step in range(STEPS):
            loss = model(torch.randn(16, 8)).square().mean() * 3.0 ** max(0, step - 40)
            optimizer.zero_grad()
            loss.backward()
            optimizer.gradhealth.log(loss=loss)
            optimizer.step()
        optimizer.gradhealth.close()
    (file,) = (directory / "gradhealth").glob("*tfevents*")
    return file


def test_a_file_that_grows_in_pieces(trained: Path, tmp_path: Path) -> None:
    """Cut anywhere, in the middle of a record and between the streams of a step."""
    data = trained.read_bytes()
    cuts = sorted(random.Random(1).sample(range(len(data)), 9))
    growing, found, streams, engines = Growing(OpenRun(tmp_path), rules=WATCHED), [], set[str](), []
    for cut in (*cuts, len(data)):
        (tmp_path / trained.name).write_bytes(data[:cut])
        growing.look()
        assert growing.diagnosis == diagnose(OpenRun(tmp_path), rules=WATCHED)
        assert not growing.diagnosis.steps[1] or growing.is_closed == (cut == len(data))
        found.append(growing.settled)
        assert growing.again is None
        # It starts over where a stream comes of which nothing was known, and for no other reason.
        assert growing._engine in engines[-1:] or not streams.issuperset(growing.run.streams)
        streams.update(growing.run.streams)
        engines.append(growing._engine)
    assert growing.diagnosis.worst == "critical"
    assert growing.diagnosis.steps == (0, STEPS)
    assert [one.step for one in growing.logged] == list(range(0, STEPS, 2))
    assert len(set(found)) > 4
    assert not growing.look()


@pytest.mark.parametrize(("archive", "event_bytes"), [(False, 20_000), (True, 20_000)])
def test_both_tiers_of_a_long_run(
    tmp_path: Path, archive: bool, event_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Level 0 is given up, tails come and are replaced; the rows that are looked at become coarser under way."""
    monkeypatch.setattr("tb_gradhealth.store.events.TAIL_SECONDS", 0.0)
    monkeypatch.setattr(replaying, "MOST_ROWS", 30)
    elements = gradients(580, len(NAMES))
    elements[400:, 2, 0] = np.nan
    recording = Recording(
        measured(elements), every=2, block=30, logged={step: [("loss", 1.0)] for step in range(0, 580, 30)}
    )
    growing = Growing(OpenRun(tmp_path), rules=WATCHED)
    settled = []

    def look() -> None:
        growing.look()
        assert growing.diagnosis == diagnose(OpenRun(tmp_path), rules=WATCHED)
        settled.append(growing.settled)

    recording.write(tmp_path, archive, event_bytes, together=36, between=look)
    assert growing.is_closed
    assert {one.rule for one in growing.diagnosis.findings} >= {"nonfinite"}
    assert sum(after > before for before, after in itertools.pairwise(settled)) > 2
    assert growing._place.steps == 32


def test_a_session_that_goes_back_is_looked_at_anew(tmp_path: Path) -> None:
    elements = gradients(100, len(NAMES))
    elements[45:, 0] = np.nan
    Recording(measured(elements)).write(tmp_path)
    growing = Growing(open_run(tmp_path), rules=WATCHED)
    growing.look()
    assert growing.diagnosis.worst == "critical"
    healthy = Recording(measured(gradients(80, len(NAMES))), start=40, session="f" * 16, wall_time=1_800_000_000.0)
    healthy.write(tmp_path)
    growing.look()
    assert growing.again == 40
    assert growing.diagnosis == diagnose(tmp_path, rules=WATCHED)
    assert growing.diagnosis.steps == (0, 120)
    assert growing.diagnosis.worst != "critical"
    more = replace(healthy, start=120, session="e" * 16, wall_time=1_900_000_000.0)
    engine = growing._engine
    more.write(tmp_path)
    growing.look()
    assert growing.again is None
    assert growing._engine is engine
    assert growing.diagnosis == diagnose(tmp_path, rules=WATCHED)


def test_what_was_seen_stays_when_the_archive_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that were looked at are gone, and some that were not: of these the coarser ones are looked at."""
    monkeypatch.setattr("tb_gradhealth.store.events.TAIL_SECONDS", 1e9)
    elements = gradients(150, len(NAMES))
    elements[50, 0] = np.nan
    growing = Growing(OpenRun(tmp_path))
    engines, written = [], itertools.count(1)

    def look() -> None:
        row = next(written)
        if row == 130:
            (session,) = (tmp_path / DIRECTORY).iterdir()
            for segment in session.glob("*L0*"):
                segment.unlink()
        if row in (100, 130, 150):
            growing.look()
            engines.append(growing._engine)
            assert [one.start for one in growing.diagnosis.findings if one.rule == "nonfinite"] == [50]

    Recording(measured(elements), every=1).write(tmp_path, archive=True, event_bytes=60_000, between=look)
    assert not open_run(tmp_path).full
    assert engines[0] is engines[1] is engines[2]
    assert [one.step for one in growing.logged] == [*range(101), 112, *range(128, 150)]
    shutil.rmtree(tmp_path / DIRECTORY)
    growing.look()
    assert growing.diagnosis.worst == "critical"


def test_a_run_without_a_row(tmp_path: Path) -> None:
    growing = Growing(OpenRun(tmp_path), None, RULES)
    assert not growing.look()
    assert (growing.diagnosis.findings, growing.diagnosis.steps, growing.is_closed) == ((), (0, 0), False)
