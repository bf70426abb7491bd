"""The command `retrain`: retrain the best configuration on train and validation split."""

from __future__ import annotations

import statistics
from argparse import ArgumentParser, Namespace
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from handsigns.cli.commands.report import write_final_report
from handsigns.cli.interrupts import file_signature, report_interrupt
from handsigns.cli.options import (
    add_address,
    add_input_options,
    add_name,
    add_report,
    add_retraining,
    input_options,
)
from handsigns.cli.show import show_next
from handsigns.cli.values import margin
from handsigns.console.format import pluralize
from handsigns.console.wrap import print_line
from handsigns.workflow.retrain import RetrainRequest, retrain
from handsigns.workflow.searches import open_synced
from handsigns.workflow.trials import RunOptions

if TYPE_CHECKING:
    from handsigns.results.paths import SearchPaths
    from handsigns.results.store import StoredSearch

SUMMARY = (
    "retrain the best configuration on the training and validation splits combined; an "
    "interrupted retraining is resumed by the same command"
)
EXAMPLE = "retrain first --seeds 5"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the search, the trial, and the retraining options."""
    add_name(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--trial", metavar="ID", help="ID of the trial (default: the best)")
    which.add_argument(
        "--smallest-within",
        type=margin,
        metavar="P",
        help="retrain the trial with the fewest parameters whose validation accuracy is at most P "
        "below the best one's, such as 0.5%%; of the re-evaluated trials if there are any",
    )
    add_retraining(parser)
    add_address(parser)
    add_report(parser)
    add_input_options(parser)


def run(options: Namespace) -> int:
    """Retrain a configuration of a search and write its report."""
    request = RetrainRequest(
        input_options(options),
        options.seeds,
        options.ensemble,
        options.trial,
        options.smallest_within,
    )
    with open_synced(options.results, options.name, options.storage) as search:
        retrain_and_show(search, request, address=options.address)
        write_final_report(search, options)
        show_next(search)
    return 0


def retrain_and_show(search: StoredSearch, request: RetrainRequest, *, address: str | None) -> None:
    """Retrain a configuration and print the outcome."""
    options = RunOptions(address, exit_on_second_interrupt=True)
    with _interruption(search.paths, request, address):
        card, runs = retrain(search, request, options)
    seconds = [sum(metrics.epoch_seconds for metrics in run.epochs) for run in runs]
    kept = "the one with the lowest training loss" if len(runs) > 1 else "it"
    if len(card.seeds) > 1:
        kept = f"{len(card.seeds)} as an ensemble"
    print()
    print_line(
        f"retrained trial {card.trial_id} (selected by {card.selected_by}) for "
        f"{pluralize(card.epochs, 'epoch')} with {pluralize(len(runs), 'fresh seed')}, "
        f"{statistics.mean(seconds):.1f} s each; kept {kept}: "
        f"{search.paths.winner / 'model.safetensors'}"
    )


def _interruption(
    paths: SearchPaths, request: RetrainRequest, address: str | None
) -> AbstractContextManager[None]:
    config_file = paths.winner / "config.yaml"
    before = file_signature(config_file)

    def state() -> str:
        now = file_signature(config_file)
        if now is None:
            return f"there is no winner of {paths.name} yet"
        which = "previous" if now == before else "new"
        return f"the {which} winner is intact, in {paths.winner}"

    return report_interrupt(state, paths.command("retrain", *request.arguments(address)))
