"""The command `replay`: train a trial again and compare every epoch with the record."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from handsigns.cli.interruption import UNCHANGED, interruption, source_options
from handsigns.cli.options import add_name, add_sources, sources
from handsigns.cli.show import FAILED
from handsigns.console.format import counted
from handsigns.console.wrap import show_line
from handsigns.workflow.replay import replay
from handsigns.workflow.searches import opened

if TYPE_CHECKING:
    from handsigns.workflow.replay import ReplayResult

SUMMARY = "run a trial again and compare every epoch with the record; exit status 1 if they differ"
EXAMPLE = "replay first 0007"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the search and the trial."""
    add_name(parser)
    parser.add_argument("trial", metavar="TRIAL", help="a trial_id: 0007, or 0007-seed1")
    add_sources(parser)


def run(options: Namespace) -> int:
    """Replay a trial and print where it differs from the record."""
    with opened(options.results, options.name, options.storage) as search:
        again = search.paths.command("replay", options.trial, *source_options(sources(options)))
        with interruption(UNCHANGED, again):
            result = replay(search, options.trial, sources(options))
    for found in result.differences:
        show_line(
            f"epoch {found.epoch}: {found.metric} {found.recorded!r} became {found.replayed!r}"
        )
    show_line(_verdict(result))
    return 0 if result.identical else FAILED


def _verdict(result: ReplayResult) -> str:
    if result.failure:
        return f"different: {result.failure}"
    verdict = "identical" if result.identical else "different"
    end = ", and diverged again" if result.diverged else ""
    return f"{verdict}: trial {result.trial_id}, {counted(len(result.epochs), 'epoch')}{end}"
