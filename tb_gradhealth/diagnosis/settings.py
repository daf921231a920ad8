"""What a person sets: which rules, their thresholds and severities, for all modules or for those of a pattern.

skip = ["plateau"]

[rules.weight_growth]
times = 10.0
severity = "high"

[rules.gradient_zeros.modules]
"*self_attn.in_proj_*" = { share = 0.2 }
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path
from typing import Any

from ..reading.choose import AskedError
from .finding import SEVERITIES
from .rule import Rule
from .rules import RULES

if sys.version_info >= (3, 11):
    import tomllib
else:  # the same library, before it was Python's own
    import tomli as tomllib

#: Entry points that are a :class:`Rule` each.
GROUP = "tb_gradhealth.rules"


class SettingsError(AskedError):
    """The settings name something that there is not."""


def custom_rules() -> tuple[Rule, ...]:
    """Rules of installed packages. Code of theirs runs: never for a run that somebody else looks at."""
    found = []
    for point in metadata.entry_points(group=GROUP):
        try:
            rule = point.load()
        except Exception as error:
            raise SettingsError(f"entry point {point.name!r}: {type(error).__name__}: {error}") from error
        if not isinstance(rule, Rule):
            raise SettingsError(f"entry point {point.name!r}: expected a Rule, got {type(rule).__name__}")
        found.append(rule)
    return tuple(found)


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The settings in a TOML file; raises SettingsError."""
    try:
        found: dict[str, Any] = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except IsADirectoryError as error:
        raise SettingsError(f"expected a file with settings in TOML, but {os.fspath(path)!r} is a directory") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{os.fspath(path)}: expected settings in TOML, but {error}") from error
    return found


def apply(settings: Mapping[str, Any] | None, rules: Sequence[Rule] = RULES) -> tuple[Rule, ...]:
    """``rules`` with what ``settings`` change of them; raises SettingsError for names that there are not."""
    settings = dict(settings or {})
    changes, skip = _table("rules", settings.pop("rules", {})), settings.pop("skip", [])
    if settings:
        raise SettingsError(f"expected skip and rules, got {', '.join(map(repr, settings))}")
    known = [rule.name for rule in rules]
    if not isinstance(skip, list):
        raise SettingsError(f"skip: expected a list of rules, got {skip!r}")
    for name in (*changes, *skip):
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            meant = f", perhaps {near[0]!r} was meant" if near else ""
            raise SettingsError(f"there is no rule {name!r}{meant}: expected one of {', '.join(known)}")
    return tuple(_changed(rule, changes.get(rule.name, {})) for rule in rules if rule.name not in skip)


def unfit(settings: Mapping[str, Any], names: Collection[str]) -> list[str]:
    """A sentence for each pattern of ``settings``, which :func:`apply` took, that none of ``names`` fits."""
    return [
        f"rules.{rule}.modules: {pattern!r} fits no tensor and no module that was recorded"
        for rule, change in settings.get("rules", {}).items()
        for pattern in change.get("modules", {})
        if not any(fnmatchcase(name, pattern) for name in names)
    ]


def _changed(rule: Rule, change: object) -> Rule:
    change = dict(_table(f"rules.{rule.name}", change))
    patterns = _table(f"rules.{rule.name}.modules", change.pop("modules", {}))
    severity = change.pop("severity", None)
    if severity is not None and severity not in SEVERITIES:
        raise SettingsError(f"rules.{rule.name}.severity: expected one of {', '.join(SEVERITIES)}, got {severity!r}")
    of_patterns = {pattern: _thresholds(rule, f"modules.{pattern!r}", values) for pattern, values in patterns.items()}
    return rule.with_settings(_thresholds(rule, "", change), of_patterns, severity)


def _thresholds(rule: Rule, where: str, values: object) -> dict[str, float]:
    place = ".".join(filter(None, ("rules", rule.name, where)))
    found = {}
    for name, value in _table(place, values).items():
        if name not in rule.thresholds:
            names = ", ".join((*rule.thresholds, "severity", "modules"))
            raise SettingsError(f"{place}: expected one of {names}, got {name!r}")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise SettingsError(f"{place}.{name}: expected a number, got {value!r}")
        found[name] = float(value)
    return found


def _table(where: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{where}: expected a table, got {value!r}")
    return value
