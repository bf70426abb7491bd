"""The command `audit`: verify a finished search from its files."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from handsigns.cli.interrupts import UNCHANGED, report_interrupt
from handsigns.cli.options import add_input_options, add_name, input_options
from handsigns.cli.show import FAILED, show_next
from handsigns.console.format import pluralize
from handsigns.console.wrap import print_line
from handsigns.workflow.audit import audit
from handsigns.workflow.searches import open_synced

SUMMARY = (
    "verify a finished search: replay every trial, recompute ASHA's decisions, compare the tables "
    "with both; exit status 1 if anything differs"
)
EXAMPLE = "audit first"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the argument for the search."""
    add_name(parser)
    add_input_options(parser)


def run(options: Namespace) -> int:
    """Audit a search and print the problems."""
    with open_synced(options.results, options.name, options.storage) as search:
        retry_command = search.paths.command("audit", *input_options(options).arguments)
        with report_interrupt(UNCHANGED, retry_command):
            found = audit(search, input_options(options))
    print_line(
        f"{pluralize(found.trials, 'trial')}, {found.resumed} resumed, {found.replayed} replayed"
    )
    if not_replayed := found.trials - found.replayed:
        count = pluralize(not_replayed, "trial")
        print_line(f"note: {count} not replayed, as the images have changed since")
    for problem in found.problems:
        print_line(f"problem: {problem}")
    if found.problems:
        return FAILED
    show_next(search)
    return 0
