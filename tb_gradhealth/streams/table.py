"""THE table of what can be looked at beside the gradients: a name to ask for → where its samples come from."""

from __future__ import annotations

from collections.abc import Callable

from .dead_rows import DeadRows
from .exponents import GRADIENT_EXPONENTS, WEIGHT_EXPONENTS, Exponents
from .moments import Moments
from .stream import Source
from .updates import Updates
from .weights import Spectrum, Weights

#: Each gets a function to tell of what it cannot look at, and the magnitude below which an element is near zero.
SOURCES: dict[str, Callable[[Callable[[str], None], float], Source]] = {
    "weights": lambda tell, near_zero: Weights(),
    "spectrum": lambda tell, near_zero: Spectrum(),
    "updates": lambda tell, near_zero: Updates(tell),
    "moments": lambda tell, near_zero: Moments(),
    "dead_rows": lambda tell, near_zero: DeadRows(near_zero),
    "exponents": lambda tell, near_zero: Exponents(GRADIENT_EXPONENTS),
    "weight_exponents": lambda tell, near_zero: Exponents(WEIGHT_EXPONENTS),
}

GRADIENTS = "gradients"
