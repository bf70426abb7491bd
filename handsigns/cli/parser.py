"""Argument parser of the program; each command adds its own arguments.

Only the module of the invoked command is imported; all of them for `--help`.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import textwrap
from collections.abc import Iterable, Sequence

from handsigns.console.program import program

COMMANDS = (
    "run", "search", "plan", "latency", "submit", "resume",
    "list", "watch", "leaderboard", "report", "suspects", "compare",
    "reevaluate", "retrain", "test", "predict", "export", "serve",
    "replay", "audit", "check", "prepare", "dashboard", "track",
)  # fmt: skip
"""Commands in the order of `--help`; each is a module of `handsigns.cli.commands`."""

_DESCRIPTION = (
    "Search hyperparameters for an image classifier: Ray Tune runs the trials, Optuna suggests "
    "configurations, ASHA pauses unpromising ones early and promotes the best; the winner is "
    "retrained and tested."
)
_EXAMPLES = {
    "run": "search, retrain and test on synthetic hands",
    "run default --data my/photographs": "the same on your own images",
    "search default --set space.learning_rate.low=1e-4 --dry-run": "",
    "leaderboard NAME --top 10": "",
    "COMMAND --help": "the options of a command, with an example",
}
_EXAMPLE_WIDTH = 35


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; the result's `run` is the function of the command."""
    called = arguments[0] if arguments else None
    names = [called] if called in COMMANDS else COMMANDS
    return make_parser(names).parse_args(arguments)


def make_parser(names: Iterable[str] = COMMANDS) -> argparse.ArgumentParser:
    """Create a parser for these commands."""
    parser = argparse.ArgumentParser(
        prog=program(),
        description=_wrap(_DESCRIPTION),
        epilog=_examples(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in names:
        module = importlib.import_module(f"handsigns.cli.commands.{name}")
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=_wrap(module.SUMMARY[0].upper() + module.SUMMARY[1:] + "."),
            epilog=f"example:\n  {program()} {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def _wrap(description: str) -> str:
    """Wrap a description as argparse wraps the rest; only the examples keep their lines."""
    return textwrap.fill(description, shutil.get_terminal_size().columns - 2)


def _examples() -> str:
    lines = [
        f"  {program()} {line:{_EXAMPLE_WIDTH}} {what}".rstrip() for line, what in _EXAMPLES.items()
    ]
    return "\n".join(["examples:", *lines])


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from handsigns._version import __version__

        print(f"handsigns {__version__}")
        parser.exit()
