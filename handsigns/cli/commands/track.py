"""The command `track`: export a finished search and its winner to experiment trackers."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from handsigns.cli.options import add_name, add_trackers
from handsigns.cli.show import show_trackers
from handsigns.workflow.searches import open_synced
from handsigns.workflow.trackers import export_to_trackers

SUMMARY = "export a finished search and its winner to experiment trackers (idempotent)"
EXAMPLE = "track first --to tensorboard,mlflow"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the search and the trackers."""
    add_name(parser)
    add_trackers(parser, "--to", required=True)


def run(options: Namespace) -> int:
    """Export a search, as far as it has run, and print how to view it."""
    with open_synced(options.results, options.name, options.storage) as search:
        config = export_to_trackers(search, options.to)
    show_trackers(search.paths, config)
    return 0
