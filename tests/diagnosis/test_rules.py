"""Each rule on made-up rows: where it fires and at which step, and that it does not on the innocent beside it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tb_gradhealth.diagnosis import RULES, Tensors

from .made import INPUT, MODULES, NAMES, OUTPUT, SHAPES, TENSORS, Step, at, found, healthy, with_figure

SIZE = len(NAMES)
#: Norms of torch's default initialisation: sqrt(count / (3 fan_in)).
DEFAULT = math.sqrt(32 / 3)
HEADS = {**TENSORS, "attention": Tensors(("blocks.0.attn.head0",), ((8, 8),), ("float32",))}


def weights(share: float) -> tuple[float, ...]:
    """Norms of the weights, as a share of the default."""
    return (*(share * DEFAULT,) * (SIZE - 1), share * math.sqrt(4 / 3))


def gradients(rms: tuple[float, ...], norm: tuple[float, ...]) -> Step:
    return with_figure("gradients", "norm", norm, with_figure("gradients", "rms", rms))


def tanh(mean_abs: float, std: float) -> Step:
    """The first activation function is a tanh, of such a size, behind a layer of such a spread."""
    step = with_figure("activations", "minimum", (-9, -1, -2, 0, -2, 0, -2))
    step = with_figure("activations", "maximum", (9, 1, 2, 2, 2, 2, 2), step)
    step = with_figure("activations", "limit_fraction", at(0.01, 1, of=7, others=math.nan), step)
    step = with_figure("activations", "mean_abs", at(mean_abs, 1, of=7, others=0.4), step)
    return with_figure("activations", "std", at(std, 0, of=7, others=0.5), step)


def dead(share: float, place: int, loss: float = 1.0) -> Step:
    step = Step(logged={"loss": loss})
    return with_figure("activations", "dead_unit_fraction", at(share, place, of=7, others=0.0), step)


#: Rule → rows of a step each; type, severity and node; the step it began, the one it was said at.
SICK: dict[str, tuple[list[Step], str, str, str, int, int]] = {
    "nonfinite": (
        [*healthy(7), Step(bad={"gradients": ("net.0.weight", "net.2.weight")})],
        "NUMERICAL",
        "critical",
        "net.2.weight",
        7,
        7,
    ),
    "nonfinite_held_out": (
        [*healthy(7), Step(logged={"val_loss": math.nan}), *healthy(9), Step(logged={"val_loss": math.nan})],
        "NUMERICAL",
        "high",
        "",
        7,
        17,
    ),
    "nonfinite_loss": (
        [*healthy(7), Step(logged={"loss": math.inf})],
        "NUMERICAL",
        "notice",
        "",
        7,
        7,
    ),
    "skipped_steps": (
        [step for _ in range(20) for step in (Step(), Step(skipped=True))],
        "NUMERICAL",
        "critical",
        "",
        0,
        19,
    ),
    "norm_jump": (
        [*healthy(30), *(Step(whole={("gradients", "norm"): 0.2 * 12.5}) for _ in range(3))],
        "EXPLODING",
        "critical",
        "",
        31,
        31,
    ),
    "norm_spikes": (
        [Step(whole={("gradients", "norm"): 0.2 * (60.0 if step in (30, 45) else 1.0)}) for step in range(46)],
        "UNSTABLE",
        "medium",
        "",
        30,
        45,
    ),
    "input_outliers": (
        [with_figure("inputs", "std", 30.0 if step in (8, 12) else 1.0) for step in range(14)],
        "SCALE_MISMATCH",
        "medium",
        "net.0",
        8,
        13,
    ),
    "held_weight": (
        [
            with_figure("updates", "norm", 0.1, with_figure("weights", "norm", at(0.1, 2, of=SIZE, others=3.0)))
            for _ in range(20)
        ],
        "VANISHING",
        "critical",
        "net.2.weight",
        0,
        19,
    ),
    "loss_growth": (
        [*healthy(30), *(with_figure("updates", "norm", 0.5, Step(logged={"loss": 2.6})) for _ in range(4))],
        "EXPLODING",
        "critical",
        "",
        32,
        33,
    ),
    "norm_and_loss": (
        [*healthy(30), *(Step(logged={"loss": 1.2}, whole={("gradients", "norm"): 8.1}) for _ in range(4))],
        "EXPLODING",
        "critical",
        "",
        32,
        32,
    ),
    "weight_growth": (
        [*healthy(5), with_figure("weights", "norm", at(6.1 * DEFAULT, 2, of=SIZE, others=1.0))],
        "EXPLODING",
        "critical",
        "net.2.weight",
        5,
        5,
    ),
    "large_start": (
        [with_figure("weights", "norm", weights(3.1))],
        "EXPLODING",
        "critical",
        "net.0.weight",
        0,
        0,
    ),
    "depth_growth": (
        [gradients(at(0.2, 0, of=SIZE, others=0.01), at(2.0, 0, of=SIZE, others=0.1)) for _ in range(12)],
        "EXPLODING",
        "critical",
        "net.0.weight",
        0,
        9,
    ),
    "depth_drop": (
        [
            gradients(at(0.9e-5, 0, 1, 2, of=SIZE, others=0.01), at(1e-4, 0, 1, 2, of=SIZE, others=0.1))
            for _ in range(20)
        ],
        "VANISHING",
        "critical",
        "net.0.weight",
        0,
        17,
    ),
    "small_start": (
        [with_figure("weights", "norm", weights(0.3), with_figure("activations", "rms", 0.02))],
        "VANISHING",
        "critical",
        "net.0.weight",
        0,
        0,
    ),
    "weight_shrink": (
        [*healthy(5), *(with_figure("weights", "norm", at(0.1, 2, 4, of=SIZE, others=3.0)) for _ in range(10))],
        "VANISHING",
        "critical",
        "net.2.weight",
        5,
        12,
    ),
    "constant_signal": (
        [*healthy(3), *(with_figure("activations", "batch_spread", (0.5, 0.5, *(0.002,) * 5)) for _ in range(20))],
        "VANISHING",
        "critical",
        "net.2",
        3,
        12,
    ),
    "dead_units": (
        [*healthy(25), dead(0.6, 3)],
        "DEAD",
        "high",
        "net.2",
        6,
        25,
    ),
    "progressive_death": (
        [
            *healthy(20),
            *(dead(k / 64, 1) for k in range(1, 40)),
        ],
        "PROGRESSIVE_DEATH",
        "high",
        "net.0",
        19,
        48,
    ),
    "dead_rows": (
        [
            with_figure(
                "dead_rows", "dead_row_fraction", at(0.95, 2, of=SIZE, others=0), Step(without=("activations",))
            )
            for _ in range(20)
        ],
        "DEAD",
        "high",
        "net.2.weight",
        0,
        19,
    ),
    "dead_biases": (
        [
            with_figure(
                "gradients",
                "zero_fraction",
                at(0.9, 3, of=SIZE, others=0.3),
                Step(without=("activations", "dead_rows")),
            )
            for _ in range(20)
        ],
        "DEAD",
        "high",
        "net.2.bias",
        0,
        19,
    ),
    "input_scale": ([with_figure("inputs", "std", 5.1) for _ in range(6)], "SCALE_MISMATCH", "notice", "net.0", 0, 4),
    "dead_features": (
        [with_figure("inputs", "dead_features", 0.1) for _ in range(20)],
        "SCALE_MISMATCH",
        "notice",
        "x",
        0,
        19,
    ),
    "no_gradient": (
        [*healthy(5), *(Step(absent=("net.2.weight", "net.2.bias")) for _ in range(20))],
        "STALLED_COMPONENT",
        "medium",
        "net.2.weight",
        5,
        14,
    ),
    "never_updated": (
        [with_figure("updates", "norm", at(0.0, 4, of=SIZE, others=0.003)) for _ in range(20)],
        "STALLED_COMPONENT",
        "medium",
        "net.4.weight",
        0,
        19,
    ),
    "starved": (
        [
            with_figure(
                "updates",
                "rms",
                at(1e-9, 2, of=SIZE, others=1e-4),
                with_figure("gradients", "rms", at(0.9e-6, 2, of=SIZE, others=0.01)),
            )
            for _ in range(20)
        ],
        "STALLED_COMPONENT",
        "medium",
        "net.2.weight",
        0,
        19,
    ),
    "zero_gradient": (
        [with_figure("gradients", "norm", (0, 0.1, 0, 0.1, 0.1, 0.1, 0.1)) for _ in range(20)],
        "STALLED_COMPONENT",
        "high",
        "net.2.weight",
        0,
        9,
    ),
    "lost_gradients": (
        [with_figure("gradients", "zero_fraction", (0.9, 0, 0.8, 0, 0.9, 0, 0.2)) for _ in range(20)],
        "DEAD",
        "high",
        "",
        0,
        9,
    ),
    "tiny_updates": (
        [with_figure("updates", "update_ratio", 1e-6) for _ in range(20)],
        "STALLED_COMPONENT",
        "medium",
        "",
        0,
        8,
    ),
    "bottleneck": (
        [with_figure("spectrum", "rank", at(1.1, 4, of=SIZE, others=8.0)) for _ in range(20)],
        "BOTTLENECK",
        "medium",
        "net.4.weight",
        0,
        0,
    ),
    "prediction_collapse": (
        [with_figure("predictions", "batch_spread", 0.9 if step < 50 else 0.03) for step in range(60)],
        "MODE_COLLAPSE",
        "high",
        "net.6",
        59,
        59,
    ),
    "constant_input": (
        [with_figure("inputs", "batch_spread", 0.0) for _ in range(5)],
        "MODE_COLLAPSE",
        "high",
        "x",
        0,
        4,
    ),
    "large_updates": (
        [with_figure("updates", "norm", at(0.09 * DEFAULT, 2, of=SIZE, others=0.003)) for _ in range(31)],
        "UNSTABLE",
        "medium",
        "net.2.weight",
        30,
        30,
    ),
    "underflow": (
        [
            with_figure(
                "exponents",
                "exponent_-32_-30",
                0.8,
                with_figure("exponents", "exponent_-20_-18", 0.2, Step(logged={"loss_scale": 1024.0})),
            )
            for _ in range(10)
        ],
        "UNDERFLOW",
        "critical",
        "",
        0,
        9,
    ),
    "overfitting": (
        [Step(logged={"loss": 0.3, "val_loss": 0.5 if step < 5 else 0.7}) for step in range(8)],
        "OVERFITTING",
        "low",
        "",
        5,
        7,
    ),
    "plateau": (
        [Step(logged={"val_loss": 1.0}) for _ in range(11)],
        "PLATEAU",
        "low",
        "",
        0,
        10,
    ),
    "gradient_zeros": (
        [with_figure("gradients", "near_zero_fraction", at(0.2, 2, of=SIZE, others=0.05)) for _ in range(20)],
        "DEAD",
        "notice",
        "net.2.weight",
        0,
        19,
    ),
    "norm_limits": (
        [Step(whole={("gradients", "norm"): 101.0}) for _ in range(20)],
        "EXPLODING",
        "notice",
        "",
        0,
        19,
    ),
    "attention_entropy": (
        [with_figure("attention", "attention_entropy", 0.9995) for _ in range(100)],
        "STALLED_COMPONENT",
        "notice",
        "blocks.0.attn.head0",
        0,
        99,
    ),
    "saturated": ([tanh(0.95, 9.5) for _ in range(10)], "SATURATED", "high", "net.0", 0, 9),
}


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_a_rule_fires_where_and_when_it_should(rule: str) -> None:
    steps, kind, severity, node, start, detected = SICK[rule]
    one = found(steps, rule=rule, tensors=HEADS)[0]
    assert (one.type, one.severity, one.node, one.start, one.detected) == (kind, severity, node, start, detected)
    assert one.stop == len(steps)
    assert one.evidence
    assert one.causes
    assert one.actions
    assert one.innocent


def test_outputs_that_are_large_beside_inputs_that_nobody_recorded() -> None:
    (one,) = found([with_figure("activations", "rms", 100.0, Step(without=("inputs",)))], rule="large_start")
    assert (one.severity, one.evidence[0].baseline, one.evidence[0].unit) == ("medium", 20.0, "inputs not recorded")
    assert "the inputs may be as large" in one.innocent


quiet = [Step(whole={("gradients", "norm"): 0.05}) for _ in range(3)]

#: What is beside a disease, and is none: rows, and the rules that must be silent (all of them for none named).
INNOCENT: dict[str, tuple[list[Step], tuple[str, ...]]] = {
    "health": (healthy(120), ()),
    "one spike of the norm": (
        [*healthy(30), Step(whole={("gradients", "norm"): 100.0}), *healthy(30)],
        (),
    ),
    "a step that was skipped": ([*healthy(9), Step(skipped=True, bad={"gradients": NAMES}), *healthy(9)], ()),
    "layers of which most units are silent, but not the last": (
        [with_figure("gradients", "zero_fraction", (0.99, 0.9, 0.99, 0.9, 0.95, 0.9, 0.1)) for _ in range(40)],
        ("lost_gradients", "zero_gradient"),
    ),
    "a gradient of nothing at all": (
        [with_figure("gradients", "norm", 0.0, Step(whole={("gradients", "norm"): 0.0})) for _ in range(40)],
        ("zero_gradient",),
    ),
    "growth from nothing, as after convergence": (
        [*healthy(30), *(Step(whole={("gradients", "norm"): 1e-4}) for _ in range(80)), *quiet],
        ("norm_jump",),
    ),
    "warm-up": (
        [
            with_figure("updates", "update_ratio", 1e-8 * (step + 1), Step(logged={"lr": 1e-8 * (step + 1)}))
            for step in range(60)
        ],
        ("tiny_updates",),
    ),
    "a loss near zero": (
        [
            with_figure("updates", "update_ratio", 1e-7, Step(logged={"loss": 1.0 if s < 5 else 0.01}))
            for s in range(60)
        ],
        ("tiny_updates",),
    ),
    "optimizers that take turns": (
        [Step(absent=("net.2.weight", "net.2.bias") if step // 5 % 2 else ()) for step in range(60)],
        (),
    ),
    "a frozen parameter": (
        [
            with_figure("updates", "norm", at(math.nan, 2, of=SIZE, others=0.003), Step(absent=("net.2.weight",)))
            for _ in range(40)
        ],
        (),
    ),
    "a weight that began at zero": (
        [with_figure("weights", "norm", at(step, 2, of=SIZE, others=3.0)) for step in range(40)],
        ("weight_growth", "large_start"),
    ),
    "fast growth of the last layer": (
        [with_figure("weights", "norm", at(1.0 + step, SIZE - 1, of=SIZE, others=3.0)) for step in range(40)],
        ("weight_growth",),
    ),
    "a tanh in its middle behind a wide layer": ([tanh(0.6, 9.5) for _ in range(20)], ("saturated",)),
    "a ReLU of large inputs": ([with_figure("activations", "std", 20.0) for _ in range(20)], ("saturated",)),
    "a kernel of few elements that are used in many places": (
        [gradients(at(0.2, 0, of=SIZE, others=0.01), (0.1,) * SIZE) for _ in range(20)],
        ("depth_growth",),
    ),
    "a large embedding before small layers": (
        [gradients(at(0.9e-5, 0, 1, 2, of=SIZE, others=0.01), (0.1,) * SIZE) for _ in range(20)],
        ("depth_drop",),
    ),
    "one evaluation that failed": (
        [*healthy(3), *(Step(logged={"val_loss": loss}) for loss in (1.0, math.nan, 1.0, math.nan, 1.0)), *healthy(9)],
        ("nonfinite_held_out",),
    ),
    "a loss that overflows under a scale that is still sought": (
        [Step(logged={"loss": math.inf}, skipped=True), *healthy(9)],
        ("nonfinite_loss",),
    ),
    "scores that a mask leaves out": (
        [Step(bad={"activations": ("net.2",)}) for _ in range(20)],
        ("nonfinite",),
    ),
    "a scale that begins far too high": (
        [*(Step(skipped=True, logged={"loss_scale": 2.0 ** (28 - step)}) for step in range(14)), *healthy(30)],
        (),
    ),
    "inputs whose scale changes once": (
        [with_figure("inputs", "std", 0.05 if step < 20 else 1.0) for step in range(40)],
        ("input_outliers",),
    ),
    "a weight that began near zero, and grows": (
        [
            with_figure(
                "updates", "norm", 0.05, with_figure("weights", "norm", at(0.02 * step, 2, of=SIZE, others=3.0))
            )
            for step in range(60)
        ],
        ("held_weight",),
    ),
    "targets with a large mean": (
        [
            with_figure(
                "predictions", "batch_spread", 0.1, Step(logged={"loss": 0.9**step, "val_loss": 0.9**step + 1e-3})
            )
            for step in range(80)
        ],
        ("prediction_collapse", "overfitting"),
    ),
    "units that died at once": ([*healthy(25), *(dead(0.6, 1) for _ in range(60))], ("progressive_death",)),
}


@pytest.mark.parametrize("case", INNOCENT)
def test_the_innocent_beside_it_raises_no_alarm(case: str) -> None:
    steps, silent = INNOCENT[case]
    alarms = [one for one in found(steps) if one.severity != "notice"]
    assert [one for one in alarms if not silent or one.rule in silent] == []


def test_half_of_the_units_silent_from_the_beginning_is_a_hint_where_the_loss_falls() -> None:
    falling = [dead(0.6 if step >= 19 else 0.0, 1, loss=1.0 / (1 + step / 10)) for step in range(100)]
    assert [one.severity for one in found(falling, rule="dead_units")] == ["notice"]
    nearly_all = [dead(0.875 if step >= 19 else 0.0, 1, loss=1.0 / (1 + step / 10)) for step in range(100)]
    assert [one.severity for one in found(nearly_all, rule="dead_units")] == ["critical"]
    stuck = [dead(0.6 if step >= 19 else 0.0, 1) for step in range(100)]
    (one,) = found(stuck, rule="dead_units")
    assert (one.severity, one.start) == ("high", 0)


def test_the_key_biases_are_zero_by_design() -> None:
    """A third of in_proj_bias, and all of a bias of keys: allowed beside the share that is allowed to all."""
    names = ("attn.in_proj_weight", "attn.in_proj_bias", "attn.k_proj.bias", "emb.weight", "out.weight")
    shapes = ((48, 16), (48,), (16,), (30, 16), (16, 16))
    tensors = {"gradients": Tensors(names, shapes, ("float32",) * 5)}
    others = ("weights", "updates", "spectrum", "dead_rows", "activations", "inputs", "predictions")

    def zeros(*shares: float) -> list[Step]:
        step = Step(without=others)
        return [with_figure("gradients", "near_zero_fraction", shares, step) for _ in range(20)]

    assert found(zeros(0.05, 0.42, 1.0, 0.9, 0.05), rule="gradient_zeros", tensors=tensors) == ()
    (one,) = found(zeros(0.05, 0.75, 1.0, 0.9, 0.05), rule="gradient_zeros", tensors=tensors)
    assert one.node == "attn.in_proj_bias"
    assert "keys" in one.innocent
    assert one.evidence[0].baseline == pytest.approx(1 / 3 + 0.2)


def test_rows_of_ten_steps_say_so_two_rows_later_at_most() -> None:
    """Durations are in steps; a single sample is no habit."""
    for rule in ("depth_drop", "constant_signal", "no_gradient", "tiny_updates", "never_updated"):
        steps, kind, severity, node, _, _ = SICK[rule]
        begin = [step for step in steps if step == Step()][:3]
        one = found([*begin, *steps[-5:]], every=10, rule=rule)[0]
        assert (one.type, one.severity, one.node) == (kind, severity, node), rule
        assert one.detected < 10 * (len(begin) + 3), rule
    jump = [Step(whole={("gradients", "norm"): 0.2 * 12.5}) for _ in range(3)]
    (one,) = found([*healthy(5), *jump], every=10, rule="norm_jump")
    assert (one.start, one.detected) == (60, 69), "one large row may be one hard batch"


def test_a_forward_pass_that_is_not_finite_is_none_of_the_loss_scale() -> None:
    """A GradScaler lowers its scale for gradients; a loss that is NaN in step after step it cannot mend."""
    bad = {"gradients": NAMES, "activations": ("net.2", "net.3", "net.4", "net.5", "net.6")}
    nan = Step(skipped=True, bad=bad, logged={"loss": math.nan})
    one = found([*healthy(3), *(nan for _ in range(6))], rule="nonfinite")[0]
    assert (one.node, one.start, one.detected) == ("net.2", 7, 7)
    assert found([*healthy(3), nan, *healthy(9), nan, *healthy(9)], rule="nonfinite") == ()


def test_what_was_infinite_on_purpose_is_not_blamed_later() -> None:
    masked = [Step(bad={"activations": ("net.0",)}) for _ in range(5)]
    broken = Step(bad={"activations": ("net.0", "net.4", "net.5"), "gradients": NAMES})
    (one,) = found([*masked, broken], rule="nonfinite")
    assert (one.node, one.start) == ("net.4", 5)


def test_inputs_that_are_not_finite_are_named_before_what_they_pass_through() -> None:
    broken = Step(bad={"inputs": ("x",), "activations": ("net.0",), "gradients": NAMES})
    (one,) = found([*healthy(5), broken], rule="nonfinite")
    assert one.node == "x"
    assert "inputs" in one.causes[0]


def test_attention_that_is_peaked_before_training_or_all_at_once_is_saturated() -> None:
    def heads(*entropies: float) -> list[Step]:
        return [with_figure("attention", "attention_entropy", entropy) for entropy in entropies]

    (large,) = found(heads(*(0.4,) * 12), rule="attention_entropy", tensors=HEADS)
    assert (large.type, large.severity, large.node, large.start) == ("SATURATED", "medium", "blocks.0.attn", 0)
    (fallen,) = found(heads(*(0.9,) * 30, *(0.2,) * 12), rule="attention_entropy", tensors=HEADS)
    assert (fallen.type, fallen.start, fallen.detected) == ("SATURATED", 30, 39)
    assert found(heads(*(0.95 - 0.005 * step for step in range(150))), rule="attention_entropy", tensors=HEADS) == ()


def test_a_constant_that_was_learnt_by_heart_is_no_answer() -> None:
    """Predictions share nearly all from the start; that is wrong where held-out samples tell so."""

    def learning(held_out: float) -> list[Step]:
        logged = ({"loss": 0.8**step, "val_loss": held_out} for step in range(60))
        return [with_figure("predictions", "batch_spread", 0.1, Step(logged=one)) for one in logged]

    assert found(learning(0.02), rule="prediction_collapse") == ()
    (one,) = found(learning(3.0), rule="prediction_collapse")
    assert (one.type, one.node) == ("MODE_COLLAPSE", "net.6")


def test_so_is_one_that_held_out_samples_tell_of_by_their_own_best() -> None:
    losses = ({"loss": 0.8**step, "val_loss": 0.4 if step < 30 else 0.7} for step in range(60))
    steps = [with_figure("predictions", "batch_spread", 0.1, Step(logged=one)) for one in losses]
    (one,) = found(steps, rule="prediction_collapse")
    assert (one.start, one.detected) == (30, 49)


def test_a_loss_that_hovers_above_its_best_beside_large_steps_is_unstable() -> None:
    def hovering(share: float, loss: float) -> tuple[str, ...]:
        norms = tuple(share * norm for norm in weights(1.0))
        losses = [*(1.0,) * 9, *(0.2,) * 21, *(loss,) * 60]
        steps = [with_figure("updates", "norm", norms, Step(logged={"loss": one})) for one in losses]
        return tuple(one.type for one in found(steps, rule="large_updates") if one.severity == "medium")

    assert hovering(0.02, 0.3) == ("UNSTABLE",)
    assert hovering(0.005, 0.3) == ()
    assert hovering(0.02, 0.2) == ()


def test_the_end_of_a_long_schedule_is_none_of_a_rate_that_is_too_low() -> None:
    """A rate that moves by 1.7 % in 20 steps, and by 2.5 % in a tenth of the training so far; and one that stands."""

    def rates(moving: bool) -> list[Step]:
        return [
            with_figure(
                "updates",
                "update_ratio",
                1e-3 if step < 280 else 1e-6,
                Step(logged={"lr": 1e-3 * (1 - step / 1500 if moving else 1)}),
            )
            for step in range(300)
        ]

    assert found(rates(moving=True), rule="tiny_updates") == ()
    assert [one.start for one in found(rates(moving=False), rule="tiny_updates")] == [280]


def test_a_rate_that_falls_to_nothing_at_once_follows_no_schedule() -> None:
    """Whatever it does before and after: down by 1 % a step, and at step 40 to a ten-thousandth."""

    def falling(factor: float) -> list[Step]:
        rates = (1e-3 * 0.99**step * (factor if step >= 40 else 1.0) for step in range(80))
        return [with_figure("updates", "update_ratio", rate * 1e-2, Step(logged={"lr": rate})) for rate in rates]

    assert found(falling(0.5), rule="tiny_updates") == ()
    (one,) = found(falling(1e-4), rule="tiny_updates")
    assert (one.start, one.detected) == (40, 48)


def test_a_rate_that_nobody_logged_follows_no_schedule_and_a_warm_up_from_zero_does() -> None:
    tiny = with_figure("updates", "update_ratio", 1e-6)
    assert [one.detected for one in found([replace(tiny, logged={"lr": math.nan})] * 20, rule="tiny_updates")] == [8]
    warm_up = [replace(tiny, logged={"lr": 1e-6 * step}) for step in range(18)]
    assert found(warm_up, rule="tiny_updates") == ()


def test_zeros_in_all_gradients_down_to_the_last_bias_are_no_silent_units() -> None:
    """Half of each matrix: silent units leave that, too, but not in the bias of the last layer."""
    names, shapes = (*NAMES, "net.6.bias"), (*SHAPES, (4,))
    tensors = {**TENSORS, "gradients": Tensors(names, shapes, ("float32",) * len(names))}
    sizes = [math.sqrt(math.prod(shape) / (3 * shape[-1])) for shape in shapes]

    def zeros(last: float) -> list[Step]:
        step = with_figure("weights", "norm", sizes, with_figure("activations", "minimum", -2.0))
        step = with_figure("gradients", "zero_fraction", (0.5, 0.1, 0.5, 0.1, 0.5, 0.1, 0.45, last), step)
        return [step] * 20

    assert found(zeros(0.0), rule="lost_gradients", tensors=tensors) == ()
    (one,) = found(zeros(0.02), rule="lost_gradients", tensors=tensors)
    assert (one.type, one.node, one.start, one.detected) == ("DEAD", "", 0, 7)
    assert [each.value for each in one.evidence] == [0.5, 0.45]


def test_a_weight_that_no_step_moves_is_held() -> None:
    """At a tenth of the default, with steps of a tenth of itself: its norm stands still, or grows as it would."""

    def small(growth: float) -> list[Step]:
        norms = (0.1 * DEFAULT * growth**step for step in range(30))
        return [
            with_figure(
                "updates", "norm", 0.1 * norm, with_figure("weights", "norm", at(norm, 2, of=SIZE, others=DEFAULT))
            )
            for norm in norms
        ]

    (one,) = found(small(1.0), rule="held_weight")
    assert (one.type, one.node, one.detected) == ("VANISHING", "net.2.weight", 19)
    assert found(small(1.005), rule="held_weight") == ()


def test_most_of_what_was_learnt_is_undone() -> None:
    """The loss falls to 0.5, and comes back; beside steps of 6 % that is their doing."""

    def back(loss: float, share: float) -> tuple[str, ...]:
        norms = at(share * DEFAULT, 2, of=SIZE, others=1e-4)
        losses = [*(1.0,) * 9, *(0.5,) * 31, *(loss,) * 20]
        steps = [with_figure("updates", "norm", norms, Step(logged={"loss": one})) for one in losses]
        return tuple(one.type for one in found(steps, rule="large_updates") if one.severity == "medium")

    assert back(0.82, 0.06) == ("UNSTABLE",)
    assert back(0.75, 0.06) == ()
    assert back(0.82, 0.04) == ()


def test_a_small_start_is_told_of_a_matrix_that_is_small() -> None:
    norms = tuple(norm * factor for norm, factor in zip(weights(1.0), (1, 1, 0.03, 1, 0.03, 1, 1), strict=True))
    (one,) = found([with_figure("weights", "norm", norms, with_figure("activations", "rms", 0.01))], rule="small_start")
    assert one.node == "net.2.weight"


def test_a_function_that_several_layers_may_share_is_named_itself() -> None:
    """As in a residual block: two layers, and one ReLU that is called behind each."""
    names = ("stem", "block.conv1", "block.norm1", "block.conv2", "block.norm2", "block.act", "head")
    modules = Tensors(names, MODULES.shapes, MODULES.dtypes)
    owners = [name for name in names if name != "block.act"]
    shapes = ((32, 12), (32, 32), (32,), (32, 32), (32,), (4, 32))
    parameters = Tensors(tuple(f"{name}.weight" for name in owners), shapes, ("float32",) * 6)
    step = Step()
    for metric, function, other in (
        ("minimum", 0.0, -2.0),
        ("zero_fraction", 0.5, 0.0),
        ("limit_fraction", 0.5, math.nan),
        ("dead_unit_fraction", 0.95, 0.0),
    ):
        step = with_figure("activations", metric, at(function, 5, of=7, others=other), step)
    step = with_figure("weights", "norm", tuple(map(float, range(1, 7))), step)
    tensors = {"gradients": parameters, "activations": modules, "inputs": INPUT, "predictions": OUTPUT}
    (one,) = found([step] * 25, rule="dead_units", tensors=tensors)
    assert one.node == "block.act"


def test_attention_that_sharpens_while_the_loss_falls_has_found_what_to_look_at() -> None:
    def sharpening(end: float) -> list[str]:
        shares = [min(max(step - 30, 0) / 30, 1.0) for step in range(150)]
        steps = (
            with_figure("attention", "attention_entropy", 0.98 - 0.83 * share, Step(logged={"loss": end**share}))
            for share in shares
        )
        return [one.severity for one in found(steps, rule="attention_entropy", tensors=HEADS)]

    assert sharpening(0.1) == ["notice"]
    assert sharpening(0.9) == ["medium"]


def test_one_module_that_never_had_a_gradient_may_be_needed_by_nobody() -> None:
    def without(*absent: str, end: float = 1.0) -> list[tuple[str, int]]:
        steps = [Step(absent=absent, logged={"loss": max(end, 1 - step / 40)}) for step in range(100)]
        return [(one.severity, one.detected) for one in found(steps, rule="no_gradient")]

    one = ("net.4.weight", "net.4.bias")
    assert without(*one, end=0.1) == [("notice", 9)]
    assert without(*one) == [("medium", 59)], "a notice until it shows that the loss does not fall"
    assert without("net.2.weight", *one, end=0.1) == [("medium", 9)]
