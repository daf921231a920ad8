"""Histograms of log2 |x|, as rows have them, in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradhealth_kernels.exponent_table import Span

from ..rows import Floats, Ints
from .extras import needed
from .heatmap import Heatmap

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, repr=False)
class Exponents:
    """``share [node, cell, bin]`` of all elements that have ``2**edges[bin] <= |x| < 2**edges[bin + 1]``, the mean over
    the steps of a cell, NaN where no step had any; a cell covers the steps ``[a, b)`` that ``steps [cell, 2]`` has.

    The first edge is -inf: zeros are in no bin, and neither is what is not finite.
    """

    nodes: tuple[str, ...]
    steps: Ints
    edges: Floats
    share: Floats

    def to_pandas(self) -> pandas.DataFrame:
        """One line for each node and cell, one column for each bin, by the exponent that it ends before."""
        pd = needed("pandas")
        index = pd.MultiIndex.from_product([self.nodes, self.steps[:, 0]], names=["node", "step"])
        return pd.DataFrame(self.share.reshape(len(index), -1), index=index, columns=self.edges[1:])

    def __repr__(self) -> str:
        nodes, cells, bins = self.share.shape
        return f"<exponents: {nodes} nodes × {cells} cells × {bins} bins>"


def of_heatmaps(spans: Sequence[Span], found: Sequence[Heatmap]) -> Exponents:
    """One heatmap for each of the ``spans``, which follow each other."""
    edges = np.array([spans[0].low, *(span.high for span in spans)])
    share = np.stack([one.values for one in found], axis=-1)
    return Exponents(found[0].nodes, found[0].steps, edges, share)
