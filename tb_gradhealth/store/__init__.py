"""What stands in a file: :mod:`.format` (bytes), :mod:`.encoder` (rows → event file), :mod:`.reader` (back)."""
