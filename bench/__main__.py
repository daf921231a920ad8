"""``python -m bench COMMAND``: see ``python -m bench --help``."""

from __future__ import annotations

import argparse

from . import boundary, overhead


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    overhead.add_arguments(commands.add_parser("overhead", help=overhead.SUMMARY, description=overhead.__doc__))
    boundary.add_arguments(commands.add_parser("boundary", help=boundary.SUMMARY, description=boundary.__doc__))
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
