"""What is the matter with a training: rules on recorded rows, the same live, in the viewer and offline."""

from __future__ import annotations

from .diagnose import Diagnosis, diagnose
from .engine import Engine
from .finding import SEVERITIES, TYPES, Evidence, Finding, Missing, Severity
from .row import Frame, Row, Tensors
from .rule import Cause, Hit, Rule, View, evidence, hits
from .rules import RULES
from .settings import SettingsError

__all__ = [
    "RULES",
    "SEVERITIES",
    "TYPES",
    "Cause",
    "Diagnosis",
    "Engine",
    "Evidence",
    "Finding",
    "Frame",
    "Hit",
    "Missing",
    "Row",
    "Rule",
    "SettingsError",
    "Severity",
    "Tensors",
    "View",
    "diagnose",
    "evidence",
    "hits",
]
