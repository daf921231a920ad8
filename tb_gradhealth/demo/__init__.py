"""A small GPT trained on the standard library's own source, twice: once in health, once dying. ``./dev demo``."""
