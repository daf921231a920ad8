"""The Grad Health tab in a real browser, over a real TensorBoard with recordings of the sizes that it is to bear."""
