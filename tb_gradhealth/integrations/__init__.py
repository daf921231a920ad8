"""Callbacks for trainers that build, wrap and checkpoint the optimizer themselves. Each module needs its library."""
