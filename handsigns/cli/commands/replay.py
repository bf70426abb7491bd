"""The command `replay`: train a trial again and compare every epoch with the record."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from handsigns.cli.interrupts import UNCHANGED, report_interrupt
from handsigns.cli.options import add_input_options, add_name, input_options
from handsigns.cli.show import FAILED
from handsigns.console.format import pluralize
from handsigns.console.wrap import print_line
from handsigns.workflow.replay import replay
from handsigns.workflow.searches import open_synced

if TYPE_CHECKING:
    from handsigns.workflow.replay import ReplayResult

SUMMARY = (
    "train a trial again and compare every epoch with the record; exit status 1 if they differ"
)
EXAMPLE = "replay first 0007"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the search and the trial."""
    add_name(parser)
    parser.add_argument("trial", metavar="TRIAL", help="trial ID: 0007, or 0007-seed1")
    add_input_options(parser)


def run(options: Namespace) -> int:
    """Replay a trial and print where it differs from the record."""
    with open_synced(options.results, options.name, options.storage) as search:
        retry_command = search.paths.command(
            "replay", options.trial, *input_options(options).arguments
        )
        with report_interrupt(UNCHANGED, retry_command):
            result = replay(search, options.trial, input_options(options))
    for found in result.differences:
        print_line(
            f"epoch {found.epoch}: {found.metric} recorded as {found.recorded!r}, "
            f"replayed as {found.replayed!r}"
        )
    print_line(_verdict(result))
    return 0 if result.identical else FAILED


def _verdict(result: ReplayResult) -> str:
    if result.failure:
        return f"different: {result.failure}"
    verdict = "identical" if result.identical else "different"
    end = ", and diverged again" if result.diverged else ""
    return f"{verdict}: trial {result.trial_id}, {pluralize(len(result.epochs), 'epoch')}{end}"
