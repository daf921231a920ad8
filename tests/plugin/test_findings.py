"""``findings`` over HTTP, as ``http_api.md`` has it."""

from __future__ import annotations

import math
from pathlib import Path

from tb_gradhealth.findings import Evidence, Finding
from tb_gradhealth.live.recording import Recording as Recorder
from tb_gradhealth.store.records import EventFile

from ..synthetic import SESSION, Recording, recorded
from .board import Board


def one(rule: str, node: str, severity: str) -> Finding:
    evidence = (Evidence("loss", 31.2, 2.31, ""), Evidence("norm", math.inf, math.nan, "L2"))
    return Finding("NUMERICAL", severity, node, 13, 40, 31, evidence, ("a",), ("b", "c"), "d", rule, "")  # type: ignore[arg-type]


def test_findings_are_those_of_the_contract(tmp_path: Path) -> None:
    made = Recording(recorded(60))
    made.write(tmp_path / "sick" / "gradhealth")
    made.write(tmp_path / "plain" / "gradhealth")
    name = made.names[2]
    writer = Recorder(EventFile(tmp_path / "sick" / "gradhealth", "f" * 16), SESSION, 0, made.wall_time, 1 << 20)
    # A record for each row, as a training writes them: the last one counts.
    for step in range(12):
        writer.put((one("x", "gone\x1b.w", "notice"), one("nonfinite", name, "critical"))[-1 - step // 6 :], step)
        writer.flush()
    writer.close()
    board = Board(tmp_path, "true")
    board.wait(lambda board: len(board.runs()) == 2 and all(run["status"] == "ok" for run in board.runs().values()))
    plain = board.get("findings", run="plain/gradhealth").json
    assert plain == {"findings": [], "recorded": False, "revision": board.runs()["plain/gradhealth"]["revision"]}
    answer = board.get("findings", run="sick/gradhealth").json
    assert answer["recorded"]
    assert answer["revision"] == board.runs()["sick/gradhealth"]["revision"]
    first, second = answer["findings"]
    names = board.get("meta", run="sick/gradhealth", stream="gradients").json["nodes"]["name"]
    assert first == {
        "id": f"nonfinite:{name}:13",
        "severity": "critical",
        "type": "NUMERICAL",
        "rule": "nonfinite",
        "name": name,
        "node": names.index(name),
        "steps": [13, 40],
        "detected": 31,
        "evidence": ["loss: 31.2 (reference 2.31)", "norm: inf (L2)"],
        "causes": ["a"],
        "actions": ["b", "c"],
        "innocent": "d",
        "follows": "",
        "text": f"NUMERICAL in {name}, steps 13 to 39, seen at step 31: a value that is not finite was used: "
        "loss: 31.2 (reference 2.31); norm: inf (L2)",
    }
    assert (second["name"], second["node"], second["severity"]) == ("gone\x1b.w", None, "notice")
    assert "\x1b" not in second["text"]
