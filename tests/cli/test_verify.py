"""``gradhealth verify``: finds what is damaged, and says what that costs."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.compat.proto.event_pb2 import Event

from tb_gradhealth import open_run
from tb_gradhealth.cli.command import main
from tb_gradhealth.store.archive import DIRECTORY
from tb_gradhealth.store.archive_writer import ArchiveWriter
from tb_gradhealth.store.events import EventTier
from tb_gradhealth.store.format import Tag
from tb_gradhealth.store.records import EventFile, read_events
from tb_gradhealth.store.rowgroup import code
from tests.planted import EVERY, STEPS, planted
from tests.synthetic import SESSION, Recording, recorded

FIXTURES = Path(__file__).parents[1] / "fixtures"
ROWS = -(-STEPS // EVERY)

Verify = Callable[..., tuple[int, str]]


@pytest.fixture
def verify(capfd: pytest.CaptureFixture[str]) -> Verify:
    """Exit status and standard output."""

    def run(*runs: Path) -> tuple[int, str]:
        status = main(["verify", *map(str, runs)])
        said = capfd.readouterr()
        assert said.err == ""
        return status, said.out

    return run


@pytest.fixture
def run(runs: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return shutil.copytree(runs / "exp1", tmp_path / "exp1")


def file(run: Path, pattern: str) -> Path:
    (found,) = (path for path in run.rglob(pattern) if path.is_file())
    return found


def flip(path: Path, offset: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


def events(path: Path) -> list[tuple[int, Tag]]:
    """Offset and tag of each event of ours."""
    found, at = [], 0
    for event, end in read_events(path):
        assert event is not None
        found += [(at, Tag.parse(v.tag)) for v in event.summary.value if v.tag.startswith("gradhealth/")]
        at = end
    return found


def test_a_sound_run(runs: Path, verify: Verify) -> None:
    status, said = verify(runs / "exp1", runs / "deep" / "exp2")
    assert status == 0
    in_events = sum(tag.level is not None for _, tag in events(file(runs / "exp1", "*tfevents*")))
    levels = 2  # of one row group each in the archive, since both have fewer rows than one takes
    size = sum(path.stat().st_size for path in (runs / "exp1").rglob("*") if path.is_file())
    assert said.splitlines() == [
        f"{runs / 'exp1'}: {in_events + levels} row groups, {size / 1000:.0f} kB, no damage",
        f"{runs / 'deep' / 'exp2'}: {in_events} row groups, "
        f"{file(runs / 'deep', '*tfevents*').stat().st_size / 1000:.0f} kB, no damage",
    ]


@pytest.mark.parametrize("pattern", ["*tfevents*", "*.index", "*.L0-*", "*.L1-*"])
def test_any_flipped_bit_is_found(run: Path, verify: Verify, pattern: str) -> None:
    path = file(run, pattern)
    sound = path.read_bytes()
    choose = random.Random(pattern)
    for offset in {0, 8, 12, len(sound) - 1, *(choose.randrange(len(sound)) for _ in range(25))}:
        flip(path, offset, choose.randrange(8))
        status, said = verify(run)
        assert status == 1, offset
        assert path.name in said
        path.write_bytes(sound)
    assert verify(run)[0] == 0


def test_an_event_file_is_checked_behind_the_damage(run: Path, verify: Verify) -> None:
    path = file(run, "*tfevents*")
    rows = [offset for offset, tag in events(path) if tag.level == 0]
    for row in (2, 5):
        flip(path, rows[row] + 40)
    status, said = verify(run)
    assert status == 1
    assert "2 damaged places" in said
    for row in (2, 5):
        assert f"{path.name}, byte {rows[row]:,}: " in said
        assert f"lost: rows of level 0, steps [{row * EVERY}, {(row + 1) * EVERY})" in said


def test_the_last_row_of_a_level(run: Path, verify: Verify) -> None:
    path = file(run, "*tfevents*")
    last = [offset for offset, tag in events(path) if tag.level == 0][-1]
    flip(path, last + 40)
    status, said = verify(run)
    assert status == 1
    assert f"lost: rows of level 0, if any, from step {(ROWS - 1) * EVERY} on" in said


def test_a_damaged_length_ends_an_event_file(run: Path, verify: Verify) -> None:
    path = file(run, "*tfevents*")
    offset = next(offset for offset, tag in events(path) if tag.level == 0)
    flip(path, offset)
    status, said = verify(run)
    assert status == 1
    assert f"byte {offset:,}: the last {path.stat().st_size - offset} bytes are no whole record" in said


@pytest.mark.parametrize("cut", [1, 7, 200])
def test_a_file_that_was_cut_short(run: Path, verify: Verify, cut: int) -> None:
    path = file(run, "*tfevents*")
    path.write_bytes(path.read_bytes()[:-cut])
    status, said = verify(run)
    assert status == 1
    assert "cut short" in said


def test_a_row_group_of_the_archive_is_named_with_its_rows(run: Path, verify: Verify) -> None:
    path = file(run, "*.L0-*")
    flip(path, path.stat().st_size // 2)
    status, said = verify(run)
    assert status == 1
    assert f"  {path.relative_to(run / 'gradhealth')}, byte 12: " in said
    assert f"    lost: {ROWS} rows of level 0, steps [0, {STEPS})\n" in said


def test_one_copy_of_the_schema_is_enough_and_its_damage_is_told(run: Path, verify: Verify) -> None:
    flip(file(run, "*.index"), 30)
    status, said = verify(run)
    assert status == 1
    assert "1 damaged place\n" in said
    assert said.endswith("lost: no rows\n")
    assert open_run(run).full


def test_segments_without_an_index(run: Path, verify: Verify) -> None:
    file(run, "*.index").unlink()
    status, said = verify(run)
    assert status == 1
    assert said.count("there is no index that tells what is in it") == 2


def test_what_the_archive_deleted_is_no_damage(run: Path, verify: Verify) -> None:
    file(run, "*.L0-*").unlink()
    status, said = verify(run)
    assert status == 0
    assert "no damage" in said
    assert "1 row group of the archive was deleted to stay within its size" in said


def test_a_journal(tmp_path: Path, verify: Verify) -> None:
    recording = planted().recording
    directory = tmp_path / "gradhealth"
    directory.mkdir()
    writer = ArchiveWriter(directory / DIRECTORY, recording.schema, None)
    for row in recording.rows()[:5]:
        writer.add(code(row, 0, recording.schema))
    writer.flush()  # and the process is killed
    status, said = verify(tmp_path)
    assert status == 0
    assert ": 5 row groups, " in said
    journal = file(tmp_path, "*.journal-*")
    size = journal.stat().st_size // 5
    flip(journal, 2 * size + 50)
    status, said = verify(tmp_path)
    assert status == 1
    assert f"{journal.name}, byte " in said
    assert f"lost: rows of level 0, steps [{2 * EVERY}, {3 * EVERY})" in said


def test_links_in_an_archive_are_not_followed(run: Path, verify: Verify) -> None:
    index = file(run, "*.index")
    index.rename(run / "elsewhere")
    index.symlink_to(run / "elsewhere")
    status, said = verify(run)
    assert status == 1
    assert "there is no index" in said


def test_one_damaged_run_of_several(run: Path, runs: Path, verify: Verify) -> None:
    flip(file(run, "*.L0-*"), 100)
    status, said = verify(run, runs / "deep" / "exp2")
    assert status == 1
    assert said.splitlines()[-1].endswith("no damage")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_runs_of_every_format(verify: Verify, tmp_path: Path, version: str) -> None:
    status, said = verify(FIXTURES / version)
    assert (status, "no damage" in said) == (0, True)
    copy = shutil.copytree(FIXTURES / version, tmp_path / version)
    path = min(copy.glob("*tfevents*"))
    flip(path, events(path)[-1][0] + 60)
    assert verify(copy)[0] == 1


def test_a_checksum_within_a_sound_record(tmp_path: Path, verify: Verify) -> None:
    """What a data server hands on after it has written the records anew."""
    recording = Recording(recorded(20))

    class Flipping(EventFile):
        def append(self, event: Event) -> None:
            for value in event.summary.value:
                if value.tag == str(Tag(SESSION, "gradients", 0, 0)):
                    data = bytearray(value.tensor.tensor_content)
                    data[-1] ^= 1
                    value.tensor.tensor_content = bytes(data)
            super().append(event)

    tier = EventTier(Flipping(tmp_path / "gradhealth", SESSION), recording.schema, 1 << 20)
    for row in recording.rows():
        tier.add(row, code(row, 0, recording.schema), 0)
    tier.flush()
    status, said = verify(tmp_path)
    assert status == 1
    assert "checksum of chunk" in said
