"""The command `reevaluate`: train the top trials again with fresh seeds."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING

from handsigns.cli.commands.report import report_at_end
from handsigns.cli.options import add_name, add_report, add_sources, positive, sources
from handsigns.cli.show import INTERRUPTED, show_next, show_reevaluation
from handsigns.workflow.data import Sources
from handsigns.workflow.reevaluate import SETTINGS, reevaluate
from handsigns.workflow.searches import opened
from handsigns.workflow.trials import RunOptions

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch

SUMMARY = (
    "train the best trials again with fresh seeds, to choose the winner without the search's luck; "
    "without --top, --seeds and --folds an interrupted one is resumed as it was planned"
)
EXAMPLE = "reevaluate first --top 5 --seeds 3 --folds 5"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the search, and how its trials are trained again."""
    add_name(parser)
    parser.add_argument(
        "--top", type=positive, metavar="K", help="how many of the best (default: the search's own)"
    )
    parser.add_argument(
        "--seeds",
        type=positive,
        metavar="N",
        help="fresh seeds for each (default: the search's own)",
    )
    parser.add_argument(
        "--folds",
        type=int,
        metavar="F",
        help="hold out each of F folds of training and validation images, for every seed; 0 keeps "
        "the validation split (default: the search's own)",
    )
    parser.add_argument("--time-budget", metavar="T", help="10m; what all have by then is compared")
    parser.add_argument("--address", metavar="A", help="Ray cluster to train on")
    add_report(parser)
    add_sources(parser)


def run(options: Namespace) -> int:
    """Re-evaluate the top trials of a search and write its report."""
    with opened(options.results, options.name, options.storage) as search:
        search, status = reevaluate_and_show(
            search,
            {name: getattr(options, name) for name in SETTINGS},
            sources(options),
            address=options.address,
        )
        report_at_end(search, options)
        show_next(search)
    return status


def reevaluate_and_show(
    search: StoredSearch,
    values: Mapping[str, object],
    sources: Sources,
    *,
    address: str | None,
) -> tuple[StoredSearch, int]:
    """Re-evaluate the top trials; return the search, read again, and the exit status."""
    options = RunOptions(address, exit_at_second_interrupt=True)
    search, outcome = reevaluate(search, values, sources, options)
    if outcome is not None and outcome.by_user:
        print(f"interrupted; resume with: {search.paths.repeats.go_on}", file=sys.stderr)
        return search, INTERRUPTED
    show_reevaluation(search, outcome)
    return search, 0
