"""A look at a model before it is trained: ``doctor(model, input_fn, loss_fn)``, the command ``gradhealth doctor``."""

from __future__ import annotations

from .asking import ContractError
from .examination import doctor
from .report import Report

__all__ = ["ContractError", "Report", "doctor"]
