"""The command `search`: search hyperparameters and print the leaderboard."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from handsigns.cli.commands.report import report_at_end
from handsigns.cli.interruption import interruption
from handsigns.cli.options import add_new_search, add_space, run_options, search_request
from handsigns.cli.show import show_next, show_run
from handsigns.workflow.new_search import plan_search, print_plan, start_search
from handsigns.workflow.sync import pushed

if TYPE_CHECKING:
    from handsigns.workflow.new_search import NewSearch

SUMMARY = "search hyperparameters and print the leaderboard"
EXAMPLE = "search default --data my/photographs --trials 40 --name first"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the space, the budget, the data and where to run."""
    add_space(parser)
    add_new_search(parser)


def run(options: Namespace) -> int:
    """Run a new search, print its outcome and write its report."""
    new = planned(options)
    if new is None:
        return 0
    with pushed(new.paths):
        finished = start_search(new, run_options(options))
        status = show_run(finished)
        report_at_end(finished.search, options)
        show_next(finished.search)
    return status


def planned(options: Namespace) -> NewSearch | None:
    """Return the search that is to be started; None after a dry run, whose plan is printed."""
    with interruption("no search was started"):
        new = plan_search(search_request(options), dry_run=options.dry_run)
    if options.dry_run:
        print_plan(new.study)
        return None
    return new
