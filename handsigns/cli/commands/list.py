"""The command `list`: list all searches in the results folder."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from handsigns.cli.options import add_results
from handsigns.cli.show import show_table
from handsigns.console.format import MISSING, percent
from handsigns.console.program import command
from handsigns.console.wrap import print_line
from handsigns.workflow.searches import open_all, winner_status

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch

SUMMARY = "list all searches in the results folder"
EXAMPLE = "list"

_COLUMNS = ("name", "data", "trials", "best val_accuracy", "best val_loss", "winner")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the option for the results folder."""
    add_results(parser)


def run(options: Namespace) -> int:
    """Print one line per search; for a damaged one, its name and the error."""
    found = open_all(options.results)
    if not found:
        print_line(f"no search in {options.results} yet; start one: {command('run')}")
        return 0
    rows = [
        [entry[0], str(entry[1]), "", "", "", ""] if isinstance(entry, tuple) else _row(entry)
        for entry in found
    ]
    show_table(_COLUMNS, rows, left=("name", "data", "winner"))
    return 0


def _row(search: StoredSearch) -> list[str]:
    best = search.ranked[0].last_epoch if search.ranked else None
    return [
        search.paths.name,
        search.data.info.source,
        str(len(search.journal.records)),
        percent(best.val_accuracy) if best else MISSING,
        f"{best.val_loss:.4f}" if best else MISSING,
        winner_status(search.paths),
    ]
