"""THE table of what can be looked at beside the gradients: a name to ask for → where its samples come from."""

from __future__ import annotations

from collections.abc import Callable

from .dead_rows import DeadRows
from .exponents import Exponents
from .moments import Moments
from .stream import Source
from .updates import Updates
from .weights import Spectrum, Weights

#: Each gets a function to tell of what it cannot look at.
SOURCES: dict[str, Callable[[Callable[[str], None]], Source]] = {
    "weights": lambda tell: Weights(),
    "spectrum": lambda tell: Spectrum(),
    "updates": Updates,
    "moments": lambda tell: Moments(),
    "dead_rows": lambda tell: DeadRows(),
    "exponents": lambda tell: Exponents(),
}

GRADIENTS = "gradients"
