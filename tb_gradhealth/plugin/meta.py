"""What the front end must know of a run before it asks for tiles, and a run's notes, in the words of the contract."""

from __future__ import annotations

import itertools
import math
from typing import Any

from gradhealth_kernels.metrics import FURTHER_METRICS, METRICS

from ..notes import Note, written
from ..store.format import PLUGIN
from ..store.reader import Run
from ..store.timeline import Timeline
from . import tiles
from .exponents import has_histogram

GROUPS = {metric.name: metric.group for metric in (*METRICS, *FURTHER_METRICS)}
#: Of metrics that only a later version knows.
OTHER = "Other"


def meta(name: str, run: Run, timelines: dict[str, Timeline], stream: str | None) -> dict[str, Any]:
    """What the front end must know of a run before it asks for tiles of ``stream``, or of the first one, which leads,
    where the run has no such stream."""
    lead = next(iter(timelines.values()))
    stream = stream if stream in timelines else next(iter(timelines))
    shown = timelines[stream]
    tree = shown.tree
    elements = [math.prod(shown.tensors[tree.names[node]].shape or ()) for node in tree.leaf_nodes]
    before = list(itertools.accumulate(elements, initial=0))
    tensors = [
        shown.tensors[name] if kind == "tensor" else None for name, kind in zip(tree.names, tree.kinds, strict=True)
    ]
    return {
        "label": label(name),
        "problem": run.problems[0] if run.problems else None,
        "steps": [lead.first, lead.end],
        "cell": lead.cell,
        "levels": tiles.levels(lead),
        "overview": not all(timeline.full for timeline in timelines.values()),
        "streams": [
            {
                "name": one,
                "label": timeline.label,
                "what": timeline.what,
                "sampled": timeline.sampled,
                "histogram": has_histogram(timeline),
            }
            for one, timeline in timelines.items()
        ],
        "stream": stream,
        "metrics": [
            {
                **{key: getattr(metric, key) for key in ("name", "label", "unit", "kind", "scale", "meaning")},
                "group": GROUPS.get(metric.name, OTHER),
            }
            for metric in shown.metrics.values()
        ],
        "views": [{"name": view, "label": label} for view, label in tiles.VIEWS.items()],
        "nodes": {
            "name": tree.names,
            "kind": tree.kinds,
            "parent": tree.parent.tolist(),
            "shape": [info and info.shape for info in tensors],
            "dtype": [info and info.dtype for info in tensors],
            "aliases": [info.aliases if info else () for info in tensors],
            "size": [before[stop] - before[start] for start, stop in zip(tree.start, tree.stop, strict=True)],
        },
        "sessions": [
            {
                "id": session.schema.session,
                "start": min(session.schema.start_step, session.start),
                "stop": session.stop,
                "wall_time": session.schema.wall_time,
            }
            for session in lead.sessions
        ],
    }


def label(name: str) -> str:
    """What a run is called: without the subdirectory that we made."""
    return name.removesuffix(f"/{PLUGIN}") if name != PLUGIN else "."


def noted(note: Note) -> dict[str, Any]:
    """A note in the words of the contract."""
    return {
        "step": note.step,
        "kind": note.kind,
        "tensors": [vars(fault) for fault in note.tensors],
        "more": note.more,
        "values": {name: written(value) for name, value in note.values.items()},
    }
