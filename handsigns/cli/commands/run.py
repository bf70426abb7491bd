"""The command `run`: search, re-evaluate, retrain, test and report."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from handsigns.cli.commands.reevaluate import reevaluate_and_show
from handsigns.cli.commands.report import write_final_report
from handsigns.cli.commands.retrain import retrain_and_show
from handsigns.cli.commands.search import plan_from_options
from handsigns.cli.commands.test import evaluate_and_show
from handsigns.cli.options import (
    DEFAULT_SPACE,
    add_new_search,
    add_retraining,
    add_space,
    run_options,
)
from handsigns.cli.show import show_next, show_run
from handsigns.workflow.data import InputOptions
from handsigns.workflow.new_search import start_search
from handsigns.workflow.retrain import RetrainRequest
from handsigns.workflow.searches import reload
from handsigns.workflow.sync import push_on_exit

if TYPE_CHECKING:
    from handsigns.results.paths import SearchPaths
    from handsigns.results.store import StoredSearch

SUMMARY = "search, re-evaluate the top trials, retrain the winner, test it and write the report"
EXAMPLE = "run default --data my/photographs --time-budget 15m"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `search`, with a default space, and those of `retrain`."""
    add_space(parser, DEFAULT_SPACE)
    add_new_search(parser)
    add_retraining(parser)


def run(options: Namespace) -> int:
    """Run the whole pipeline, from a search space to a tested winner and a report."""
    inputs = InputOptions(trust_user_code=options.trust_user_code)
    request = RetrainRequest(inputs, options.seeds, options.ensemble)
    new = plan_from_options(options)
    if new is None:
        return 0
    with push_on_exit(new.paths):
        finished = start_search(new, run_options(options))
        search, status = finished.search, show_run(finished)
        try:
            if status == 0:
                _select_and_test(search, request, options.address)
        finally:
            write_final_report(reload(search), options)
        if status:
            show_next(search)
    return status


def _select_and_test(search: StoredSearch, request: RetrainRequest, address: str | None) -> None:
    """Re-evaluate the top trials, retrain the best of them and test it."""
    if search.config.reevaluation.top:
        search = reevaluate_and_show(search, {}, request.inputs, address=address)
    retrain_and_show(search, request, address=address)
    evaluate_and_show(search, request.inputs)
    _print_artifacts(search.paths)


def _print_artifacts(paths: SearchPaths) -> None:
    print(
        f"\nall files are in {paths.root}:\n"
        f"  leaderboard.csv            the trials, best first; see also trials.csv, epochs.csv\n"
        f"  winner/model.safetensors   the retrained model, with config.yaml and metrics.json\n"
        f"  winner/test.json           its test result\n"
        f"  search.yaml                the resolved search configuration\n"
        f"predict: {paths.command('predict', 'IMAGE…', *paths.trust_options)}\n"
        f"replay:  {paths.command('replay', 'TRIAL', *paths.trust_options)}"
    )
