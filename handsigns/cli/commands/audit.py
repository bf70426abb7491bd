"""The command `audit`: check from a finished search's files what must hold of it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from handsigns.cli.interruption import UNCHANGED, interruption, source_options
from handsigns.cli.options import add_name, add_sources, sources
from handsigns.cli.show import FAILED, show_next
from handsigns.console.format import counted
from handsigns.console.wrap import show_line
from handsigns.workflow.audit import audit
from handsigns.workflow.searches import opened

SUMMARY = (
    "check a finished search: train every trial again, compute ASHA's decisions again, compare the "
    "tables with both; exit status 1 if anything differs"
)
EXAMPLE = "audit first"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the search."""
    add_name(parser)
    add_sources(parser)


def run(options: Namespace) -> int:
    """Audit a search and print what does not hold."""
    with opened(options.results, options.name, options.storage) as search:
        again = search.paths.command("audit", *source_options(sources(options)))
        with interruption(UNCHANGED, again):
            found = audit(search, sources(options))
    show_line(
        f"{counted(found.trials, 'trial')}, {found.resumed} resumed, {found.replayed} replayed"
    )
    for problem in found.problems:
        show_line(f"wrong: {problem}")
    if found.problems:
        return FAILED
    show_next(search)
    return 0
