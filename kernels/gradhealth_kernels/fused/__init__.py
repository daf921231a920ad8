"""The Triton kernels, which import no framework but triton. Their host half is ``pair.py``.

Each file is one idea: ``entries`` the two kernels and their contract, ``single`` and ``double`` how a chunk is read,
``careful`` its rare second reading, ``words`` and ``parts`` what these are made of; ``norm``, ``exponents`` and
``dead_rows``.
"""

from .entries import chunk_entries, tensor_entries
from .norm import total_norm

__all__ = ["chunk_entries", "tensor_entries", "total_norm"]
