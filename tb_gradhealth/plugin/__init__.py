"""The TensorBoard plugin: :mod:`.loader` (entry point), :mod:`.routes` (HTTP), :mod:`.runs`, :mod:`.tiles`.

Imports neither torch nor triton, so it works in an environment that only has TensorBoard.
"""
