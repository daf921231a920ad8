"""The command line: what there is to ask for, and how a command ends."""

from __future__ import annotations

import argparse
import io
import math
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
  gradhealth diff runs/exp1 runs/exp2
  gradhealth doctor exam.py:setup
  gradhealth watch runs/exp1
  gradhealth zeros runs/exp1 --every 1000 -o zeros.txt
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
  gradhealth report runs/exp1 --html exp1.html
""",
    "check": """One line for each finding of this severity or worse, and exit status 1 where there is one.

examples:
  gradhealth check runs/exp1 --fail-on critical
  python train.py && gradhealth check runs/exp1 --fail-on high || exit 1
""",
    "diff": """How the runs were recorded, what their loops logged, every metric of every tensor, and findings. Tensors
stand in the order in which they part; of those that part in the same row the one that is furthest apart comes first.

Figures are compared as they are recorded: what was logged to the last bit, norms to 0.18 %. Apart means |A - B|
beside the larger of both; of fractions |A - B| itself; of a mean beside the RMS. Rows of different cadence are
compared on the coarser grid that both fit in, by their extremes; long runs in coarser rows, and in the finest where
they part first. The course shows how far they are apart from the first step to the last, from 0.01 % (▁) to 100 % (█),
· where they are equal.

examples:
  gradhealth diff runs/exp1 runs/exp2
  gradhealth diff runs/before runs/after --tolerance 0.01 && echo nothing changed
  gradhealth diff runs/exp1 runs/exp2 --json | jq '.tensors[0]'
""",
    "doctor": """FUNCTION takes nothing and returns (model, input_fn, loss_fn), or with its optimizer as the fourth:

  # exam.py
  import torch
  from torch import nn

  def setup():
      model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))
      batch = torch.randn(32, 16), torch.randint(4, (32,))
      def loss(model, batch):
          inputs, labels = batch
          return nn.functional.cross_entropy(model(inputs), labels)
      return model, lambda: batch, loss, torch.optim.AdamW(model.parameters())

One batch goes through the model and back; no step is made, and the model stays as it is. With --steps a copy
is trained for so many steps, and diagnosed as by `gradhealth report`.

examples:
  gradhealth doctor exam.py:setup
  gradhealth doctor mypackage.training:setup --device cuda:0 --steps 20
  gradhealth doctor exam.py:setup --fail-on high && python train.py
  gradhealth doctor exam.py:setup --json | jq '.memory'
""",
    "watch": """What report says, while the run is being recorded: on a terminal a screen that stays in its place,
elsewhere a line for each finding that is new or has become graver, and one a minute that says how far the run is.

A run that has not begun is waited for. The watch ends when the writer does; a training that is killed looks
like one that stands still, which --idle ends. Ctrl-C ends it, too. The exit status is that of check.

examples:
  gradhealth watch runs                     the run that was written to last
  python train.py & gradhealth watch runs/exp1 --idle 600 --fail-on critical; [ $? = 1 ] && kill $!
  gradhealth watch runs/exp1 --zeros 1000 zeros.txt >> watch.log
""",
    "zeros": """For every so many steps the share of elements that are zero, in each tensor and module: the mean over
the last steps of each interval, beside that of the first, and the change since the one before. A module's share
is that of all its elements; steps in which a tensor has no gradient do not count.

Marks are the bands that are published: alert above 5 %, critical above 10 %, or what is published for a
component (see gradient_zeros in the settings of report). They are hints: most healthy networks cross them.

examples:
  gradhealth zeros runs/exp1 --every 1000 --window 100 -o zeros.txt
  gradhealth zeros runs/exp1 --min 5% --sort share | tail -40
  gradhealth zeros runs/exp1 --metric zero_fraction --nodes 'blocks.*' --format csv > zeros.csv
  gradhealth zeros runs/exp1 --stream activations --metric dead_unit_fraction
""",
    "verify": """examples:
  gradhealth verify runs/exp1
  gradhealth verify runs/* && rsync -a runs/ backup/
""",
}

_RUN = "what was given as logdir, or the directory of its event files"
_NODES = "names of tensors and modules, with * ? [ab]; '' is the whole stream; may be given again (all nodes)"


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="gradhealth",
        description="List, diagnose, compare, export and verify recorded runs, and look at models before they are "
        "trained. Viewing: tensorboard --logdir DIR.",
        epilog=_EXAMPLES[""] + "\n" + HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("--version", action=_Version, help="show the version and leave")
    commands = found.add_subparsers(dest="command", metavar="COMMAND", required=True)

    listing = _command(commands, "ls", "list the runs below a directory")
    listing.add_argument("directory", nargs="?", default=".", metavar="DIR", help="where to look (this directory)")
    listing.add_argument("--json", action="store_true", help="a JSON array for programs: sizes in bytes, times in UTC")

    export = _command(commands, "export", "write a run's rows as CSV, JSON lines or Parquet")
    export.add_argument("run", metavar="RUN", help=_RUN)
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
        help=_NODES,
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
    report.add_argument("run", metavar="RUN", help=_RUN)
    form = report.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="all of it as a JSON object for programs")
    form.add_argument(
        "--html",
        metavar="FILE",
        help="one page with heatmaps, for a ticket, instead: it needs no other file; - is standard output. "
        "An older report of that name is replaced, any other file is not",
    )

    check = _command(commands, "check", "fail where a run has a grave finding, for CI")
    check.add_argument("runs", nargs="+", metavar="RUN", help=_RUN)
    check.add_argument(
        "--fail-on",
        choices=("critical", "high", "medium", "low", "notice"),
        default="critical",
        help="the least severity to fail on (critical)",
    )
    watch = _command(commands, "watch", "follow a run, and say what is the matter as soon as it shows")
    watch.add_argument("run", metavar="RUN", help=f"{_RUN}; or one with runs below it: the one written to last")
    watch.add_argument("--every", metavar="SECONDS", type=float, default=2.0, help="how often to look (2)")
    watch.add_argument(
        "--fail-on",
        choices=("critical", "high", "medium", "low", "notice"),
        help="end with status 1 as soon as a finding is as severe (does not end; status as for critical)",
    )
    watch.add_argument("--idle", metavar="SECONDS", type=float, help="end when nothing came for so long; 0: look once")
    watch.add_argument(
        "--zeros", metavar=("STEPS", "FILE"), nargs=2, help="append what zeros shows of every so many steps to a file"
    )

    zeros = _command(commands, "zeros", "write the share of zeros in each tensor, every so many steps")
    zeros.add_argument("run", metavar="RUN", help=_RUN)
    zeros.add_argument("--every", metavar="STEPS", type=int, default=1000, help="steps of an interval (1000)")
    zeros.add_argument("--window", metavar="STEPS", type=int, default=100, help="of which the last are averaged (100)")
    zeros.add_argument("--stream", metavar="NAME", help="the run's first stream by default")
    zeros.add_argument("--metric", metavar="NAME", help="a fraction (near_zero_fraction, where it is recorded)")
    zeros.add_argument("--nodes", metavar="PATTERN", action="append", help=_NODES)
    zeros.add_argument("--min", metavar="SHARE", type=share, default=0.0, help="leave out what is below, as in 5%%")
    zeros.add_argument(
        "--sort", choices=("order", "share"), default="order", help="in the order of the model (default), or by share"
    )
    zeros.add_argument(
        "--format", choices=("text", "csv", "jsonl", "parquet"), help="default: by the name of FILE, else text"
    )
    zeros.add_argument("-o", "--output", metavar="FILE", help="appears when it is complete (standard output)")

    for command in (report, check, watch, zeros):
        command.add_argument("--config", metavar="FILE", help="settings of the rules, in TOML")

    differ = _command(commands, "diff", "say what differs between two runs, and from which step")
    differ.add_argument("a", metavar="RUN_A", help=_RUN)
    differ.add_argument("b", metavar="RUN_B", help="the same of the other run")
    differ.add_argument(
        "--tolerance",
        metavar="T",
        type=tolerance,
        default=0.0,
        help="what is no further apart is the same: 0.01 is 1 %% (0)",
    )
    differ.add_argument("--json", action="store_true", help="all of it as a JSON object for programs")

    doctor = _command(commands, "doctor", "look at a model, its data and its loss before training; needs PyTorch")
    doctor.add_argument("function", metavar="FUNCTION", help="package.module:function or path/to/file.py:function")
    doctor.add_argument("--json", action="store_true", help="all of it as a JSON object for programs")
    doctor.add_argument(
        "--fail-on",
        choices=("critical", "high", "medium", "low", "notice"),
        help="exit status 1 where there is a finding of this severity or worse (never)",
    )
    doctor.add_argument("--device", metavar="NAME", default="cpu", help="where model and batch are moved to (cpu)")
    doctor.add_argument("--steps", metavar="N", type=int, default=1, help="train a copy; needs the optimizer (1)")

    verify = _command(commands, "verify", "read every record and every checksum of event files and archive")
    verify.add_argument("runs", nargs="+", metavar="RUN", help=_RUN)
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


def tolerance(text: str) -> float:
    """A number from 0 up."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number from 0 up, such as 0.01 for 1 %, got {text!r}")
    return value


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


def share(text: str) -> float:
    """``"5%"`` or ``"0.05"``."""
    try:
        found = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise argparse.ArgumentTypeError(f"expected a share such as 5% or 0.05, got {text!r}")
    return found


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
        if options.command == "diff":
            from .differing import differ

            return differ(options)
        if options.command == "doctor":
            from .doctoring import doctor

            return doctor(options)
        if options.command == "watch":
            from .watch import watch

            return watch(options)
        if options.command == "zeros":
            from .zeros import zeros

            return zeros(options)
        from .verify import verify

        return verify(options)
    except BrokenPipeError:
        raise
    except (AskedError, FormatError, ImportError, OSError) as error:
        complain(str(error))
        return FAILED
