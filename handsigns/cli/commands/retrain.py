"""The command `retrain`: train the best configuration again on train and validation split."""

from __future__ import annotations

import statistics
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from handsigns.cli.commands.report import report_at_end
from handsigns.cli.options import add_name, add_report, add_retraining, add_sources, sources
from handsigns.workflow.data import Sources
from handsigns.workflow.retrain import retrain
from handsigns.workflow.searches import opened

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch

SUMMARY = "train the best configuration again, on train and validation split together"
EXAMPLE = "retrain first --seeds 5"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the search, the trial, and how often it is trained."""
    add_name(parser)
    parser.add_argument("--trial", metavar="ID", help="another trial than the best")
    add_retraining(parser)
    add_report(parser)
    add_sources(parser)


def run(options: Namespace) -> int:
    """Retrain a configuration of a search and write its report."""
    with opened(options.results, options.name, options.storage) as search:
        retrain_and_show(
            search,
            sources(options),
            trial=options.trial,
            seeds=options.seeds,
            ensemble=options.ensemble,
        )
        report_at_end(search, options)
    return 0


def retrain_and_show(
    search: StoredSearch,
    sources: Sources,
    *,
    trial: str | None = None,
    seeds: int,
    ensemble: bool,
) -> None:
    """Retrain a configuration and print what was trained and kept."""
    card, runs = retrain(search, sources, trial=trial, seeds=seeds, ensemble=ensemble)
    seconds = [sum(metrics.epoch_seconds for metrics in run.epochs) for run in runs]
    kept = "the one with the lowest loss on these pictures"
    if len(card.seeds) > 1:
        kept = f"{len(card.seeds)} as an ensemble"
    print(
        f"\nretrained trial {card.trial_id} ({card.chosen}) for {card.epochs} epochs with "
        f"{len(runs)} fresh seeds, {statistics.mean(seconds):.1f} s each; kept {kept}: "
        f"{search.paths.winner / 'model.safetensors'}"
    )
