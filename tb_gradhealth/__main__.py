"""``python -m tb_gradhealth``: the command ``gradhealth``."""

import sys

from .cli.command import main

if __name__ == "__main__":
    sys.exit(main())
