"""Two recorded runs: what differs, and from which step."""

from __future__ import annotations

from .compare import diff
from .difference import Difference, LoggedDifference, Parting, Setting, TensorDifference

__all__ = ["Difference", "LoggedDifference", "Parting", "Setting", "TensorDifference", "diff"]
