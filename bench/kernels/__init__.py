"""``python -m bench kernels``: cases × contenders, behind a gate of correctness; ``command`` is where it starts."""
