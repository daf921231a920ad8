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
from bench.overhead.hooks import GradientHooks
from bench.overhead.monitors import ALWAYS, CONTENDERS, Contender, Hooks, Writer
from bench.overhead.pairing import Pair, WrongResult
from bench.overhead.summary import Summary
from bench.overhead.trainings import SIZES, Size, Training, deterministic
from gradhealth_kernels import metrics
from gradhealth_kernels.launch import StepRing
from tb_gradhealth.demo.model import GPT, GPTConfig
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
    return overhead.compare(size, CPU, contenders, pairs=2, steps=steps)


def command(*arguments: str) -> None:
    parser = argparse.ArgumentParser()
    overhead.add_arguments(parser)
    options = parser.parse_args([*arguments, "--device", "cpu", "--threads", "1"])
    options.run(options)


def contender(attach: Callable[[Training, Path], Any], **fields: Any) -> Contender:
    return Contender("planted", "wrong on purpose", attach, **fields)


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
    command("--pairs", "2", "--steps", "2", "--contender", "hooks", "--contender", "off", "--json", str(written))
    result = json.loads(written.read_text())
    assert "processor" in result["machine"]
    assert result["training"] == "tiny GPT, 16 tokens a step, 2 pairs of 2-step blocks"
    assert set(result["contenders"]) == {"off", "hooks"}
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line and "%" in line}
    for name, figures in result["contenders"].items():
        for shown in (
            f"{figures['bare_ms']:.2f}",
            f"{figures['with_ms']:.2f}",
            f"{100 * (figures['ratio'] - 1):+.2f} %",
            f"{100 * figures['own']:.2f} %",
        ):
            assert shown in rows[name]


def test_on_a_device_the_table_has_the_host_time(capsys: pytest.CaptureFixture[str]) -> None:
    summary = Summary(300.0, 301.5, 1.005, (1.001, 1.009), 0.004, 0.0, 0.004, (0.003, 0.0045), 0.125)
    overhead.show("1.3 B", torch.device("cuda"), {"default": summary})
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("default  "))
    expected = "default 300.00 301.50 +0.50 % 0.10 … 0.90 0.40 % 0.30 … 0.45 0.125"
    assert row.split() == expected.split()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--contender", "nothing"], "every=100"), (["--pairs", "1"], "at least 2"), (["--steps", "0"], "at least 1")],
)
def test_wrong_arguments_are_named(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        command(*arguments)
    assert said in f"{raised.value} {capsys.readouterr().err}"


def changes_gradients(training: Training, directory: Path) -> None:
    training.model.head.weight.register_hook(lambda gradient: gradient * (1 + 1e-6))


def test_a_red_gate_prints_no_figure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(SIZES, "reference", TINY)
    monkeypatch.setattr(monitors, "CONTENDERS", (CONTENDERS[0], contender(changes_gradients)))
    with pytest.raises(SystemExit, match=r"planted: expected gradient head\.weight bit-identical .* no figure"):
        command("--pairs", "2", "--steps", "2", "--json", str(tmp_path / "overhead.json"))
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "overhead.json").exists()


def test_a_parameter_that_changes_later_is_refused() -> None:
    def attach(training: Training, directory: Path) -> None:
        def once() -> None:
            if training.steps == 5:
                with torch.no_grad():
                    training.model.head.weight[0, 0] += 1e-3

        training.after_step = once

    with pytest.raises(WrongResult, match=r"planted: expected parameter \S+ bit-identical"):
        compare(contender(attach))


def test_steps_that_are_not_in_the_file_are_refused() -> None:
    def attach(training: Training, directory: Path) -> Writer:
        writer = Writer(training, directory)
        training.after_step = lambda: writer.close() if training.steps == 6 else None
        return writer

    with pytest.raises(WrongResult, match=r"expected all 16 steps of every gradient .* got 7 steps and 0 problems"):
        compare(contender(attach))


def test_hooks_that_miss_a_step_are_refused() -> None:
    def attach(training: Training, directory: Path) -> Hooks:
        hooks = Hooks(training, directory)
        training.last_backward = lambda: None if training.steps == 4 else hooks.begin()
        return hooks

    with pytest.raises(WrongResult, match=r"expected all 16 steps of every gradient .* got 15 steps"):
        compare(contender(attach))


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


@pytest.mark.filterwarnings("ignore:tb_gradhealth")
def test_a_writer_that_warns_is_refused() -> None:
    def attach(training: Training, directory: Path) -> None:
        warnings.warn("tb_gradhealth: measuring with plain torch instead", RuntimeWarning, stacklevel=1)

    with pytest.raises(WrongResult, match="plain torch"):
        compare(contender(attach))


def test_clipping_that_is_off_is_refused() -> None:
    def attach(training: Training, directory: Path) -> None:
        clip = training.clip
        assert clip is not None

        def clip_and_scale() -> torch.Tensor:
            norm = clip()
            gradient: Any = training.model.head.weight.grad
            gradient *= 1 + 1e-4
            return norm

        training.clip = clip_and_scale

    with pytest.raises(WrongResult, match=r"expected gradient head\.weight within 1e-05"):
        compare(contender(attach, max_norm=ALWAYS, rounds=True))


def test_clipping_that_does_not_happen_is_refused() -> None:
    with pytest.raises(WrongResult, match="expected each step's gradients above the norm 50, got 0 of 16"):
        compare(contender(lambda training, directory: None, max_norm=50.0))


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


@pytest.mark.parametrize("name", ["default", "every=1", "clip", "clip-torch"])
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


def test_hooks_write_what_the_writer_measures(tmp_path: Path) -> None:
    training = Training(TINY_LARGE, CPU)
    hooks = GradientHooks(training.model, tmp_path)
    entries: list[Any] = []
    named = dict(training.model.named_parameters())

    def keep() -> None:
        ring = StepRing(len(named), 1)
        ring.measure_gradients(0, list(named.values()))
        entries.append(ring.take(1).entries()[0])
        hooks.next_step()

    training.last_backward = lambda: setattr(hooks, "due", True)
    training.after_step = keep
    training.advance(2)
    hooks.close()
    written = hooks.written()
    assert len(written) == 2 * 5 * len(named)
    assert hooks.steps() == 2
    for step, measured in enumerate(entries):
        expected = {
            "norm": metrics.norm(measured),
            "mean": metrics.mean(measured),
            "max": measured["abs_max"],
            "zero_fraction": measured["zero"] / measured["count"],
            "nan": measured["nan"],
        }
        for figure, values in expected.items():
            found = [written[f"{figure}/{name}", step] for name in named]
            assert found == pytest.approx(list(values), rel=1e-5, abs=1e-9), figure
    # Tokens that did not come up: without zeros the comparison would say little.
    assert entries[0]["zero"].sum() > 0


def test_the_large_model_is_the_one_of_the_issue() -> None:
    size = SIZES["1.3b"]
    width, layers, vocabulary, sequence = 2048, 24, 50_304, 1024
    with torch.device("meta"):
        model = GPT(size.config)
    model.head.weight = model.embedding.weight
    # Attention 4 w², MLP 8 w² + 5 w, two norms of 2 w; then embedding, positions and the last norm.
    expected = layers * (12 * width**2 + 9 * width) + (vocabulary + sequence + 2) * width
    assert sum(p.numel() for p in model.parameters()) == expected
    assert size.tokens == 16_384
    assert size.autocast
    assert size.tied
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_deterministic_algorithms_are_left_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    settings: Any = torch.utils.deterministic
    with deterministic(torch.device("cuda")):
        assert torch.are_deterministic_algorithms_enabled()
        assert not settings.fill_uninitialized_memory
    assert not torch.are_deterministic_algorithms_enabled()
    assert settings.fill_uninitialized_memory
