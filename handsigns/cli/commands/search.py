"""The command `search`: search hyperparameters and print the leaderboard."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from handsigns.cli.commands.report import write_final_report
from handsigns.cli.interrupts import report_interrupt
from handsigns.cli.options import add_new_search, add_space, run_options, search_request
from handsigns.cli.show import show_next, show_run
from handsigns.workflow.new_search import plan_search, print_plan, start_search
from handsigns.workflow.sync import push_on_exit

if TYPE_CHECKING:
    from handsigns.workflow.new_search import PlannedSearch

SUMMARY = "search hyperparameters and print the leaderboard"
EXAMPLE = "search default --data my/photographs --trials 40 --name first"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the space, and all options of a new search."""
    add_space(parser)
    add_new_search(parser)


def run(options: Namespace) -> int:
    """Run a new search, print its outcome and write its report."""
    new = plan_from_options(options)
    if new is None:
        return 0
    with push_on_exit(new.paths):
        finished = start_search(new, run_options(options))
        status = show_run(finished)
        write_final_report(finished.search, options)
        show_next(finished.search)
    return status


def plan_from_options(options: Namespace) -> PlannedSearch | None:
    """Return the planned search; None after a dry run, which prints the plan."""
    with report_interrupt("no search was started"):
        new = plan_search(search_request(options), dry_run=options.dry_run)
    if options.dry_run:
        print_plan(new.config, options.address)
        return None
    return new
