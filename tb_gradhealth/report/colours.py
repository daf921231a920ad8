"""The colours of a heatmap, and pictures in them: cividis, which is even in lightness and looks much the same to the
colour-blind (Nuñez, Anderton and Renslow, PLoS ONE 13(7), 2018), as the tab has it."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..rows import Floats
from ..store.cells import BAD

#: Colours of a picture: nothing (transparent), not finite, exactly 0 on a logarithmic scale, and the ramp.
NOTHING, NOT_FINITE, ZERO, FIRST, RAMP = 0, 1, 2, 3, 120
#: As in the tab; the ramp has neither of them.
NOT_FINITE_RGB, ZERO_RGB = (196, 0, 150), (150, 190, 235)
#: Share of the values that may be below a logarithmic ramp, so that a few do not take up most of it. As many far above
#: the others, by a factor, have the brightest part of the ramp for themselves, from the knee on.
BELOW, ABOVE, FAR, KNEE = 0.02, 0.002, 100.0, 0.8
#: Coefficients of t⁰ … t⁵ for red, green and blue (d3-scale-chromatic).
_CIVIDIS = (
    (-4.54, -35.34, 2381.73, -6402.7, 7024.72, -2710.57),
    (32.49, 170.73, 52.82, -131.46, 176.58, -67.37),
    (81.24, 442.36, -2482.43, 6167.24, -6614.94, 2475.67),
)


def _palette() -> bytes:
    t = np.linspace(0, 1, RAMP)
    ramp = np.stack([np.polynomial.polynomial.polyval(t, one) for one in _CIVIDIS], axis=1)
    special = np.array([(0, 0, 0), NOT_FINITE_RGB, ZERO_RGB])
    return bytes(np.clip(np.rint(np.concatenate([special, ramp])), 0, 255).astype(np.uint8))


PALETTE = _palette()


@dataclass(frozen=True)
class Scale:
    """From the darkest to the brightest colour; what is below has the darkest. Of a logarithmic one the part above
    ``knee`` is for what is far above the rest, if anything is."""

    low: float
    high: float
    logarithmic: bool
    knee: float | None = None

    @classmethod
    def of(cls, values: Floats, logarithmic: bool) -> Scale:
        shown = values[np.isfinite(values) & ((values > 0) | (not logarithmic))]
        if not len(shown):
            return cls(1.0, 1.0, logarithmic) if logarithmic else cls(0.0, 0.0, False)
        high = float(shown.max())
        if not logarithmic:
            return cls(min(float(shown.min()), 0.0), high, False)
        low, knee = np.quantile(shown, [BELOW, 1 - ABOVE], method="nearest").tolist()
        return cls(low, high, True, knee if high > FAR * knee else None)

    def indices(self, values: Floats, flags: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Colours of ``values [node, cell]`` with the ``flags`` of a heatmap."""
        found = np.full(values.shape, NOTHING, np.uint8)
        shown = np.isfinite(values)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = self._share(values)
        ramp = FIRST + np.rint(np.clip(np.nan_to_num(share), 0, 1) * (RAMP - 1))
        found[shown] = ramp[shown].astype(np.uint8)
        if self.logarithmic:
            found[values == 0] = ZERO
        found[(flags & sum(BAD.values()) > 0) | np.isinf(values)] = NOT_FINITE
        return found

    def _share(self, values: Floats) -> Floats:
        """Of the way from the darkest to the brightest colour."""
        if not self.logarithmic:
            return (values - self.low) / (self.high - self.low) if self.high > self.low else np.zeros(values.shape)
        points = [self.low, self.high] if self.knee is None else [self.low, self.knee, self.high]
        places = [0.0, 1.0] if self.knee is None else [0.0, KNEE, 1.0]
        if self.high == self.low:
            return np.ones(values.shape)
        return np.interp(np.log(values), np.log(points), places)


def picture(indices: npt.NDArray[np.uint8]) -> str:
    """``indices [row, column]`` as the address of a PNG that is part of it."""
    height, width = indices.shape
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits a pixel, which name a colour of the palette
    lines = np.concatenate([np.zeros((height, 1), np.uint8), indices], axis=1).tobytes()  # no filter
    chunks = [(b"IHDR", head), (b"PLTE", PALETTE), (b"tRNS", b"\0"), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)
    return "data:image/png;base64," + base64.b64encode(data).decode()


def ramp() -> str:
    """The ramp from left to right, as :func:`picture` has it."""
    return picture(np.arange(FIRST, FIRST + RAMP, dtype=np.uint8)[None])


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
