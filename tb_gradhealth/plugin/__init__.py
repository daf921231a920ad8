"""The TensorBoard plugin: :mod:`.loader` (entry point), :mod:`.runs`; HTTP are :mod:`.routes`, :mod:`.arguments` and
:mod:`.one_thread`.

What is answered: :mod:`.meta`, :mod:`.tiles`, :mod:`.figures`, :mod:`.overview` with :mod:`.logged`, :mod:`.table`, and
:mod:`.alerts`, which are :mod:`.findings` by the :mod:`.rules`.

Imports neither torch nor triton, so it works in an environment that only has TensorBoard.
"""
