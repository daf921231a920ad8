"""HTTP side of the plugin; the contract is ``http_api.md``. A ``*_route`` parses and answers, the rest computes."""

from __future__ import annotations

import gzip
import itertools
import mimetypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tensorboard import plugin_util
from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from ..notes import Note, written
from ..store.format import MAX_STEP, PLUGIN
from ..store.reader import Run
from ..store.timeline import Timeline
from . import tiles
from .runs import Runs, UnknownRun

STATIC = Path(__file__).resolve().parent / "static"
ASSET_SECONDS = 86_400
MAX_INDEX = 1 << 40
MAX_NOTES = 1000

Handler = Callable[[wrappers.Request], wrappers.Response]


class BadRequest(ValueError):
    """An argument is wrong; the text says what was expected and what came."""


class GradHealthPlugin(base_plugin.TBPlugin):
    """The tab "Grad Health"."""

    plugin_name: Any = PLUGIN

    def __init__(self, context: base_plugin.TBContext) -> None:
        self._runs = Runs(context.data_provider, context.logdir)
        # TensorBoard gives each request a thread of its own, and the allocator keeps memory for each of them. Computing
        # holds Python's lock anyway, so one thread for all of it is as fast, and takes 60 MB less.
        self._computing = ThreadPoolExecutor(1, thread_name_prefix="gradhealth-plugin")

    def is_active(self) -> bool:
        """False: TensorBoard itself counts us active once a run has data under :meth:`data_plugin_names`."""
        return False

    def data_plugin_names(self) -> tuple[str, ...]:
        return (PLUGIN,)

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        return base_plugin.FrontendMetadata(es_module_path="/static/index.js", tab_name="Grad Health")

    def get_plugin_apps(self) -> dict[str, Any]:
        handlers = {
            "/runs": self._runs_route,
            "/meta": self._in_turn(self._meta_route),
            "/tiles": self._in_turn(self._tiles_route),
            "/cell": self._in_turn(self._cell_route),
            "/notes": self._in_turn(self._notes_route),
            "/static/*": _static_route,
        }
        return {path: wrappers.Request.application(_answered(handler)) for path, handler in handlers.items()}

    def _in_turn(self, handler: Handler) -> Handler:
        return lambda request: self._computing.submit(handler, request).result()

    def _runs_route(self, request: wrappers.Request) -> wrappers.Response:
        entries = self._runs.list(*_asked_by(request))
        return _json(request, {"runs": [vars(entry) for entry in entries]})

    def _meta_route(self, request: wrappers.Request) -> wrappers.Response:
        name, run = self._run(request)
        # Taken before the data: what is called newer than it is would never be asked for again.
        revision = run.revision
        timelines = {stream: run.timeline(stream) for stream in run.streams()}
        if not timelines:
            raise Unreadable(run.problems[0] if run.problems else "the run has no row yet")
        return _json(request, {"run": name, **meta(name, run, timelines), "revision": revision})

    def _tiles_route(self, request: wrappers.Request) -> wrappers.Response:
        _, run = self._run(request)
        revision = run.revision
        timeline = _timeline(request, run)
        metric = _one_of(request, "metric", timeline.metrics)
        view: Any = _one_of(request, "view", tiles.VIEWS)
        ids = [_tile_id(text) for text in _text(request, "ids").split(",", tiles.MAX_TILES)]
        if len(ids) > tiles.MAX_TILES:
            raise BadRequest(f"ids: expected at most {tiles.MAX_TILES} tiles, got more: ask in several requests")
        body = b"".join(tiles.tile(timeline, metric, view, *tile_id, revision) for tile_id in ids)
        packed = gzip.compress(body, 1, mtime=0)
        return http_util.Respond(request, packed, "application/octet-stream", content_encoding="gzip")

    def _cell_route(self, request: wrappers.Request) -> wrappers.Response:
        _, run = self._run(request)
        timeline = _timeline(request, run)
        node = _integer(request, "node", len(timeline.tree) - 1)
        level, index = _integer(request, "level", tiles.MAX_LEVEL), _integer(request, "index", MAX_INDEX)
        try:
            return _json(request, tiles.cell(timeline, node, level, index))
        except IndexError as error:
            raise BadRequest(str(error)) from error

    def _notes_route(self, request: wrappers.Request) -> wrappers.Response:
        _, run = self._run(request)
        timeline = _timeline(request, run)
        begin, end = _integer(request, "begin", MAX_STEP), _integer(request, "end", MAX_STEP)
        notes, complete = timeline.notes(begin, end, MAX_NOTES)
        return _json(request, {"notes": [noted(note) for note in notes], "complete": complete})

    def _run(self, request: wrappers.Request) -> tuple[str, Run]:
        name = _text(request, "run")
        return name, self._runs.get(*_asked_by(request), name)


class Unreadable(ValueError):
    """The run is there, but nothing in it can be shown."""


def meta(name: str, run: Run, timelines: dict[str, Timeline]) -> dict[str, Any]:
    """What the front end must know of a run before it asks for tiles; of several streams the first one leads."""
    lead = next(iter(timelines.values()))
    tree = lead.tree
    elements = [_size(lead.tensors[tree.names[node]].shape) for node in tree.leaf_nodes]
    before = list(itertools.accumulate(elements, initial=0))
    tensors = [
        lead.tensors[name] if kind == "tensor" else None for name, kind in zip(tree.names, tree.kinds, strict=True)
    ]
    return {
        "label": name.removesuffix(f"/{PLUGIN}") if name != PLUGIN else ".",
        "problem": run.problems[0] if run.problems else None,
        "steps": [lead.first, lead.end],
        "cell": lead.cell,
        "levels": tiles.levels(lead),
        "overview": not all(timeline.full for timeline in timelines.values()),
        "streams": [{"name": stream, "label": timeline.label} for stream, timeline in timelines.items()],
        "metrics": [
            {key: getattr(metric, key) for key in ("name", "label", "unit", "kind", "scale", "meaning")}
            for metric in lead.metrics.values()
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


def noted(note: Note) -> dict[str, Any]:
    """A note in the words of the contract."""
    return {
        "step": note.step,
        "kind": note.kind,
        "tensors": [vars(fault) for fault in note.tensors],
        "more": note.more,
        "values": {name: written(value) for name, value in note.values.items()},
    }


def _size(shape: tuple[int, ...] | None) -> int:
    size = 1
    for extent in shape or ():
        size *= extent
    return size


def _asked_by(request: wrappers.Request) -> tuple[Any, str]:
    """The data provider's context and the experiment of a request."""
    return plugin_util.context(request.environ), plugin_util.experiment_id(request.environ)


def _answered(handler: Handler) -> Handler:
    """Errors as JSON with the status of the contract."""

    def answer(request: wrappers.Request) -> wrappers.Response:
        try:
            if request.method not in ("GET", "HEAD"):
                raise BadRequest(f"expected GET, got {request.method}")
            return handler(request)
        except BadRequest as error:
            return _json(request, {"error": str(error)}, 400)
        except UnknownRun:
            return _json(request, {"error": "no run of that name has Grad Health data: reload the list of runs"}, 404)
        except Unreadable as error:
            return _json(request, {"error": str(error)}, 422)

    return answer


def _json(request: wrappers.Request, content: Any, code: int = 200) -> wrappers.Response:
    return http_util.Respond(request, content, "application/json", code)


def _text(request: wrappers.Request, name: str) -> str:
    value = request.args.get(name)
    if not value:
        raise BadRequest(f"{name}: expected a value, got none")
    return value


def _integer(request: wrappers.Request, name: str, largest: int) -> int:
    text = _text(request, name)
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= largest):
        raise BadRequest(f"{name}: expected a whole number from 0 to {largest}, got {text[:40]!r}")
    return int(text)


def _one_of(request: wrappers.Request, name: str, known: Any) -> str:
    text = _text(request, name)
    if text not in known:
        raise BadRequest(f"{name}: expected one of {', '.join(known)}, got {text[:40]!r}")
    return text


def _timeline(request: wrappers.Request, run: Run) -> Timeline:
    if not run.streams():
        raise Unreadable(run.problems[0] if run.problems else "the run has no row yet")
    return run.timeline(_one_of(request, "stream", run.streams()))


def _tile_id(text: str) -> tuple[int, int, int]:
    parts = text.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise BadRequest(f"ids: expected tiles written level.row.column, got {text[:40]!r}")
    level, row, column = (int(part) for part in parts)
    if level > tiles.MAX_LEVEL:
        raise BadRequest(f"ids: expected a level up to {tiles.MAX_LEVEL}, got {level}")
    return level, row, column


def _static_route(request: wrappers.Request) -> wrappers.Response:
    try:
        path = (STATIC / request.path.rpartition("/static/")[2]).resolve()
        found = path.is_relative_to(STATIC) and path.is_file()
    except (OSError, ValueError):  # a name that no file system takes
        found = False
    if not found:
        return _json(request, {"error": "no such file in the front end"}, 404)
    kind = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path)[0] or "application/octet-stream"
    # Names under assets/ carry a hash of their content, so they may be kept.
    expires = ASSET_SECONDS if path.parent.name == "assets" else 0
    return http_util.Respond(request, path.read_bytes(), kind, expires=expires)
