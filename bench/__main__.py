"""``python -m bench [COMMAND]``: without a command, ``kernels``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import boundary, diagnosis_doctor, diagnosis_engine, fuzz, tune
from .diagnosis import command as diagnosis
from .frontend import command as frontend
from .kernels import command as kernels
from .overhead import command as overhead
from .store import command as store

COMMANDS = {
    "kernels": kernels,
    "overhead": overhead,
    "boundary": boundary,
    "store": store,
    "frontend": frontend,
    "diagnosis": diagnosis,
    "diagnosis_doctor": diagnosis_doctor,
    "diagnosis_engine": diagnosis_engine,
    "fuzz": fuzz,
    "tune": tune,
}


def main(arguments: Sequence[str] | None = None) -> None:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        given.insert(0, "kernels")
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        module.add_arguments(commands.add_parser(name, help=module.SUMMARY, description=module.__doc__))
    options = parser.parse_args(given)
    try:
        options.run(options)
    except KeyboardInterrupt:
        print("\n" * sys.stderr.isatty() + "interrupted: what was printed or saved until now holds", file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
