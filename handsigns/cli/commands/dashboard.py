"""The command `dashboard`: look at a search in optuna-dashboard."""

from __future__ import annotations

import contextlib
from argparse import ArgumentParser, Namespace

from handsigns.cli.options import add_name, port_or_free
from handsigns.workflow.searches import opened
from handsigns.workflow.trackers import serve_dashboard

SUMMARY = "look at a search in optuna-dashboard, live while it runs; for this machine alone"
EXAMPLE = "dashboard first --port 8080"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the search and the port."""
    add_name(parser)
    parser.add_argument(
        "--port", type=port_or_free, default=8080, metavar="N", help="0 takes a free one (8080)"
    )


def run(options: Namespace) -> int:
    """Serve the dashboard until Ctrl-C."""
    with (
        opened(options.results, options.name, options.storage) as search,
        contextlib.suppress(KeyboardInterrupt),
    ):
        serve_dashboard(search, options.port)
    return 0
