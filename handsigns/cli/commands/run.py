"""The command `run`: search, re-evaluate, retrain, test and report, in one go."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from handsigns.cli.commands.reevaluate import reevaluate_and_show
from handsigns.cli.commands.report import report_at_end
from handsigns.cli.commands.retrain import retrain_and_show
from handsigns.cli.commands.search import planned
from handsigns.cli.commands.test import evaluate_and_show
from handsigns.cli.options import (
    DEFAULT_SPACE,
    add_new_search,
    add_retraining,
    add_space,
    run_options,
)
from handsigns.cli.show import show_next, show_run
from handsigns.workflow.data import Sources
from handsigns.workflow.new_search import start_search
from handsigns.workflow.sync import pushed

if TYPE_CHECKING:
    from handsigns.results.paths import SearchPaths
    from handsigns.results.store import StoredSearch

SUMMARY = "search, print the leaderboard, retrain the winner and test it, in one go"
EXAMPLE = "run default --data my/photographs --time-budget 15m"


def add_arguments(parser: ArgumentParser) -> None:
    """Add what `search` has, with a default space, and what `retrain` has."""
    add_space(parser, DEFAULT_SPACE)
    add_new_search(parser)
    add_retraining(parser)


def run(options: Namespace) -> int:
    """Go the whole way from a search space to a tested winner and a report."""
    new = planned(options)
    if new is None:
        return 0
    with pushed(new.paths):
        finished = start_search(new, run_options(options))
        search, status = finished.search, show_run(finished)
        if status == 0:
            search, status = _choose_and_test(search, options)
        report_at_end(search, options)
        if status:
            show_next(search)
    return status


def _choose_and_test(search: StoredSearch, options: Namespace) -> tuple[StoredSearch, int]:
    """Re-evaluate the top trials, retrain the best of them and test it."""
    sources = Sources(trust_user_code=options.own_code)
    if search.study.reevaluation.top:
        search, status = reevaluate_and_show(search, {}, sources, address=options.address)
        if status:
            return search, status
    retrain_and_show(search, sources, seeds=options.seeds, ensemble=options.ensemble)
    evaluate_and_show(search, sources)
    _show_places(search.paths)
    return search, 0


def _show_places(paths: SearchPaths) -> None:
    print(
        f"\neverything is in {paths.root}:\n"
        f"  leaderboard.csv            the trials, best first; also trials.csv and epochs.csv\n"
        f"  winner/model.safetensors   the retrained model, with config.yaml and metrics.json\n"
        f"  winner/test.json           its test result\n"
        f"  study.yaml                 the search as it was run\n"
        f"try it: {paths.command('predict', 'IMAGE…', *paths.trust)}\n"
        f"check:  {paths.command('replay', 'TRIAL', *paths.trust)}"
    )
