"""What a diagnosis says: findings, and what it could not look at."""

from __future__ import annotations

from dataclasses import dataclass

from ..findings import SEVERITIES, TYPES, Evidence, Finding, Severity, order

__all__ = ["SEVERITIES", "TYPES", "Evidence", "Finding", "Missing", "Severity", "order"]


@dataclass(frozen=True)
class Missing:
    """A rule that had nothing to look at, and what to record for it."""

    rule: str
    type: str
    needs: tuple[str, ...]  # streams, and names of scalars
    advice: str
