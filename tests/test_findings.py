"""Findings of sessions that continue each other, put together."""

from __future__ import annotations

from dataclasses import replace

from tb_gradhealth.findings import GAP_ROWS, Evidence, Finding, stitched

EVERY = 5
ONE = Finding(
    "UNSTABLE", "medium", "a.b", 30, 60, 41, (Evidence("ratio", 0.2, 0.14, ""),), ("a",), (), "", "large_updates"
)
AGAIN = replace(ONE, start=62, stop=80, detected=70, evidence=(Evidence("ratio", 0.3, 0.14, ""),))


def together(*found: Finding, start: int = 60) -> tuple[Finding, ...]:
    return stitched([(0, EVERY, [ONE]), (start, EVERY, found)])


def test_what_is_found_again_behind_a_restart_goes_on() -> None:
    assert together(AGAIN) == together(replace(AGAIN, severity="notice")) == (replace(ONE, stop=80),)
    # From a checkpoint before the end of what was recorded.
    assert together(replace(AGAIN, start=52), start=52) == (replace(ONE, stop=80),)


def test_what_got_graver_says_when() -> None:
    assert together(replace(AGAIN, severity="high")) == (replace(AGAIN, severity="high", start=30),)


def test_what_comes_back_late_or_is_another_is_one_of_its_own() -> None:
    late = replace(AGAIN, start=61 + GAP_ROWS * EVERY, stop=300, detected=290)
    for one in (late, replace(AGAIN, node="c"), replace(AGAIN, rule="norm_spikes"), replace(AGAIN, type="DEAD")):
        assert together(one) == (ONE, one)
    second = replace(AGAIN, start=100, stop=120, detected=110)
    assert together(AGAIN, second) == (replace(ONE, stop=80), second)


def test_what_was_overwritten_is_gone() -> None:
    assert together(start=41) == ()
    assert together(start=42) == (replace(ONE, stop=42),)
    assert together(replace(AGAIN, start=35), start=35) == (replace(AGAIN, start=35),)
