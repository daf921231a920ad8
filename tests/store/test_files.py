"""Event files that cannot be read cost themselves alone, for as long as they cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tb_gradhealth.store.files import FileSource, event_files
from tb_gradhealth.store.reader import Run, open_directory

from ..synthetic import Recording, recorded


def test_a_file_that_is_gone_when_it_is_opened_costs_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Recording(recorded(30)).write(tmp_path)
    gone = tmp_path / "events.out.tfevents.0000000001.x"
    monkeypatch.setattr("tb_gradhealth.store.files.event_files", lambda directory: [gone, *event_files(directory)])
    assert open_directory(tmp_path).timeline("gradients").end == 30
    source = FileSource(tmp_path)
    assert len(source.tags()) > 1
    assert source.problems == [
        f"1 event files could not be read and are tried again ({gone.name}: No such file or directory)"
    ]


def test_a_file_that_becomes_readable_is_read_and_no_problem_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = Recording(recorded(30)), Recording(recorded(20), start=30, session="f" * 16, wall_time=1.8e9)
    denied = one.write(tmp_path)
    other.write(tmp_path)
    opened = Path.open

    def refuse(self: Path, *args: Any, **options: Any) -> Any:
        if self == denied:
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *args, **options)

    run, source = Run(), FileSource(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refuse)
        run.update(source)
    assert (run.timeline("gradients").first, run.timeline("gradients").end) == (30, 50)
    (problem,) = source.problems
    assert problem.endswith(f"({denied.name}: Permission denied)")
    run.update(source)
    assert (run.timeline("gradients").first, run.timeline("gradients").end) == (0, 50)
    assert source.problems == []
