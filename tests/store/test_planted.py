"""Nothing that happens at one step of one tensor is lost, at any zoom."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from gradhealth_kernels.metrics import select
from gradhealth_kernels.statistics import Entries, neutral
from tb_gradhealth.store.cells import BAD, NO_GRADIENT, Grid
from tb_gradhealth.store.reader import open_directory
from tb_gradhealth.store.timeline import Timeline

from ..synthetic import Recording, history

STEPS, EVERY, PLANTS = 5120, 10, 100
NAMES = tuple(f"layer{i}.{part}" for i in range(6) for part in ("weight", "bias"))
SPIKE, DROP = 1e6, 1e-9


def planted() -> tuple[Entries, dict[str, list[tuple[int, int]]]]:
    """Norms between 0.5 and 2, and for each kind of accident ``(step, tensor)`` of each."""
    generator = np.random.default_rng(7)
    entries = neutral((STEPS, len(NAMES)))
    entries["count"] = 100
    entries["sum_sq"] = generator.uniform(0.25, 4, entries.shape)
    places = generator.choice(entries.size, 4 * PLANTS, replace=False)
    steps, tensors = np.divmod(places, len(NAMES))
    plants = {}
    for kind, at in zip(("spike", "drop", "nan", "absent"), np.split(np.arange(4 * PLANTS), 4), strict=True):
        plants[kind] = list(zip(steps[at].tolist(), tensors[at].tolist(), strict=True))
    entries["sum_sq"][tuple(zip(*plants["spike"], strict=True))] = SPIKE**2
    entries["sum_sq"][tuple(zip(*plants["drop"], strict=True))] = DROP**2
    entries["nan"][tuple(zip(*plants["nan"], strict=True))] = 1
    entries[tuple(zip(*plants["absent"], strict=True))] = 0
    return entries, plants


@pytest.fixture(scope="module", params=["finest", "all levels"])
def timeline(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Timeline:
    recording = Recording(planted()[0], names=NAMES, every=EVERY, block=10, chosen=select(["norm"]))
    if request.param == "finest":
        return history(recording)
    directory = tmp_path_factory.mktemp("planted")
    recording.write(directory, together=100)
    return open_directory(directory).timeline("gradients")


@pytest.mark.parametrize("level", range(10))
def test_every_planted_step_shows_in_its_cell_and_in_no_other(timeline: Timeline, level: int) -> None:
    plants = planted()[1]
    width = EVERY << level
    grid = Grid(0, width, -(-STEPS // width))
    nodes = np.array([timeline.tree.names.index(name) for name in NAMES])
    cells, tally = timeline.cells("norm", nodes, grid), timeline.tally(nodes, grid)

    def where(kind: str) -> set[tuple[int, int]]:
        return {(tensor, step // width) for step, tensor in plants[kind]}

    def shown(mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> set[tuple[int, int]]:
        return {(int(tensor), int(cell)) for tensor, cell in np.argwhere(mask)}

    assert shown(cells.max > 0.99 * SPIKE) == where("spike")
    assert shown(cells.min < 1.01 * DROP) == where("drop")
    assert shown(tally.counts["nan"] > 0) == where("nan")
    assert shown(tally.with_data < tally.recorded) == where("absent")
    first = {at: min(s for s, t in plants["nan"] if (t, s // width) == at) for at in where("nan")}
    assert all(tally.first_bad[at] == step for at, step in first.items())


@pytest.mark.parametrize("level", range(10))
def test_the_worst_tensor_inside_the_whole_model_is_the_planted_one(timeline: Timeline, level: int) -> None:
    plants = planted()[1]["spike"]
    width = EVERY << level
    grid = Grid(0, width, -(-STEPS // width))
    hit = {step // width for step, _ in plants}
    worst = timeline.worst("norm", np.array([0]), grid)[0]
    assert set(np.flatnonzero(worst > 0.99 * SPIKE).tolist()) == hit
    for cell in sorted(hit)[:20]:
        named = timeline.worst_row("norm", 0, Grid(cell * width, width, 1))
        assert named is not None
        tensor, start, stop = named
        name = timeline.tree.names[tensor]
        assert any(NAMES[t] == name and start <= step < stop for step, t in plants)
        assert stop - start == EVERY


def test_in_an_overview_every_planted_step_is_somewhere(tmp_path: Path) -> None:
    """What had no room in full is in coarser rows."""
    recording = Recording(planted()[0], names=NAMES, every=EVERY, block=10, chosen=select(["norm"]))
    recording.write(tmp_path, event_bytes=60_000)
    timeline, plants = open_directory(tmp_path).timeline("gradients"), planted()[1]
    assert not timeline.full
    nodes = np.array([timeline.tree.names.index(name) for name in NAMES])
    spans = [pair for span in timeline.rows(0, STEPS) for pair in zip(span.start, span.stop, strict=True)]
    assert all(one[1] == other[0] for one, other in itertools.pairwise(spans))
    assert (spans[0][0], spans[-1][1]) == (0, STEPS)
    for step, tensor in plants["spike"]:
        assert timeline.cells("norm", nodes[[tensor]], Grid(step, 1, 1)).max[0, 0] > 0.99 * SPIKE
    for step, tensor in plants["drop"]:
        assert timeline.cells("norm", nodes[[tensor]], Grid(step, 1, 1)).min[0, 0] < 1.01 * DROP
    for kind, bit in (("nan", BAD["nan"]), ("absent", NO_GRADIENT)):
        for step, tensor in plants[kind]:
            assert timeline.flags(nodes[[tensor]], Grid(step, 1, 1))[0, 0] & bit
