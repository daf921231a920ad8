"""HTTP side of the plugin; the contract is ``http_api.md``. A ``*_route`` parses and answers, the rest computes."""

from __future__ import annotations

import gzip
import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tensorboard import plugin_util
from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from ..store.format import MAX_STEP, PLUGIN
from ..store.reader import Run
from ..store.timeline import Timeline
from . import arguments, figures, table, tiles
from .alerts import Alerts
from .arguments import BadRequest, Unreadable
from .exponents import exponents, histogram_of
from .meta import label, meta, noted
from .one_thread import OneThread
from .overview import overview
from .recorded import recorded
from .runs import Runs, UnknownRun

STATIC = Path(__file__).resolve().parent / "static"
ASSET_SECONDS = 86_400
MAX_INDEX = 1 << 40
MAX_NOTES = 1000

Handler = Callable[[wrappers.Request], wrappers.Response]


class GradHealthPlugin(base_plugin.TBPlugin):
    """The tab "Grad Health"."""

    plugin_name: Any = PLUGIN

    def __init__(self, context: base_plugin.TBContext) -> None:
        self._runs = Runs(context.data_provider, context.logdir)
        self._alerts = Alerts()
        # TensorBoard gives each request a thread of its own, and the allocator keeps memory for each of them. Computing
        # holds Python's lock anyway, so one thread is as fast, and takes 60 MB less. What may take a second or two has
        # another one, not to keep the heatmap waiting.
        self._computing = OneThread("gradhealth-plugin")
        self._aside = OneThread("gradhealth-aside")

    def is_active(self) -> bool:
        """False: TensorBoard itself counts us active once a run has data under :meth:`data_plugin_names`."""
        return False

    def data_plugin_names(self) -> tuple[str, ...]:
        return (PLUGIN,)

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        return base_plugin.FrontendMetadata(es_module_path="/static/index.js", tab_name="Grad Health")

    def get_plugin_apps(self) -> dict[str, Any]:
        computed = {
            "/meta": self._meta_route,
            "/tiles": self._tiles_route,
            "/cell": self._cell_route,
            "/notes": self._notes_route,
            "/values": self._values_route,
            "/lines": self._lines_route,
            "/rows": self._rows_route,
            "/exponents": self._exponents_route,
            "/findings": self._findings_route,
        }
        aside = {"/overview": self._overview_route, "/alerts": self._alerts_route, "/export.csv": self._export_route}
        handlers = {
            "/runs": self._runs_route,
            **{path: _within(self._computing, handler) for path, handler in computed.items()},
            **{path: _within(self._aside, handler) for path, handler in aside.items()},
            "/static/*": _static_route,
        }
        return {path: wrappers.Request.application(_answered(handler)) for path, handler in handlers.items()}

    def _runs_route(self, request: wrappers.Request) -> wrappers.Response:
        entries = self._runs.list(*_asked_by(request))
        return _json(request, {"runs": [vars(entry) for entry in entries]})

    def _meta_route(self, request: wrappers.Request) -> wrappers.Response:
        name, run = self._run(request, or_first="run" not in request.args)
        # Taken before the data: what is called newer than it is would never be asked for again.
        revision = run.revision
        timelines = arguments.timelines(run)
        stream = request.args.get("stream")
        return _json(request, {"run": name, **meta(name, run, timelines, stream), "revision": revision})

    def _tiles_route(self, request: wrappers.Request) -> wrappers.Response:
        _, run = self._run(request)
        revision = run.revision
        timeline = arguments.timeline(request, run)
        metric, view = arguments.metric_and_view(request, timeline)
        wanted = arguments.tile_ids(request)
        body = b"".join(tiles.tile(timeline, metric, view, *tile_id, revision) for tile_id in wanted)
        packed = gzip.compress(body, 1, mtime=0)
        return http_util.Respond(request, packed, "application/octet-stream", content_encoding="gzip")

    def _cell_route(self, request: wrappers.Request) -> wrappers.Response:
        timeline = self._timeline(request)
        node = arguments.node(request, timeline)
        level = arguments.integer(request, "level", tiles.MAX_LEVEL)
        index = arguments.integer(request, "index", MAX_INDEX)
        try:
            return _json(request, tiles.cell(timeline, node, level, index))
        except IndexError as error:
            raise BadRequest(str(error)) from error

    def _notes_route(self, request: wrappers.Request) -> wrappers.Response:
        timeline = self._timeline(request)
        begin, end = (arguments.integer(request, name, MAX_STEP) for name in ("begin", "end"))
        notes, complete = timeline.notes(begin, end, MAX_NOTES)
        return _json(request, {"notes": [noted(note) for note in notes], "complete": complete})

    def _values_route(self, request: wrappers.Request) -> wrappers.Response:
        timeline = self._timeline(request)
        metric, view = arguments.metric_and_view(request, timeline)
        return _json(request, figures.values(timeline, metric, view, *arguments.steps(request, timeline)))

    def _lines_route(self, request: wrappers.Request) -> wrappers.Response:
        timeline = self._timeline(request)
        metric = arguments.one_of(request, "metric", timeline.metrics)
        which = arguments.nodes(request, timeline, figures.MAX_NODES)
        begin, end = arguments.steps(request, timeline)
        cells = arguments.integer(request, "cells", figures.MAX_CELLS, least=1)
        return _json(request, figures.lines(timeline, metric, which, begin, end, cells))

    def _rows_route(self, request: wrappers.Request) -> wrappers.Response:
        timeline = self._timeline(request)
        node = arguments.node(request, timeline)
        return _json(request, figures.rows(timeline, node, *arguments.steps(request, timeline)))

    def _exponents_route(self, request: wrappers.Request) -> wrappers.Response:
        timelines = arguments.timelines(self._run(request)[1])
        asked = timelines[arguments.one_of(request, "stream", timelines)]
        node, (begin, end) = arguments.node(request, asked), arguments.steps(request, asked)
        shown = histogram_of(timelines.values(), asked)
        return _json(request, {"histogram": None if shown is None else exponents(shown, node, begin, end)})

    def _overview_route(self, request: wrappers.Request) -> wrappers.Response:
        _, run = self._run(request)
        timelines = arguments.timelines(run)
        begin, end = arguments.steps(request, next(iter(timelines.values())))
        cells = arguments.integer(request, "cells", figures.MAX_CELLS, least=1)
        return _json(request, overview(timelines, begin, end, cells))

    def _alerts_route(self, request: wrappers.Request) -> wrappers.Response:
        return _json(request, self._alerts.of(self._timeline(request)))

    def _findings_route(self, request: wrappers.Request) -> wrappers.Response:
        _, run = self._run(request)
        revision = run.revision
        return _json(request, {**recorded(run), "revision": revision})

    def _export_route(self, request: wrappers.Request) -> wrappers.Response:
        name, run = self._run(request)
        timeline = arguments.timeline(request, run)
        metric, view = arguments.metric_and_view(request, timeline)
        which = arguments.nodes(request, timeline, len(timeline.tree)) if "nodes" in request.args else None
        begin, end = arguments.steps(request, timeline)
        cells = arguments.integer(request, "cells", table.MAX_VALUES, least=1)
        try:
            lines = table.lines(timeline, metric, view, which, begin, end, cells)
        except table.TooLarge as error:
            raise BadRequest(str(error)) from error
        # In pieces: all lines together may take much more memory than their figures do.
        file = table.file_name(label(name), metric, view)
        headers = {
            "Content-Disposition": f'attachment; filename="{file}"',
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-cache, must-revalidate",
        }
        return wrappers.Response(lines, headers=headers, content_type="text/csv; charset=utf-8")

    def _timeline(self, request: wrappers.Request) -> Timeline:
        return arguments.timeline(request, self._run(request)[1])

    def _run(self, request: wrappers.Request, or_first: bool = False) -> tuple[str, Run]:
        name = self._runs.first(*_asked_by(request)) if or_first else arguments.text(request, "run")
        return name, self._runs.get(*_asked_by(request), name)


def _asked_by(request: wrappers.Request) -> tuple[Any, str]:
    """The data provider's context and the experiment of a request."""
    return plugin_util.context(request.environ), plugin_util.experiment_id(request.environ)


def _within(thread: OneThread, handler: Handler) -> Handler:
    return lambda request: thread.do(lambda: handler(request))


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
