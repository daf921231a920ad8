"""What the diagnosis found during the training, in the words of the contract."""

from __future__ import annotations

from typing import Any

from ..cli.terminal import printable
from ..diagnosis.telling import figure, sentence
from ..findings import Finding
from ..store.findings import MAX_FINDINGS
from ..store.reader import Run


def recorded(run: Run) -> dict[str, Any]:
    """The gravest findings; of a node its number in the run's first stream."""
    lead = next(iter(run.timelines().values()), None)
    found = run.findings[:MAX_FINDINGS]
    wanted = {one.node for one in found}
    places = {} if lead is None else {name: node for node, name in enumerate(lead.tree.names) if name in wanted}
    return {"findings": [_told(one, places) for one in found], "recorded": run.diagnosed}


def _told(one: Finding, places: dict[str, int]) -> dict[str, Any]:
    return {
        "id": f"{one.rule}:{one.node}:{one.start}",
        "severity": one.severity,
        "type": one.type,
        "rule": one.rule,
        "name": one.node,
        "node": places.get(one.node),
        "steps": [one.start, one.stop],
        "detected": one.detected,
        "evidence": [printable(figure(each)) for each in one.evidence],
        "causes": one.causes,
        "actions": one.actions,
        "innocent": one.innocent,
        "follows": one.follows,
        "text": printable(sentence(one)),
    }
