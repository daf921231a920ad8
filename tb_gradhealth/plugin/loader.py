"""Entry point of the group ``tensorboard_plugins``.

An error while this module is imported would take all of TensorBoard down, so it imports TensorBoard's own base class
and nothing else; the plugin proper is imported in :meth:`GradHealthLoader.load`, where a failure costs only our tab.
"""

from __future__ import annotations

import argparse
import logging
from typing import Any

from tensorboard.plugins import base_plugin

#: Keep every event: TensorBoard's default of 10 random samples a tag would lose nearly all of a run.
ALL_SAMPLES = 0


class GradHealthLoader(base_plugin.TBLoader):
    """Gives the plugin its own sampling default, then loads it."""

    def define_flags(self, parser: argparse.ArgumentParser) -> None:
        """No flags of our own: ``--samples_per_plugin gradhealth=N`` is TensorBoard's."""

    def fix_flags(self, flags: argparse.Namespace) -> None:
        """Runs before any event is read; what the user said stays."""
        samples = getattr(flags, "samples_per_plugin", None)
        if isinstance(samples, dict) and "gradhealth" not in samples:
            flags.samples_per_plugin = {**samples, "gradhealth": ALL_SAMPLES}

    def load(self, context: base_plugin.TBContext) -> Any:
        """The plugin, or None with a line in the log when it cannot be imported."""
        try:
            from .routes import GradHealthPlugin

            return GradHealthPlugin(context)
        except Exception as error:
            logging.getLogger("tb_gradhealth").warning(
                "the Grad Health tab is off (%s: %s): check the installation with `pip check`",
                type(error).__name__,
                error,
            )
            return None
