"""Attention heads that look at one key only, or at all of them alike; and attentions whose softmax is saturated.

Before training scores are small and each query looks at nearly all keys: entropy is close to its largest. One that is
far from it then has scores that are too large, and passes little gradient on to queries and keys. In training heads
sharpen bit by bit; a whole attention that does so all at once was driven there, unless the loss falls with it, as it
does where an attention finds out what to look at.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...rows import Floats
from ..finding import Severity
from ..memory import places
from ..rule import Cause, Hit, Rule, View, evidence
from ..structure import module_of

#: Steps looked back over for how an attention was before.
BACK = 60
PEAKED_INNOCENT = (
    "a model that was trained before has heads that look at few keys, also when its training goes on, and an attention "
    "that finds out what to look at sharpens as the loss falls"
)


def look(view: View) -> Iterable[Hit]:
    now = view.now
    names = now.row.frames["attention"].tensors.names
    entropy = now.values("attention", "attention_entropy")
    one = view.held("one", entropy < view.by_node("low", names), 100)
    all_alike = view.held("all", entropy > view.by_node("high", names), 100)
    for held, what in ((one, "to one key"), (all_alike, "uniform")):
        for place in held.places():
            told = evidence(f"attention entropy, {what}", entropy[place], view["low"], "share of the largest")
            yield Hit(names[place], int(held.since[place]), told)
    yield from _peaked(view, names, entropy)


def _peaked(view: View, names: tuple[str, ...], entropy: Floats) -> Iterable[Hit]:
    now = view.now
    modules = view.once("modules", lambda: _Modules(names), id(names))
    mean = modules.mean(entropy)
    before = view.recent("entropies", mean, BACK)
    began = view.once("began", lambda: mean if now.start == 0 else np.full(len(mean), np.nan), id(names))
    state = view.once("fallen", lambda: {"fell": np.zeros(len(mean), np.bool_)}, id(names))
    losses = view.recent("losses", now.loss_11, BACK)
    beginning = view.once("beginning", lambda: np.full(len(mean), np.nan), id(names))
    peaked = mean < max(view["start"], view["peaked"])
    if np.count_nonzero(peaked):
        fell = (state["fell"] | (mean < view["fallen"] * before[0])) & (mean < view["peaked"])
        for place in places(fell & ~state["fell"]):
            was = before[:, place]
            last_wide = int(np.flatnonzero(was >= view["wide"] * np.nanmax(was))[-1])
            beginning[place] = losses[last_wide - len(was)]
        state["fell"] = fell
        peaked = (began < view["start"]) & (mean < view["start"]) | state["fell"]
    else:
        state["fell"] = peaked
    held = view.held("peaked", peaked, 10)
    for place in held.places():
        told = evidence("attention entropy", mean[place], np.nanmax(before[:, place]), "share of the largest")
        good = state["fell"][place] and now.positive and now.loss_11 < view["good"] * beginning[place]
        severity: Severity = "notice" if good else "medium"
        yield Hit(modules.names[place], int(held.since[place]), told, severity, "SATURATED", PEAKED_INNOCENT)


class _Modules:
    """Of heads those that belong together."""

    def __init__(self, names: tuple[str, ...]) -> None:
        owners = [module_of(name) or name for name in names]
        self.names = tuple(dict.fromkeys(owners))
        heads = [[head for head, one in enumerate(owners) if one == name] for name in self.names]
        counts = [len(one) for one in heads]
        #: ``[module, head]`` of those with as many heads as each other, as a rule of all of them.
        self._alike = [np.array([one for one in heads if len(one) == count]) for count in sorted(set(counts))]
        self._order = np.argsort(np.argsort(counts, kind="stable"))

    def mean(self, entropy: Floats) -> Floats:
        means = [np.add.reduce(entropy[heads], axis=1) / heads.shape[1] for heads in self._alike]
        return means[0] if len(means) == 1 else np.concatenate(means)[self._order]


RULE = Rule(
    name="attention_entropy",
    type="STALLED_COMPONENT",
    severity="notice",
    look=look,
    needs={"gradients": (), "attention": ("attention_entropy",)},
    causes=(
        Cause("a learning rate so high that scores of the attention became too large", ("UNSTABLE", "EXPLODING")),
        Cause("attention scores that are too large: query and key weights of a large scale"),
        Cause("query and key weights that did not move from a small start"),
    ),
    actions=(
        "normalise queries and keys (QK norm), and divide scores by the root of their dimension",
        "initialise the attention anew: bias 0, noise of 0.01 in the weights",
    ),
    innocent="heads that look at the token before, or that take the mean, are found in sound models",
    thresholds={"low": 0.02, "high": 0.999, "start": 0.5, "peaked": 0.3, "fallen": 0.45, "wide": 0.9, "good": 0.8},
)
