"""What reaches a terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tb_gradhealth.cli import terminal
from tb_gradhealth.cli.terminal import Progress, bar, coloured, printable, size


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(some.text(some.characters(exclude_categories=[])))
def test_no_character_commands_the_terminal(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()


@given(some.text("abc ÄÖ漢.[0]_=", max_size=30), some.integers(1, 40))
def test_ordinary_names_stay_as_they_are(text: str, most: int) -> None:
    assert printable(text) == text
    assert len(printable(text, most)) == min(len(text), most)


def test_what_is_spelled_out() -> None:
    assert printable("a\x1b[31m\r\n\u202eb\x9b\ud800") == r"a\x1b[31m\r\n\u202eb\x9b\ud800"


def test_colours_only_on_a_terminal_that_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert coloured("x", "red", Terminal()) == "\x1b[31mx\x1b[0m"
    assert coloured("x", "red", io.StringIO()) == "x"
    monkeypatch.setenv("TERM", "dumb")
    assert coloured("x", "red", Terminal()) == "x"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert coloured("x", "red", Terminal()) == "x"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_949, "9.9 kB"),
        (9_950, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (32 << 20, "34 MB"),
        (5_000_000_000, "5.0 GB"),
        (1_234_000_000_000, "1.2 TB"),
        (1_234_000_000_000_000, "1,234.0 TB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def test_a_bar() -> None:
    assert [bar(share).count("#") for share in (0.0, 0.5, 1.0)] == [0, 12, 24]
    assert {len(bar(share)) for share in (0.0, 0.3, 1.0)} == {26}


def test_progress_is_one_line_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(terminal, "REDRAW_SECONDS", 0.0)
    stream = Terminal()
    with Progress("verify a\x1bb", stream) as progress:
        progress.counted(1234, "files")
        progress(1, 4)
    assert stream.getvalue().startswith("\r\x1b[Kverify a\\x1bb  1,234 files\r\x1b[K")
    assert "[######..................]  25 %  0:00 left" in stream.getvalue()
    assert stream.getvalue().endswith("left\r\x1b[K")
    assert "\n" not in stream.getvalue()


def test_what_is_quick_shows_no_progress() -> None:
    stream = Terminal()
    with Progress("ls", stream) as progress:
        progress(1, 2)
    assert stream.getvalue() == ""


def test_progress_needs_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "QUIET_SECONDS", 0.0)
    stream = io.StringIO()
    with Progress("ls", stream) as progress:
        progress(1, 2)
    assert stream.getvalue() == ""
