"""Whether what happens to one tensor at one step is seen in the pixels, at any zoom and whatever is folded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tb_gradhealth.nodes import Tree
from tb_gradhealth.plugin import tiles
from tb_gradhealth.store.reader import open_directory
from tb_gradhealth.store.timeline import Timeline

from ..store.figure import Figure, WrongResult
from ..store.progress import Progress
from ..store.training import KINDS
from ..store.writing import Recorded, directory
from .browser import Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Rgb = tuple[int, int, int]
#: The ends of the colour map (d3's cividis at 0 and 1), and the colour of NaN and Inf (plugin_frontend/README.md).
BOTTOM: Rgb
TOP: Rgb
BOTTOM, TOP, NON_FINITE = (0, 32, 81), (253, 234, 69), (196, 0, 150)
#: An exact zero on a log scale, which lies below every drop.
ZERO: Rgb = (150, 190, 235)
TOLERANCE = 4
#: Colours this share of the map away from an end are others than the end's.
MARGIN = 0.03
#: Modules that a link may fold otherwise than its base, fewer than the 40 that it has room for.
MOST_FOLDS = 30
#: A random window has at least this many cells.
LEAST_CELLS = 30
#: Pixels in both directions of a canvas's corner that are compared with the screen.
SAMPLED = 150
BAD = 0b111  # flags of NaN, +Inf and −Inf


@dataclass(frozen=True)
class Layer:
    """A metric and view, held to a range of colours that only what is planted leaves."""

    metric: str
    view: str
    scale: str
    low: float
    high: float

    @property
    def parts(self) -> dict[str, str]:
        held = f"{self.low:g}_{self.high:g}"
        return {"metric": self.metric, "view": self.view, "scale": self.scale, "range": held}

    def is_usual(self, value: float, flags: int) -> bool:
        """Whether a cell must look different from both ends and from NaN."""
        if flags & BAD or not value > 0:
            return False
        low, high, at = np.log([self.low, self.high, value]) if self.scale == "log" else (self.low, self.high, value)
        return bool(MARGIN < (at - low) / (high - low) < 1 - MARGIN)


#: Where each kind of event shows in its own tensor, and in a module around it.
NORM = Layer("norm", "max", "log", 1e-9, 1e5)
LEAST_NORM = Layer("norm", "min", "log", 1e-9, 1e5)
WORST_ZERO = Layer("near_zero_fraction", "worst", "linear", 0.0, 0.999)
OF_TENSOR = {"spike": NORM, "drop": LEAST_NORM, "nan": NORM}
OF_MODULE = {"spike": NORM, "drop": WORST_ZERO, "nan": NORM}


@dataclass(frozen=True)
class Look:
    """An event at ``step``, which shows in the row ``node`` when modules are unfolded as ``open`` says."""

    kind: str
    step: int
    node: int
    open: str
    window: tuple[int, int]
    layer: Layer


def planted(recorded: Recorded) -> Iterator[tuple[str, int, int]]:
    """Kind, step and tensor of what was planted, where it is shown: see ``sampled_rows``."""
    case, events = recorded.case, recorded.case.training().events
    for step, tensor, kind in zip(events.step.tolist(), events.tensor.tolist(), events.kind.tolist(), strict=True):
        if step < recorded.whole:
            yield KINDS[kind], step, tensor
        if case.sampled and recorded.whole <= step * case.sampled_width < case.steps:
            yield KINDS[kind], step * case.sampled_width, tensor


def looks(recorded: Recorded, tree: Tree, count: int, generator: np.random.Generator) -> Iterator[Look]:
    """Random events, zooms and folds."""
    events = list(planted(recorded))
    leaves = np.empty(len(tree.leaf_order), np.intp)
    leaves[tree.leaf_order] = tree.leaf_nodes
    modules = [node for node in range(1, len(tree)) if tree.kinds[node] != "tensor"]
    for index in generator.choice(len(events), count, replace=count > len(events)):
        kind, step, tensor = events[index]
        path = [int(leaves[tensor])]
        while path[0] > 0:
            path.insert(0, int(tree.parent[path[0]]))
        base = str(generator.choice(["all", "top"]))
        changed = set(generator.choice(modules, min(MOST_FOLDS // 2, len(modules) // 2), replace=False).tolist())
        # On a path with other folds than the base's, there are all depths.
        changed ^= {node for node in path[:-1] if generator.random() < (0.9 if base == "top" else 0.1)}
        unfolded = {node: (node in changed) != (base == "all" or node == 0) for node in path[:-1]}
        node = next((node for node in path[:-1] if not unfolded[node]), path[-1])
        layer = (OF_TENSOR if node == path[-1] else OF_MODULE)[kind]
        width = int(np.exp(generator.uniform(np.log(LEAST_CELLS * recorded.case.every), np.log(recorded.case.steps))))
        first = max(0, min(step - int(generator.uniform(0.02, 0.98) * width), recorded.case.steps - width))
        yield Look(kind, step, node, _open(tree, base, changed), (first, first + width), layer)


def _open(tree: Tree, base: str, changed: set[int]) -> str:
    """The fragment's text for folds: a dot stands before what is folded."""
    folded = {node for node in changed if base == "all" or node == 0}
    return "".join(
        f"{text}~" for text in [base, *(("." if n in folded else "") + _key(tree, n) for n in sorted(changed))]
    )


def _key(tree: Tree, node: int) -> str:
    return f"{tree.kinds[node]}-{tree.names[node]}"


def found(browser: Browser, url: str, recorded: Recorded, count: int, seed: int = 0) -> Iterator[Figure]:
    """Raises WrongResult if not all are found, or if a cell that the reader knows to be usual looks like an event."""
    timeline = open_directory(directory(recorded.logdir)).timeline("gradients")
    generator = np.random.default_rng(seed)
    name = f"{recorded.case.name}: planted events by pixel"
    controls, kinds, widths = 0, set[tuple[str, str]](), set[int]()
    with Tab(browser, url) as tab, Progress(name, count) as progress:
        tab.rest()
        for done, look in enumerate(looks(recorded, timeline.tree, count, generator)):
            _go(tab, timeline.tree, look)
            _seen(tab, look, recorded)
            controls += _controlled(tab, timeline, look, generator)
            kinds.add((look.kind, timeline.tree.kinds[look.node]))
            widths.add(tab.ask("health.state().level"))
            progress.at(done + 1)
        _on_screen(tab)
    note = f"{count} zooms and folds, levels {min(widths)} to {max(widths)}; {controls} usual cells are usual"
    yield Figure("planted events found by pixel", 100.0, "%", 100.0, at_least=True, note=note)


def _go(tab: Tab, tree: Tree, look: Look) -> None:
    before = tab.ask("probe.drawings")
    start, end = look.window
    tab.go({**look.layer.parts, "open": look.open, "steps": f"{start}_{end}", "top": _key(tree, look.node)})
    known = [before, look.node, look.step, look.layer.metric, look.layer.view]
    try:
        tab.wait(
            "probe.drawings > given[0] && health.state().complete && health.rectOf(given[1], given[2]) !== null"
            " && health.state().metric === given[3] && health.state().view === given[4]",
            known,
        )
    except Exception as error:
        if type(error).__name__ != "TimeoutError":
            raise
        raise WrongResult(f"the tab did not come to {look}, it shows {tab.ask('health.state()')}"[:800]) from error


def _seen(tab: Tab, look: Look, recorded: Recorded) -> None:
    pixels = _pixels(tab, tab.ask("health.rectOf(given[0], given[1])", [look.node, look.step]))
    expected = NON_FINITE if look.kind == "nan" else BOTTOM if look.layer is LEAST_NORM else TOP
    # A NaN of the same cell covers all else, and says more; so does a zero among the least.
    enough = {expected, NON_FINITE} | ({ZERO} if look.layer is LEAST_NORM else set())
    if not any(_near(pixels, colour).any() for colour in enough):
        got = np.unique(pixels, axis=0)[:4].tolist()
        raise WrongResult(f"{recorded.case.name}: expected {expected} for {look}, the pixels are {got}")


def _controlled(tab: Tab, timeline: Timeline, look: Look, generator: np.random.Generator) -> int:
    """One random cell of the picture against the reader: whether it looks usual if it is."""
    x, y = (generator.uniform(0, 1, 2) * tab.ask("probe.size()")).tolist()
    cell = tab.ask("health.cellAt(given[0], given[1])", [x, y])
    if cell is None:
        return 0
    grid = tiles.grid(timeline, cell["level"], cell["index"], 1)
    which = np.array([cell["node"]], np.intp)
    value = float(tiles.shown_in(timeline, look.layer.metric, look.layer.view, which, grid)[0, 0])
    if not look.layer.is_usual(value, int(timeline.flags(which, grid)[0, 0])):
        return 0
    pixels = _pixels(tab, tab.ask("health.rectOf(given[0], given[1])", [cell["node"], grid.begin]))
    for colour in (TOP, BOTTOM, NON_FINITE):
        if _near(pixels, colour).any():
            raise WrongResult(f"{cell} is {value:g} and looks like {colour}")
    return 1


def _pixels(tab: Tab, rect: dict[str, float]) -> npt.NDArray[np.int_]:
    """``[pixel, rgb]``, without the line between rows."""
    inner = {**rect, "height": max(1.0, rect["height"] - 2)}
    pixels: npt.NDArray[np.int_] = np.array(tab.ask("probe.pixels(given)", inner), np.int_).reshape(-1, 3)
    return pixels


def _near(pixels: npt.NDArray[np.int_], colour: Rgb) -> npt.NDArray[np.bool_]:
    near: npt.NDArray[np.bool_] = (np.abs(pixels - np.array(colour)) <= TOLERANCE).all(axis=1)
    return near


def _on_screen(tab: Tab) -> None:
    """What the canvas holds is what the screen shows: all but what lies upon it."""
    import io

    from PIL import Image

    # A tooltip would lie upon it.
    tab.page.mouse.move(1, 1)
    box: Any = tab.frame.locator("[data-testid=heatmap]").bounding_box()
    size = {"x": 0, "y": 0, "width": SAMPLED, "height": SAMPLED}
    drawn = np.array(tab.ask("probe.pixels(given)", size)).reshape(size["height"], size["width"], 3)
    shot = tab.page.screenshot(clip={**size, "x": box["x"], "y": box["y"]})
    shown = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)
    same = float((np.abs(shown - drawn) <= TOLERANCE).all(axis=2).mean())
    if same < 0.95:
        raise WrongResult(f"expected what the canvas holds on the screen, {same:.0%} of it is")
