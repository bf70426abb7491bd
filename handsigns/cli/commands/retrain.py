"""The command `retrain`: train the best configuration again on train and validation split."""

from __future__ import annotations

import statistics
from argparse import ArgumentParser, Namespace
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from handsigns.cli.commands.report import report_at_end
from handsigns.cli.interruption import interruption, source_options, written
from handsigns.cli.options import add_name, add_report, add_retraining, add_sources, sources
from handsigns.cli.show import show_next
from handsigns.console.format import counted
from handsigns.console.wrap import show_line
from handsigns.workflow.data import Sources
from handsigns.workflow.retrain import retrain
from handsigns.workflow.searches import opened

if TYPE_CHECKING:
    from handsigns.results.paths import SearchPaths
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
        show_next(search)
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
    with _interruption(search.paths, sources, trial, seeds, ensemble=ensemble):
        card, runs = retrain(search, sources, trial=trial, seeds=seeds, ensemble=ensemble)
    seconds = [sum(metrics.epoch_seconds for metrics in run.epochs) for run in runs]
    kept = "the one with the lowest loss on these images" if len(runs) > 1 else "it"
    if len(card.seeds) > 1:
        kept = f"{len(card.seeds)} as an ensemble"
    print()
    show_line(
        f"retrained trial {card.trial_id} ({card.chosen}) for {counted(card.epochs, 'epoch')} "
        f"with {counted(len(runs), 'fresh seed')}, {statistics.mean(seconds):.1f} s each; kept "
        f"{kept}: {search.paths.winner / 'model.safetensors'}"
    )


def _interruption(
    paths: SearchPaths, sources: Sources, trial: str | None, seeds: int, *, ensemble: bool
) -> AbstractContextManager[None]:
    card = paths.winner / "config.yaml"
    before = written(card)

    def stands() -> str:
        now = written(card)
        if now is None:
            return f"there is no winner of {paths.name} yet"
        return f"{'the earlier' if now == before else 'the new'} winner is whole, in {paths.winner}"

    which = [] if trial is None else ["--trial", trial]
    options = [*which, "--seeds", str(seeds), *(["--ensemble"] if ensemble else [])]
    again = paths.command("retrain", *options, *source_options(sources))
    return interruption(stands, again)
