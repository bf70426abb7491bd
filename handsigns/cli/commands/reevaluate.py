"""The command `reevaluate`: re-evaluate the top trials with fresh seeds."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import TYPE_CHECKING

from handsigns.cli.commands.report import write_final_report
from handsigns.cli.options import (
    add_address,
    add_input_options,
    add_name,
    add_report,
    input_options,
)
from handsigns.cli.show import show_next, show_reevaluation
from handsigns.cli.values import positive_int
from handsigns.workflow.data import InputOptions
from handsigns.workflow.reevaluate import REEVALUATION_SETTINGS, reevaluate
from handsigns.workflow.searches import open_synced, reload
from handsigns.workflow.trials import RunOptions

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch

SUMMARY = (
    "re-evaluate the top trials with fresh seeds, to avoid the winner's curse; an "
    "interrupted re-evaluation is resumed, unless --top, --seeds or --folds is given"
)
EXAMPLE = "reevaluate first --top 5 --seeds 3 --folds 5"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the search, and the settings of the re-evaluation."""
    add_name(parser)
    parser.add_argument(
        "--top",
        type=positive_int,
        metavar="K",
        help="number of top trials (default: the search's own)",
    )
    parser.add_argument(
        "--seeds",
        type=positive_int,
        metavar="N",
        help="fresh seeds per trial (default: the search's own)",
    )
    parser.add_argument(
        "--folds",
        type=int,
        metavar="F",
        help="folds of the training and validation images for cross-validation, per seed; 0 keeps "
        "the validation split (default: the search's own)",
    )
    parser.add_argument(
        "--time-budget", metavar="T", help="time limit, after which finished runs are compared: 10m"
    )
    add_address(parser)
    add_report(parser)
    add_input_options(parser)


def run(options: Namespace) -> int:
    """Re-evaluate the top trials of a search and write its report."""
    with open_synced(options.results, options.name, options.storage) as search:
        values = {name: getattr(options, name) for name in REEVALUATION_SETTINGS}
        inputs = input_options(options)
        try:
            search = reevaluate_and_show(search, values, inputs, address=options.address)
        except KeyboardInterrupt:
            write_final_report(reload(search), options)
            raise
        write_final_report(search, options)
        show_next(search)
    return 0


def reevaluate_and_show(
    search: StoredSearch,
    values: Mapping[str, object],
    input_options: InputOptions,
    *,
    address: str | None,
) -> StoredSearch:
    """Re-evaluate the top trials and print the outcome; return the reloaded search."""
    options = RunOptions(address, exit_on_second_interrupt=True)
    search, outcome = reevaluate(search, values, input_options, options)
    show_reevaluation(search, outcome)
    return search
