"""The command `track`: export a finished search and its winner to experiment trackers."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from handsigns.cli.options import add_name, add_trackers
from handsigns.cli.show import show_trackers
from handsigns.workflow.searches import opened
from handsigns.workflow.trackers import export_to_trackers

SUMMARY = "hand a search that was run, and its winner, to other tools; again does no harm"
EXAMPLE = "track first --to tensorboard,mlflow"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the search and the trackers."""
    add_name(parser)
    add_trackers(parser, "--to", required=True)


def run(options: Namespace) -> int:
    """Export a search, as far as it has run, and print where to look at it."""
    with opened(options.results, options.name, options.storage) as search:
        study = export_to_trackers(search, options.to)
    show_trackers(search.paths, study)
    return 0
