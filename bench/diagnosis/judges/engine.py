"""Our own diagnosis, in the order in which a report tells it."""

from __future__ import annotations

from tb_gradhealth.diagnosis import diagnose
from tb_gradhealth.diagnosis.telling import grouped
from tb_gradhealth.reading.opened import OpenRun

from .judge import Alarm


def judge(run: OpenRun) -> list[Alarm]:
    return [
        Alarm(
            finding.type,
            finding.severity,
            finding.node,
            finding.detected,
            tuple(str(cause) for cause in finding.causes),
        )
        for root, others in grouped(diagnose(run).findings)
        for finding in (root, *others)
    ]
