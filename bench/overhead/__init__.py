"""``python -m bench overhead``: what the writer costs a training; ``command`` is where it starts."""
