"""What is looked at beside the gradients: a stream is named tensors, a cadence and a set of entries, nothing more."""
