"""One read of a tensor, all its statistics: Triton kernels, their plain-torch reference and the CPU path.

The tables (:mod:`.statistics`, :mod:`.metrics`) need numpy alone; what measures tensors needs torch, and
:mod:`.fused` needs triton. Nothing here imports ``tb_gradhealth``.
"""
