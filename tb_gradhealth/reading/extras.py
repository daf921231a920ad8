"""Libraries that only some ways out need."""

from __future__ import annotations

import importlib
from typing import Any

#: The extra of our distribution that brings a library.
EXTRAS = {"pandas": "pandas", "pyarrow": "parquet"}


def needed(name: str) -> Any:
    """The library ``name``; raises an ImportError that says how to get it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ImportError(
            f"this needs {name}, which is not installed in this environment: "
            f"run `pip install 'tb-gradhealth[{EXTRAS[name]}]'`",
            name=name,
        ) from error
