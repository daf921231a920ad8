"""``doctor``: a model, its data and its loss → what is the matter with them before the first step."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from gradhealth_kernels.exponent_table import FORMATS

from ..streams.module_hooks import inside_compiled
from .asking import Asked, ContractError
from .batches import Given, look, split
from .check import find
from .checks import CHECKS
from .examined import LAYERS, Examined
from .keeping import as_it_was
from .measuring import Figures, measure
from .memory import Memory, kept_by
from .parts import Parts, awaits_batch, copied, inner, parts_of, without_values
from .passes import Passes
from .report import Report
from .seeing import Seen
from .trying import tried
from .vocabulary import OutsideVocabulary, vocabulary_checked


def doctor(
    model: nn.Module,
    input_fn: Callable[[], Any],
    loss_fn: Callable[..., Any],
    optimizer: torch.optim.Optimizer | None = None,
    steps: int = 1,
) -> Report:
    """Looks at ``model`` before it is trained: parameters, one batch, one backward pass, memory. ``print`` it.

    ``input_fn()`` returns a batch: a tensor, a tuple, a dictionary. ``loss_fn(model, batch)`` returns the scalar that
    your loop calls ``backward`` of; ``loss_fn(output, batch)``, ``loss_fn(output, target)`` such as torch's own losses,
    and ``loss_fn(batch)``, which calls the model itself, are told apart by the names of their parameters. With
    ``optimizer`` it is also looked at which parameters that has, and with ``steps`` above 1 a copy of both is trained
    for so many steps and diagnosed.

    Everything is left as it was, bit for bit: parameters, buffers, gradients, modes, random numbers, also where
    ``loss_fn`` raises. What ``input_fn`` itself consumes, such as batches of an iterator, it consumes.

    Raises :class:`ContractError` for arguments that are not of this kind, and whatever the two functions raise.
    """
    if steps < 1 or (steps > 1 and optimizer is None):
        raise ContractError(
            f"steps: expected 1, or more together with optimizer=, got {steps}: pass it, or return it as the fourth"
        )
    bare = inner(model)
    asked = Asked(bare, input_fn, loss_fn)
    others = [loss_fn] if isinstance(loss_fn, nn.Module) else []
    skipped: list[str] = []
    listed = None if optimizer is None else {id(one) for group in optimizer.param_groups for one in group["params"]}
    with as_it_was([bare, *others]), _eager(model):
        lazy = awaits_batch(bare)
        if lazy and asked.form == "batch":
            raise ContractError(
                "expected loss_fn(model, batch) for a model with parameters that its first batch shapes, got "
                "loss_fn(batch): the model is not to be changed, so a copy of it has to be passed on"
            )
        looked = bare
        if lazy:
            looked = copied(bare)
            skipped.append("the model itself: a copy was, since its first batch gives parameters their shapes")
            pairs = zip(bare.parameters(), looked.parameters(), strict=True)
            listed = None if listed is None else {id(fresh) for own, fresh in pairs if id(own) in listed}
        missing = [] if lazy else without_values(bare)
        if missing:
            skipped.append(
                f"values and passes: {len(missing)} parameters, such as {missing[0]}, are on the meta device, where "
                "there are no values: materialise the model with to_empty() and initialise it"
            )
            parameters, buffers = parts_of(bare, listed)
            examined = Examined(parameters, buffers, Seen(), memory=_memory(parameters, buffers, optimizer))
        else:
            examined = _examine(looked, asked, optimizer, listed, skipped)
        later = None
        if steps > 1 and optimizer is not None and examined.gradients is not None and not lazy:
            later = tried(bare, optimizer, asked, steps)
        elif steps > 1:
            skipped.append("steps of a copy: its parameters have no values yet, or get no gradient")
    return Report(type(bare).__name__, examined, find(examined, CHECKS), tuple(skipped), later)


def _examine(
    model: nn.Module,
    asked: Asked,
    optimizer: torch.optim.Optimizer | None,
    listed: set[int] | None,
    skipped: list[str],
) -> Examined:
    batch = asked.batch()
    device = next((one.device for one in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    every = list(model.parameters())  # passes may add some, which are taken away again
    trained = [one for one in every if one.requires_grad]
    passes = Passes(model, asked, batch, trained, device)
    if not model.training:  # else some of its modules may be in evaluation mode on purpose
        model.train()
    shaped = not awaits_batch(model)
    if shaped:  # passes write running statistics
        parameters, buffers = parts_of(model, listed)
    cuda = device.type == "cuda"
    before = torch.cuda.max_memory_allocated(device) if cuda else 0
    try:
        with vocabulary_checked(model):
            seconds, kept, resident = passes.plain()
            peak = torch.cuda.max_memory_allocated(device) if cuda else 0
            loss, seen, gradients = passes.seen()
            repeat = _repeat(passes, skipped)
    except OutsideVocabulary as error:
        skipped.append("passes through the model: they end at the first token that it has no row for")
        parameters, buffers = parts_of(model, listed)
        memory = _memory(parameters, buffers, optimizer)
        return Examined(parameters, buffers, Seen(), *_looked(batch, Seen()), outside=error, memory=memory)
    if not shaped:
        parameters, buffers = parts_of(model, listed)
        if awaits_batch(model):
            skipped.append("parameters of modules that did not run, which have no shape yet")
    figures, without = _gradients(parameters, every, trained, gradients)
    ordered, places = _in_order(parameters, seen)
    known = {id(one) for one in every}
    groups = [] if optimizer is None else optimizer.param_groups
    return Examined(
        ordered,
        buffers,
        seen,
        *_looked(batch, seen),
        loss=float(loss),
        connected=gradients is not None,
        gradients=None if figures is None else _taken(figures, places),
        without=without,
        underflow=_underflow([one for one in gradients or [] if one is not None and one.dtype is torch.float16]),
        repeat=repeat,
        memory=_memory(
            parameters,
            buffers,
            optimizer,
            kept=kept,
            resident=resident,
            peak=peak if peak > before else None,  # else it was higher some time before
            room=torch.cuda.get_device_properties(device).total_memory if cuda else None,
        ),
        seconds=seconds,
        idle=tuple(str(place) for place, one in enumerate(groups) if float(one.get("lr", 1.0)) == 0),
        strangers=len((listed or set()) - known),
    )


def _repeat(passes: Passes, skipped: list[str]) -> float:
    try:
        return passes.repeat()
    except OutsideVocabulary:
        raise
    except Exception as error:  # some models return something else when they evaluate
        skipped.append(f"whether evaluation repeats itself: {type(error).__name__}: {error}")
        return math.nan


def _eager(model: nn.Module) -> contextlib.AbstractContextManager[Any]:
    """Compiled parts run as they were written: hooks are not called inside what is compiled."""
    stance = getattr(torch.compiler, "set_stance", None)  # since torch 2.6
    return stance("force_eager") if stance is not None and inside_compiled(model) else contextlib.nullcontext()


def _looked(batch: Any, seen: Seen) -> tuple[tuple[Given, ...], tuple[Given, ...]]:
    """Inputs and targets."""
    first = next((one.kind for one in seen.calls if one.kind in LAYERS), "")
    inputs, targets = split(batch, seen.given)
    images = first == "conv"
    return tuple(look(*one, images) for one in inputs), tuple(look(*one, False) for one in targets)


def _gradients(
    parameters: Parts,
    every: Sequence[torch.Tensor],
    trained: Sequence[torch.Tensor],
    gradients: list[torch.Tensor | None] | None,
) -> tuple[Figures | None, frozenset[str]]:
    """Figures ``[parameter]`` of all parameters, and the names of those that are to be trained and have none."""
    if gradients is None:
        return None, frozenset()
    of = {id(one): gradient for one, gradient in zip(trained, gradients, strict=True)}
    found = [of.get(id(one)) for one in every]
    pairs = zip(parameters.parts, found, strict=True)
    return measure(found), frozenset(one.name for one, gradient in pairs if one.trains and gradient is None)


def _underflow(gradients: Sequence[torch.Tensor]) -> float:
    """The share of float16's subnormal numbers among gradients that are not 0: the median matrix."""
    normal = next(form.normal for form in FORMATS if form.name == "float16")
    shares = []
    for one in gradients:
        size = one.detach().abs()
        there = int((size > 0).sum())
        if one.dim() > 1 and there:
            shares.append(float(((size > 0) & (size < normal)).sum()) / there)
    return float(np.median(shares)) if shares else math.nan


def _in_order(parameters: Parts, seen: Seen) -> tuple[Parts, list[int]]:
    """Parameters as their modules ran; one whose module did not stays behind the one before it."""
    last, keys = -1, []
    for place, one in enumerate(parameters.parts):
        last = seen.order.get(one.module, last)
        keys.append((last, place))
    places = [place for _, place in sorted(keys)]
    return Parts(tuple(parameters.parts[place] for place in places), _taken(parameters.figures, places)), places


def _taken(figures: Figures, places: Sequence[int]) -> Figures:
    chosen = np.asarray(places, np.intp)
    return Figures(**{name: values[chosen] for name, values in vars(figures).items()})


def _memory(parameters: Parts, buffers: Parts, optimizer: torch.optim.Optimizer | None, **measured: Any) -> Memory:
    own, trained = (
        sum(one.bytes for one in parameters.parts),
        sum(one.bytes for one in parameters.parts if one.trains),
    )
    share = 2.0 if optimizer is None else kept_by(optimizer)
    return Memory(
        own,
        sum(one.bytes for one in buffers.parts),
        trained,
        optimizer=None if share is None else round(share * trained),
        optimizer_name="Adam" if optimizer is None else type(optimizer).__name__,
        **measured,
    )
