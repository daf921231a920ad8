"""The CPU path: NumPy passes over blocks that stay in the cache.

``meter`` is the door, ``scratch`` its memory; ``rows`` finds dead rows.
"""

from .meter import CpuMeter
from .scratch import BLOCK, CONVERT, HIGH, LOW

__all__ = ["BLOCK", "CONVERT", "HIGH", "LOW", "CpuMeter"]
