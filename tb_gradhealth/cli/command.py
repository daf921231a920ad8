"""The command line: what there is to ask for, and how a command ends."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

import tb_gradhealth

from .status import CLOSED_PIPE, FAILED, HELP, INTERRUPTED
from .terminal import complain

_EXAMPLES = {
    "": """examples:
  gradhealth ls runs
  gradhealth export runs/exp1 --metric norm --nodes 'blocks.*.attn.*' > norms.csv
  gradhealth report runs/exp1
  gradhealth check runs/exp1 --fail-on critical
  gradhealth verify runs/exp1
""",
    "ls": """examples:
  gradhealth ls                       every run below this directory
  gradhealth ls runs --json | jq '.[] | select(.full | not) | .label'
""",
    "export": """One line for each row and node: start, stop (of its steps), node, kind (total, module or tensor),
recorded (steps measured), with_data (steps in which the node had a gradient), first_bad (first step with a
NaN or infinity), <metric>_mean, _min and _max over the steps, and totals of the counts.

Norms and other magnitudes are stored with an error of at most 0.18 %, fractions 0.05 %, counts exactly.
Where there is no value, CSV has nothing and JSON null. In CSV, control characters of names are written as
\\x1b, and names that a spreadsheet would take for a formula stand behind an apostrophe.

examples:
  gradhealth export runs/exp1 -o exp1.parquet
  gradhealth export runs/exp1 --metric norm,nonfinite --steps 1000:2000 > window.csv
  gradhealth export runs/exp1 --format jsonl --nodes '' --width 500 | jq .norm_max
""",
    "report": """The verdict, then each finding: when, evidence, probable causes (the likeliest first), what to do, and
why it may be normal; then what was not looked at, since it was not recorded. Settings are a TOML file:

  skip = ["plateau"]
  [rules.weight_growth]
  times = 10.0                        a threshold
  severity = "high"
  [rules.gradient_zeros.modules]
  "*self_attn.in_proj_*" = { share = 0.2 }

Rules of installed packages (entry points tb_gradhealth.rules) take part.

examples:
  gradhealth report runs/exp1
  gradhealth report runs/exp1 --json | jq '.findings[] | {type, node, start}'
""",
    "check": """One line for each finding of this severity or worse, and exit status 1 where there is one.

examples:
  gradhealth check runs/exp1 --fail-on critical
  python train.py && gradhealth check runs/exp1 --fail-on high || exit 1
""",
    "verify": """examples:
  gradhealth verify runs/exp1
  gradhealth verify runs/* && rsync -a runs/ backup/
""",
}


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="gradhealth",
        description="List, diagnose, export and verify recorded runs. Viewing: tensorboard --logdir DIR.",
        epilog=_EXAMPLES[""] + "\n" + HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--version", action=_Version, help="show the version and leave")
    commands = found.add_subparsers(dest="command", metavar="COMMAND", required=True)

    listing = _command(commands, "ls", "list the runs below a directory")
    listing.add_argument("directory", nargs="?", default=".", metavar="DIR", help="where to look (this directory)")
    listing.add_argument("--json", action="store_true", help="a JSON array for programs: sizes in bytes, times in UTC")

    export = _command(commands, "export", "write a run's rows as CSV, JSON lines or Parquet")
    export.add_argument("run", metavar="RUN", help="what was given as logdir, or the directory of its event files")
    export.add_argument(
        "--format",
        choices=("csv", "jsonl", "parquet"),
        help="default: by the name of FILE, else csv; parquet needs -o and pip install 'tb-gradhealth[parquet]'",
    )
    export.add_argument("-o", "--output", metavar="FILE", help="appears when it is complete (standard output)")
    export.add_argument("--stream", metavar="NAME", help="the run's first stream by default")
    export.add_argument(
        "--metric", metavar="NAME", action="append", help="may be given again, or with commas (all metrics)"
    )
    export.add_argument(
        "--nodes",
        metavar="PATTERN",
        action="append",
        help="names of tensors and modules, with * ? [ab]; '' is the whole stream; may be given again (all nodes)",
    )
    export.add_argument(
        "--steps", metavar="A:B", type=steps, help="from step A to before step B; either may be left out"
    )
    coarser = export.add_mutually_exclusive_group()
    coarser.add_argument("--level", metavar="K", type=int, help="rows of 16^K times as many steps")
    coarser.add_argument(
        "--width", metavar="N", type=int, help="the finest level that shows these steps in at most N rows"
    )

    report = _command(commands, "report", "say what is the matter with a run")
    report.add_argument("run", metavar="RUN", help="as for export")
    report.add_argument("--json", action="store_true", help="all of it as a JSON object for programs")

    check = _command(commands, "check", "fail where a run has a grave finding, for CI")
    check.add_argument("runs", nargs="+", metavar="RUN", help="as for export")
    check.add_argument(
        "--fail-on",
        choices=("critical", "high", "medium", "low", "notice"),
        default="critical",
        help="the least severity to fail on (critical)",
    )
    for command in (report, check):
        command.add_argument("--config", metavar="FILE", help="settings of the rules, in TOML")

    verify = _command(commands, "verify", "read every record and every checksum of event files and archive")
    verify.add_argument("runs", nargs="+", metavar="RUN", help="as for export")
    return found


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, about: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog=_EXAMPLES[name] + "\n" + HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


class _Version(argparse.Action):
    """Asks for the version only when it is wanted."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: str | None) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=options.get("help"))

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"gradhealth {tb_gradhealth.__version__}")
        parser.exit()


def steps(text: str) -> tuple[int | None, int | None]:
    """``"A:B"`` as an interval of steps."""
    first, colon, end = text.partition(":")
    if not colon or not all(part.isdecimal() or not part for part in (first, end)):
        raise argparse.ArgumentTypeError(f"expected A:B, A: or :B in whole steps, got {text!r}")
    return int(first) if first else None, int(end) if end else None


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the encoding lacks is no reason to fail
    options = parser().parse_args(arguments)
    try:
        status = _run(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # What is still buffered would be tried again at exit, and complained about.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE


def _run(options: argparse.Namespace) -> int:
    # numpy and TensorBoard's protocol take a moment to load, which --help and a wrong option need not wait for.
    from ..reading.choose import AskedError
    from ..store.format import FormatError

    try:
        if options.command == "ls":
            from .listing import ls

            return ls(options)
        if options.command == "export":
            from .export import export

            return export(options)
        if options.command in ("report", "check"):
            from . import diagnosing

            return diagnosing.report(options) if options.command == "report" else diagnosing.check(options)
        from .verify import verify

        return verify(options)
    except BrokenPipeError:
        raise
    except (AskedError, FormatError, ImportError, OSError) as error:
        complain(str(error))
        return FAILED
