"""What the names and shapes of a model's tensors tell: what each one is, and which of them are zero by design."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from ..rows import Floats
from .memory import Mask
from .row import Tensors

_EMBEDDING = re.compile(r"(^|[._])(\w*emb(ed(ding)?s?)?|wte|wpe|tok(en)?s?|vocab|lookup)\d*([._]|$)", re.IGNORECASE)
#: All of its rows are in use as a rule, so that its gradient is that of any matrix.
_POSITIONS = re.compile(r"(^|\.)pos(itions?)?(\.|$)", re.IGNORECASE)
_RECURRENT = re.compile(r"(^|\.)(weight|bias)_(ih|hh|hr)(_l\d+)?(_reverse)?$")
_KEY_BIAS = re.compile(r"(^|[._])(k|key|to_k|wk|w_k|k_proj|key_proj)[._]bias$", re.IGNORECASE)
_FUSED_BIAS = re.compile(r"(in_proj_bias|(^|[._])(c_attn|qkv|to_qkv|qkv_proj|query_key_value|Wqkv)[._]bias)$")
_BATCH_NORM = re.compile(r"(^|[._])(bn|batch_?norm)\d*\w*$", re.IGNORECASE)


def module_of(tensor: str) -> str:
    """The module that a tensor is a parameter of, "" for one of the model's own."""
    return tensor.rpartition(".")[0]


@dataclass(frozen=True, eq=False)
class Parameters:
    """The parameters of a model, in model order, which is that of its depth.

    ``default [tensor]`` is the norm that torch's default initialisation of linear layers and convolutions gives:
    uniform in ±1/√fan_in, so a variance of 1 / (3 fan_in) (``nn.init.kaiming_uniform_`` with a = √5); NaN for others.
    """

    tensors: Tensors
    matrix: Mask  # weights of linear layers, convolutions and recurrent layers
    embedding: Mask
    bias: Mask
    weight: Mask  # all but biases
    head: Mask  # the last matrix of the model
    recurrent: Mask
    default: Floats
    normalised: Mask  # matrices whose output is normalised, so that their scale has no effect
    rows: Floats  # output neurons, NaN for vectors
    depth: tuple[int, ...]  # matrices and embeddings, from the input on
    innocent: tuple[str, ...]  # why a tensor's gradient may be zero by design

    @property
    def names(self) -> tuple[str, ...]:
        return self.tensors.names


def parameters(tensors: Tensors) -> Parameters:
    names, shapes = tensors.names, tensors.shapes
    dims = np.array([len(shape) for shape in shapes], np.intp)
    embedding = np.array([bool(_EMBEDDING.search(name)) for name in names], np.bool_) & (dims == 2)
    bias = np.array([name.endswith("bias") or ".bias_" in f".{name}" for name in names], np.bool_)
    matrix = (dims >= 2) & ~embedding & ~bias
    head = np.zeros(len(names), np.bool_)
    if matrix.any():
        head[np.flatnonzero(matrix)[-1]] = True
    return Parameters(
        tensors,
        matrix,
        embedding,
        bias,
        ~bias,
        head,
        np.array([bool(_RECURRENT.search(name)) for name in names], np.bool_),
        np.array([_default(shape) if one else math.nan for shape, one in zip(shapes, matrix, strict=True)]),
        np.array([one and _is_normalised(tensors, place) for place, one in enumerate(matrix)], np.bool_),
        np.array([shape[0] if len(shape) > 1 else math.nan for shape in shapes], np.float64),
        tuple(np.flatnonzero(matrix | embedding).tolist()),
        tuple(_innocent(tensors, place) for place in range(len(names))),
    )


def _default(shape: tuple[int, ...]) -> float:
    return math.sqrt(math.prod(shape) / (3 * max(1, math.prod(shape[1:]))))


def zero_share(name: str) -> float:
    """The share of a tensor's gradient that is zero in exact arithmetic, whatever happens.

    A key's bias adds the same to all scores of a query, which the softmax does not see.
    """
    return 1 / 3 if _FUSED_BIAS.search(name) else 1.0 if _KEY_BIAS.search(name) else 0.0


def _innocent(tensors: Tensors, place: int) -> str:
    name, shape = tensors.names[place], tensors.shapes[place]
    if share := zero_share(name):
        what = "a third of it is" if share < 1 else "it is"
        return f"{what} the bias of attention keys, whose gradient is 0 in exact arithmetic, since softmax ignores it"
    if len(shape) == 2 and _EMBEDDING.search(name):
        return "rows of an embedding that no token of the batch asked for have no gradient"
    if name.endswith("bias") and len(shape) == 1 and _is_before_norm(tensors, place):
        return "a bias in front of a batch norm has no effect: the mean that it adds is taken away again"
    return ""


def _is_before_norm(tensors: Tensors, place: int) -> bool:
    """Whether the module that follows is a batch norm over as many features, going by its name and shapes."""
    names, shapes = tensors.names, tensors.shapes
    if place + 2 >= len(names) or len(shapes[place - 1]) < 2:
        return False
    following = module_of(names[place + 1])
    batch = bool(_BATCH_NORM.search(following)) or len(shapes[place - 1]) > 2
    named = module_of(names[place + 2]) == following and names[place + 1].endswith("weight")
    return batch and named and shapes[place + 1] == shapes[place + 2] == shapes[place]


def _is_normalised(tensors: Tensors, place: int) -> bool:
    """Whether the module behind a matrix's has nothing but a weight and a bias of a number each for its outputs."""
    names, shapes = tensors.names, tensors.shapes
    own = module_of(names[place])
    after = next((i for i in range(place + 1, len(names)) if module_of(names[i]) != own), len(names))
    return after < len(names) and shapes[after] == shapes[place][:1] and names[after].endswith("weight")


def looks_embedded(name: str) -> bool:
    """Whether a module is an embedding, going by its name."""
    return bool(_EMBEDDING.search(name) or _POSITIONS.search(name))
