"""THE table of judges, ours first."""

from __future__ import annotations

import importlib.util

from . import fixed, olmo, smdebug
from .judge import Judge

JUDGES: dict[str, Judge] = {
    "fixed thresholds": fixed.judge,
    "smdebug": smdebug.judge,
    "OLMo 6 sigma": olmo.judge,
}

if importlib.util.find_spec("tb_gradhealth.diagnosis") is not None:
    from . import engine

    JUDGES = {"ours": engine.judge, **JUDGES}
