"""The report as a file: what stands in it is what was recorded, and nothing in it is markup of a file's making."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tb_gradhealth import open_run
from tb_gradhealth.cli.command import main
from tb_gradhealth.diagnosis import Diagnosis, Evidence, Finding, diagnose
from tb_gradhealth.report.page import page
from tests.planted import BAD, EVERY, ROWS, SPIKE, Planted, planted, written
from tests.synthetic import NAMES, Recording, recorded

#: Everything that a page of ours is made of.
ELEMENTS = set(
    re.findall(
        r"\w+",
        "html head meta link title style body main header footer section article h1 h2 h3 h4 p b strong br code span "
        "a div dl dt dd ol ul li table thead tbody tr th td details summary figure img svg symbol path use image rect "
        "line text",
    )
)
NOT_FINITE = (196, 0, 150)


class Parsed(HTMLParser):
    """Elements with their attributes, and all text outside of them."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for one, attributes in self.elements if one == tag]


def pixels(address: str) -> npt.NDArray[np.uint8]:
    """``[row, column, channel]`` of a picture that is part of the page."""
    data = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Planted]:
    path = tmp_path_factory.mktemp("planted")
    return path, written(path)


def test_the_overview_shows_what_was_recorded(run: tuple[Path, Planted]) -> None:
    path, known = run
    found = Parsed(page(open_run(path), diagnose(path), "exp1"))
    picture = pixels(found.all("image")[0]["href"])
    assert picture.shape == (len(NAMES), len(ROWS), 4)
    largest = np.full((len(NAMES), len(ROWS)), np.nan)
    for tensor, name in enumerate(NAMES):
        norms = known.norm(name)
        for cell, (first, stop) in enumerate(ROWS):
            there = norms[first:stop][~np.isnan(norms[first:stop])]
            largest[tensor, cell] = there.max() if len(there) else np.nan
    bad = np.zeros(largest.shape, bool)
    for step, _, _ in BAD:
        bad[NAMES.index("embed"), step // EVERY] = True
    assert ((picture[..., :3] == NOT_FINITE).all(axis=2) == bad).all()
    assert ((picture[..., 3] == 0) == np.isnan(largest)).all()
    # Cividis grows lighter with every colour: the order of the norms is that of the lightness.
    light = picture[..., :3] @ np.array([0.2126, 0.7152, 0.0722])
    shown = ~bad & ~np.isnan(largest)
    order = np.argsort(largest[shown])
    assert (np.diff(light[shown][order]) > -1.5).all()
    assert np.ptp(light[shown]) > 150
    assert np.unravel_index(np.argmax(np.where(shown, largest, 0)), largest.shape)[1] == SPIKE // EVERY


def test_facts_verdict_and_what_was_not_looked_at(run: tuple[Path, Planted]) -> None:
    found = Parsed(page(open_run(run[0]), diagnose(run[0]), "exp1"))
    assert "NUMERICAL: a value that is not finite was used, in embed, from step 41 on." in found.text
    assert "0 to 94, a row each 10 steps" in found.text
    # Logged in each block of 7 steps: 100 − step.
    assert "best 9 in steps 90 to 94" in found.text
    assert 'streams=["spectrum"]BOTTLENECK (bottleneck)' in found.text
    assert "3 elements of gradients" in found.text


def test_it_needs_no_other_file_and_is_the_same_again(run: tuple[Path, Planted], tmp_path: Path) -> None:
    outputs = [tmp_path / name for name in ("one.html", "two.html")]
    for output in outputs:
        assert main(["report", str(run[0]), "--html", str(output)]) == 0
    content = outputs[0].read_bytes()
    assert content == outputs[1].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.html", "two.html"]
    found = Parsed(content.decode())
    for _, attributes in found.elements:
        for name in ("src", "href", "action", "srcset", "data"):
            assert attributes.get(name, "data:,").startswith(("data:", "#"))
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    assert not re.search(r"url\(|@import", content.decode())
    assert found.all("meta")[2]["content"].startswith("default-src 'none'; ")


def test_hostile_names_are_text(tmp_path: Path) -> None:
    script, image = "<script>alert(1)</script>.w", "\"'><img src=x onerror=alert(1)>\u202e"
    made = planted()
    names = (script, *made.recording.names[1:-1], image + "</style><!--")
    logged = {0: [(script, 1.0), ("loss", 1.0)], 7: [("loss", float("nan"))]}
    chosen = tuple(replace(one, label=image, unit=image) for one in made.recording.chosen)
    made.recording.again(names=names, logged=logged, chosen=chosen).write(tmp_path / "<b>" / "gradhealth")
    run = open_run(tmp_path / "<b>")
    evidence = (Evidence(image, 1.0, 2.0, script),)
    finding = Finding(image, "high", script, 5, 9, 7, evidence, (image,), (script,), image, script)
    diagnosis = replace(diagnose(run), findings=(finding, replace(finding, severity="notice")), problems=(script,))
    found = Parsed(page(run, diagnosis, "<b>" + script))
    assert {tag for tag, _ in found.elements} <= ELEMENTS
    assert {one["src"][:5] for one in found.all("img")} == {"data:"}
    assert script in found.text
    assert "\u202e" not in found.text
    assert "\"'><img src=x onerror=alert(1)>\\u202e" in found.text


def test_its_size_is_bounded(tmp_path: Path) -> None:
    """However many tensors and findings there are, and however long their names."""
    names = [f"blocks.{place}.{'x' * 300}.weight" for place in range(1500)]
    Recording(recorded(4, 1500), names, every=1).write(tmp_path / "gradhealth")
    evidence = (Evidence("x" * 5000, 1.0, 2.0, ""),)
    finding = Finding("EXPLODING", "high", names[7], 0, 3, 1, evidence, ("c" * 5000,) * 9, ("a",), "i" * 5000, "rule")
    findings = tuple(replace(finding, node=names[place], rule=f"rule {place}") for place in range(1500))
    findings += tuple(replace(one, severity="notice") for one in findings)
    findings += tuple(replace(one, follows="rule 0", rule="more") for one in findings[:1500])
    diagnosis = Diagnosis(findings, (), (0, 4), ("gradients",), ("p" * 5000,) * 1500)
    content = page(open_run(tmp_path), diagnosis, "wide")
    assert len(content.encode()) < 1_000_000
    found = Parsed(content)
    assert len(found.all("article")) == 100
    # Each tensor is in one row of the overview: the largest of each group.
    light = pixels(found.all("image")[0]["href"])[..., :3] @ np.array([0.2126, 0.7152, 0.0722])
    norms = open_run(tmp_path).read(nodes=names, view="max").values
    groups = np.split(norms, [len(norms) * at // 48 for at in range(1, 48)])
    order = np.argsort([group.max(axis=0) for group in groups], axis=None)
    assert light.shape == (48, 4)
    assert (np.diff(light.ravel()[order]) > -1.5).all()
    assert "And 1,400 more" in found.text


def test_only_a_report_is_written_over(
    run: tuple[Path, Planted], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes, link = tmp_path / "notes.html", tmp_path / "link.html"
    notes.write_text("<!doctype html><p>mine</p>")
    assert main(["report", str(run[0]), "--html", str(notes)]) == 2
    assert "exists and is no report of gradhealth's" in capsys.readouterr().err
    assert notes.read_text() == "<!doctype html><p>mine</p>"
    report = tmp_path / "report.html"
    for _ in range(2):
        assert main(["report", str(run[0]), "--html", str(report)]) == 0
    link.symlink_to(notes)
    assert main(["report", str(run[0]), "--html", str(link)]) == 2
    capsys.readouterr()
    assert main(["report", str(run[0]), "--html", str(tmp_path / "no" / "such.html")]) == 2
