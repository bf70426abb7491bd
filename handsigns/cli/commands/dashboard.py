"""The command `dashboard`: view a search in optuna-dashboard."""

from __future__ import annotations

import contextlib
from argparse import ArgumentParser, Namespace

from handsigns.cli.options import add_name
from handsigns.cli.values import port_or_free
from handsigns.workflow.searches import open_synced
from handsigns.workflow.trackers import serve_dashboard

SUMMARY = "view a search in optuna-dashboard, live while it runs (on loopback)"
EXAMPLE = "dashboard first --port 8080"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the search and the port."""
    add_name(parser)
    parser.add_argument(
        "--port",
        type=port_or_free,
        default=8080,
        metavar="N",
        help="port; 0 for any free one (default: 8080)",
    )


def run(options: Namespace) -> int:
    """Serve the dashboard until Ctrl-C."""
    with (
        open_synced(options.results, options.name, options.storage) as search,
        contextlib.suppress(KeyboardInterrupt),
    ):
        serve_dashboard(search, options.port)
    return 0
