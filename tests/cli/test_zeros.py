"""``gradhealth zeros``: shares of zeros, held against the elements themselves in float64."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from gradhealth_kernels.statistics import neutral
from tb_gradhealth.cli.command import main
from tb_gradhealth.cli.watched import Watched
from tb_gradhealth.cli.zeros import ZerosFile
from tb_gradhealth.diagnosis import RULES
from tb_gradhealth.diagnosis.growing import Growing
from tb_gradhealth.reading.opened import OpenRun
from tb_gradhealth.store.format import Schema
from tests.synthetic import Recording, measured, recorded

EVERY, STEPS, N, WINDOW = 5, 115, 40, 20
#: Of in_proj_bias a third is zero in health; embedding rows are absent; the sizes differ, which a module's share has to
#: mind.
SIZES = {
    "tok_embed.weight": 60,
    "attn.in_proj_weight": 48,
    "attn.in_proj_bias": 12,
    "temporal_projection.weight": 30,
    "head.weight": 7,
}
NEAR = 1e-8
#: head.weight has no gradient in these steps.
MISSING = (90, 105)
#: Of a fraction, in the files (docs/format.md).
ERROR = 6e-4

Values = npt.NDArray[np.float64]


def planted() -> dict[str, Values]:
    """``[step, element]`` of each tensor."""
    generator = np.random.default_rng(3)
    found = {}
    for name, size in SIZES.items():
        elements = generator.standard_normal((STEPS, size))
        share = np.linspace(0.02, 0.5, STEPS) if name.startswith("temporal") else np.full(STEPS, 0.03)
        share = np.full(STEPS, 0.8) if "embed" in name else share
        elements[generator.random((STEPS, size)) < share[:, None]] = 1e-9
        if name.endswith("in_proj_bias"):
            elements[:, 4:8] = 0.0
        found[name] = elements
    found["head.weight"][slice(*MISSING)] = np.nan
    return found


class _Shaped(Recording):
    @property
    def schema(self) -> Schema:
        """With the two dimensions that weights have."""
        found = super().schema
        nodes = (
            replace(node, shape=(*node.shape, 1)) if node.shape and node.name.endswith("weight") else node
            for node in found.nodes
        )
        return replace(found, nodes=tuple(nodes))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("zeros")
    elements = planted()
    entries = np.concatenate([measured(tensor[:, None, :]) for tensor in elements.values()], axis=1)
    entries[slice(*MISSING), list(SIZES).index("head.weight")] = neutral((1,))
    _Shaped(entries, names=tuple(SIZES), every=EVERY).write(directory / "gradhealth", archive=True)
    return directory


def expected(node: str, start: int, stop: int, near: float = NEAR) -> float:
    """The mean over the steps that have any element of the share of zeros among them."""
    tensors = [one for name, one in planted().items() if node in ("", name) or name.startswith(f"{node}.")]
    shares = []
    for step in range(start, stop):
        elements = np.concatenate([tensor[step] for tensor in tensors if not np.isnan(tensor[step]).all()] or [[]])
        if len(elements):
            shares.append(float((np.abs(elements) < near).mean()) if near else float((elements == 0).mean()))
    return float(np.mean(shares)) if shares else float("nan")


def table(run: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, str]]:
    assert main(["zeros", str(run), "--every", str(N), "--window", str(WINDOW), "--format", "csv", *arguments]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


@pytest.mark.parametrize(("metric", "near"), [("near_zero_fraction", NEAR), ("zero_fraction", 0.0)])
def test_shares_are_those_of_the_elements(
    run: Path, capsys: pytest.CaptureFixture[str], metric: str, near: float
) -> None:
    lines = table(run, capsys, "--metric", metric)
    intervals = [(20, 40), (60, 80), (95, 115)]
    nodes = list(dict.fromkeys(line["node"] for line in lines))
    assert set(nodes) > {"", "attn", *SIZES}
    assert [int(line["step"]) for line in lines[:: len(nodes)]] == [39, 79, 114]
    first: dict[str, float] = {}
    before: dict[str, float] = {}
    for line, (start, stop) in zip(lines, np.repeat(intervals, len(nodes), axis=0).tolist(), strict=True):
        node = line["node"]
        share = expected(node, start, stop, near)
        assert (int(line["start"]), int(line["stop"])) == (start, stop)
        assert float(line["share"]) == pytest.approx(share, abs=ERROR)
        assert float(line["first"]) == pytest.approx(first.setdefault(node, share), abs=ERROR)
        assert (line["change"] == "") == (node not in before)
        if node in before:
            assert float(line["change"]) == pytest.approx(share - before[node], abs=2 * ERROR)
        before[node] = share


def test_marks(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Published bands, 30 % for a temporal projection, but for what is zero by design."""
    marks = {(line["step"], line["node"]): line["mark"] for line in table(run, capsys)}
    assert [marks[step, "temporal_projection.weight"] for step in ("39", "79", "114")] == [
        "alert",
        "critical",
        "critical",
    ]
    for node in ("attn.in_proj_bias", "tok_embed.weight"):
        assert marks["39", node] == "by design"
    for node in ("attn.in_proj_weight", "head.weight"):
        assert marks["39", node] == ""
    # Most of the whole model's zeros are those of the embedding; without it there are about 16 %.
    assert marks["39", ""] == "alert"
    assert marks["114", ""] == "critical"


def test_as_a_text(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "zeros.txt"
    command = ["zeros", str(run), "--every", str(N), "--window", str(WINDOW), "--min", "20%", "--sort", "share"]
    assert main([*command, "-o", str(file)]) == 0
    lines = file.read_text().splitlines()
    assert lines[0] == f"Near-zero fraction of Gradients (applied) in {run}, percent"
    assert lines[2].startswith("alert: above 5 %; critical: above 10 % or 20 % or 30 %, by component.")
    block = lines[lines.index("step 114: mean of the steps 95 to 114") :]
    assert block[1].split() == ["share", "first", "change", "mark", "name"]
    shown = [line.split() for line in block[2:-1]]
    shares = [float(line[0]) for line in shown]
    assert shares == sorted(shares, reverse=True)
    assert min(shares) >= 20
    assert shown[0][3:] == ["by", "design", "tok_embed/"]
    (temporal,) = (line for line in shown if line[-1] == "temporal_projection.weight")
    share, first, change = (expected("temporal_projection.weight", *steps) for steps in ((95, 115), (20, 40), (60, 80)))
    assert [float(word) for word in temporal[:3]] == pytest.approx(
        [100 * share, 100 * first, 100 * (share - change)], abs=0.2
    )
    assert block[-1] == f"{10 - len(shown)} more below 20 %"


def test_what_there_is_not(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zeros", str(run), "--metric", "norm"]) == 2
    assert "metric: expected one of near_zero_fraction, zero_fraction, " in capsys.readouterr().err
    assert main(["zeros", str(run), "--every", "0"]) == 2
    assert "every: expected 1 or more, got 0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["zeros", str(run), "--min", "many"])
    assert "expected a share such as 5% or 0.05, got 'many'" in capsys.readouterr().err


def test_beside_a_watch(run: Path, tmp_path: Path) -> None:
    """The same blocks as those of the command, as soon as their steps are there; and anew where a session goes back."""
    appended, written = tmp_path / "live.txt", tmp_path / "zeros.txt"
    root = tmp_path / "run"
    watched = Watched(str(root), Growing(OpenRun(root / "gradhealth")), 0.0)
    zeros = ZerosFile(str(N), str(appended), RULES)
    blocks = []

    def look() -> None:
        watched.look(lambda done, total: None)
        zeros.write(watched, False)
        blocks.append(appended.read_text().count("\nstep ") if appended.exists() else 0)

    elements = recorded(STEPS)
    Recording(elements, every=EVERY).write(root / "gradhealth", between=look)
    zeros.write(watched, True)
    assert blocks[7:10] == [0, 1, 1]
    assert blocks[-1] == 2
    main(["zeros", str(root), "--every", str(N), "--window", str(N), "-o", str(written)])
    assert appended.read_text() == written.read_text()
    Recording(elements[:60], start=50, every=EVERY, session="f" * 16, wall_time=1.8e9).write(root / "gradhealth")
    watched.look(lambda done, total: None)
    zeros.write(watched, True)
    main(["zeros", str(root), "--every", str(N), "--window", str(N), "-o", str(written)])
    (again,) = re.findall(r"\na session began again at step 50\n(.*)", appended.read_text(), re.DOTALL)
    assert re.findall("step .*: .*", again) == re.findall("step .*: .*", written.read_text())[1:]
