"""The TensorBoard plugin: :mod:`.loader` (entry point), :mod:`.routes` (HTTP), :mod:`.arguments` of these, :mod:`.runs`.

What is answered: :mod:`.meta`, :mod:`.tiles`, :mod:`.figures`, :mod:`.overview` with :mod:`.logged`, :mod:`.table`, and
:mod:`.alerts`, which are :mod:`.findings` by the :mod:`.rules`.

Imports neither torch nor triton, so it works in an environment that only has TensorBoard.
"""
