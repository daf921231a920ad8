"""``python -m bench overhead``: every contender trains, and no figure is printed unless the gate is green."""

from __future__ import annotations

import argparse
import json
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.overhead import command as overhead
from bench.overhead import monitors
from bench.overhead.monitors import ALWAYS, CONTENDERS, Contender, Hooks, Writer
from bench.overhead.pairing import Pair, WrongResult
from bench.overhead.summary import Summary
from bench.overhead.table import show
from bench.overhead.trainings import SIZES, Size, Training
from tb_gradhealth.demo.model import GPTConfig
from tb_gradhealth.monitor import Monitor
from tb_gradhealth.parts import Part

CPU = torch.device("cpu")
TINY = Size("tiny GPT", GPTConfig(vocabulary=11, width=16, layers=1, heads=2, sequence=8), batch=2)
#: Everything that the large model does and the reference model does not.
TINY_LARGE = replace(TINY, micro_batches=2, autocast=True, tied=True)


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def compare(*contenders: Contender, size: Size = TINY, steps: int = 3) -> dict[str, Summary]:
    return {
        name: summary
        for finished in overhead.compare(size, CPU, contenders, pairs=2, steps=steps)
        for name, summary in finished.items()
    }


def command(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    overhead.add_arguments(parser)
    options = parser.parse_args(["--device", "cpu", "--pairs", "2", "--steps", "2", "--threads", "1", *arguments])
    options.run(options)


def contender(attach: Callable[[Training, Path], Any], **fields: Any) -> Contender:
    return Contender("planted", "wrong on purpose", attach, **fields)


def nothing(training: Training, directory: Path) -> None:
    pass


def test_every_contender_trains_beside_its_twin() -> None:
    summaries = compare(*CONTENDERS)
    assert list(summaries) == [one.name for one in CONTENDERS]
    for name, summary in summaries.items():
        assert summary.ratio_interval[0] <= summary.ratio <= summary.ratio_interval[1], name
        assert 0 < summary.bare_ms < math.inf, name
        assert summary.own == pytest.approx(summary.own_loop + summary.own_threads), name
    assert summaries["off"].own_loop == summaries["off"].host_ms == 0
    assert all(summaries[name].own_loop > 0 for name in ("default", "every=1", "every=100", "clip-torch", "hooks"))


def test_pairs_that_do_not_fit_at_once_train_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overhead, "_another_fits", lambda device, pairs: False)
    assert list(compare(*CONTENDERS, size=TINY_LARGE)) == [one.name for one in CONTENDERS]


def test_the_table_and_the_file_hold_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(SIZES, "reference", TINY)
    written = tmp_path / "overhead.json"
    command("--contender", "hooks", "--contender", "off", "--json", str(written))
    result, said = json.loads(written.read_text()), capsys.readouterr()
    assert "processor" in result["machine"]
    assert result["training"] == "tiny GPT, 16 tokens a step, 2 pairs of 2-step blocks"
    # The first ten steps of each twin, then the blocks.
    assert said.err == f"{result['training']}: 2 contenders, {2 * 2 * (10 + 2 * 2)} steps in all\n"
    assert set(result["contenders"]) == {"off", "hooks"}
    assert result["unfinished"] == []
    assert result["intervals"] == "range"
    speeds = [16 / (figures["bare_ms"] / 1e3) for figures in result["contenders"].values()]
    assert result["bare_tokens_per_second"] == pytest.approx(sum(speeds) / 2)
    assert f"bare step: {sum(speeds) / 2:,.0f} tokens a second" in said.out
    rows = {line.split()[0]: line for line in said.out.splitlines() if line and "%" in line}
    for name, figures in result["contenders"].items():
        for shown in (
            f"{figures['bare_ms']:.2f}",
            f"{figures['with_ms']:.2f}",
            f"{100 * (figures['ratio'] - 1):+.2f} %",
            f"{100 * figures['own']:.2f} %",
        ):
            assert shown in rows[name]


def test_a_run_that_is_ended_leaves_what_it_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(SIZES, "reference", TINY)
    monkeypatch.setattr(overhead, "_another_fits", lambda device, pairs: False)
    monkeypatch.setattr(monitors, "CONTENDERS", (CONTENDERS[0], contender(ends_the_run), CONTENDERS[1]))
    written = tmp_path / "overhead.json"
    with pytest.raises(KeyboardInterrupt):
        command("--json", str(written))
    result = json.loads(written.read_text())
    assert set(result["contenders"]) == {"off"}
    assert result["unfinished"] == ["planted", "default"]


def ends_the_run(training: Training, directory: Path) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("pairs", "kind"), [(5, "range"), (6, "95 % interval")])
def test_on_a_device_the_table_has_the_host_time_and_the_threads(
    pairs: int, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = Summary(pairs, 300.0, 301.5, 1.005, (1.001, 1.009), 0.004, 0.0123, 0.004, (0.003, 0.0045), 0.125)
    show(["1.3 B"], torch.device("cuda"), CONTENDERS, {"default": summary})
    lines = capsys.readouterr().out.splitlines()
    titles, row = (next(line.split() for line in lines if start in line) for start in ("bare ms", "default  "))
    assert " ".join(titles) == f"bare ms with ms step time {kind} own {kind} threads host ms"
    assert " ".join(row) == "default 300.00 301.50 +0.50 % 0.10 … 0.90 0.40 % 0.30 … 0.45 1.23 % 0.125"
    assert "stream of its own" in lines[-1]


def test_what_sets_the_share_is_said() -> None:
    assert overhead.described(SIZES["reference"], CPU) == ["reference GPT", "1,024 tokens a step"]
    large = ["1.3 B GPT", "16,384 tokens a step", "bf16 autocast", "deterministic algorithms"]
    assert overhead.described(SIZES["1.3b"], torch.device("cuda")) == large


def changes_gradients(training: Training, directory: Path) -> None:
    training.model.head.weight.register_hook(lambda gradient: gradient * (1 + 1e-6))


def test_a_red_gate_prints_no_figure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(SIZES, "reference", TINY)
    monkeypatch.setattr(monitors, "CONTENDERS", (CONTENDERS[0], contender(changes_gradients)))
    with pytest.raises(SystemExit, match=r"planted: expected gradient head\.weight bit-identical .* no figure"):
        command("--json", str(tmp_path / "overhead.json"))
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "overhead.json").exists()


def changes_a_parameter_later(training: Training, directory: Path) -> None:
    def once() -> None:
        if training.steps == 5:
            with torch.no_grad():
                training.model.head.weight[0, 0] += 1e-3

    training.after_step = once


def closes_early(training: Training, directory: Path) -> Writer:
    writer = Writer(training, directory)
    training.after_step = lambda: writer.close() if training.steps == 6 else None
    return writer


def misses_a_step(training: Training, directory: Path) -> Hooks:
    hooks = Hooks(training, directory)
    training.last_backward = lambda: None if training.steps == 4 else hooks.begin()
    return hooks


def warns(training: Training, directory: Path) -> None:
    warnings.warn("tb_gradhealth: plain torch does it instead", RuntimeWarning, stacklevel=1)


def scales_what_it_clipped(training: Training, directory: Path) -> None:
    clip = training.clip
    assert clip is not None

    def clip_and_scale() -> torch.Tensor:
        norm = clip()
        gradient: Any = training.model.head.weight.grad
        gradient *= 1 + 1e-4
        return norm

    training.clip = clip_and_scale


@pytest.mark.filterwarnings("ignore:tb_gradhealth")
@pytest.mark.parametrize(
    ("attach", "fields", "said"),
    [
        (changes_a_parameter_later, {}, r"planted: expected parameter \S+ bit-identical"),
        (closes_early, {}, "expected all 16 steps of every gradient .* got 7 steps and 0 problems"),
        (misses_a_step, {}, "expected all 16 steps of every gradient .* got 15 steps"),
        (warns, {}, "plain torch"),
        (
            scales_what_it_clipped,
            {"max_norm": ALWAYS, "rounds": True},
            r"expected gradient head\.weight within 1e-05",
        ),
        (nothing, {"max_norm": 50.0}, "expected each step's gradients above the norm 50, got 0 of 16"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused(
    attach: Callable[[Training, Path], Any], fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(WrongResult, match=said):
        compare(contender(attach, **fields))


@pytest.mark.filterwarnings("ignore::tb_gradhealth.monitor.GradHealthWarning")
def test_a_step_that_was_not_measured_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    measure, calls = Part.measure, []

    def fails_once(self: Part, *args: Any) -> str | None:
        calls.append(args)
        if len(calls) == 5:
            raise RuntimeError("planted")
        return measure(self, *args)

    monkeypatch.setattr(Part, "measure", fails_once)
    with pytest.raises(WrongResult, match="got 15 steps and 1 problems"):
        compare(contender(Writer))


class Recorded:
    """Stands for a pair."""

    def __init__(self, name: str, log: list[tuple[str, bool]]) -> None:
        self.contender, self._log = contender(changes_gradients), log
        self.name = name

    def measure(self, steps: int, bare_first: bool) -> str:
        self._log.append((self.name, bare_first))
        return self.name


def test_turns_are_balanced() -> None:
    log: list[tuple[str, bool]] = []
    pairs: Any = [Recorded(name, log) for name in "abc"]
    turns: Any = overhead._take_turns(pairs, 6, 1)
    assert turns == [[name] * 6 for name in "abc"]
    for name in "abc":
        places = [i % 3 for i, (who, _) in enumerate(log) if who == name]
        assert places[:3] == places[3:]
        assert sorted(places[:3]) == [0, 1, 2]
        assert [first for who, first in log if who == name] == [True, False] * 3


@pytest.mark.parametrize("name", ["default", "every=1", "exponents", "observe", "clip", "clip-torch"])
def test_the_writer_works_within_timed_calls_alone(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chosen = next(one for one in CONTENDERS if one.name == name)
    pair = Pair(chosen, TINY_LARGE, CPU, tmp_path)
    guarded: Callable[..., Any] = Monitor._guarded
    seen: list[bool] = []

    def look(self: Monitor, action: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        seen.append(pair.watched.own.inside)
        return guarded(self, action, *args, **kwargs)

    monkeypatch.setattr(Monitor, "_guarded", look)
    pair.warm_up(3)
    assert len(seen) >= 10  # each step begins, and is measured
    assert all(seen)
    monkeypatch.undo()
    pair.finish()


def test_memory_is_told_at_each_fifth(capsys: pytest.CaptureFixture[str]) -> None:
    command("--memory", "--steps", "30")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    found = lines[lines.index(["steps", "resident", "MB", "traced", "MB", "on", "disk", "MB"]) + 1 :]
    assert [line[0] for line in found] == ["6", "12", "18", "24", "30"]
    held = [[float(figure) for figure in line[1:]] for line in found]
    assert all(resident > 0 and traced > 0 for resident, traced, _ in held)  # on disk there may be nothing yet
