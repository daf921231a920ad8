"""``python -m bench store``: long, wide and archived recordings, and what writing and reading them costs."""
