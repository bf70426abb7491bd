"""The command `serve`: the winner in front of a camera, and over HTTP."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from handsigns.cli.options import add_name, add_user_code
from handsigns.cli.values import port
from handsigns.workflow.serve import serve
from handsigns.workflow.sync import synced_search_dir

SUMMARY = "show the winner's predictions for the camera on a page, and serve them over HTTP"
EXAMPLE = "serve first --port 8000"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the search and the port."""
    add_name(parser)
    parser.add_argument("--port", type=port, default=8000, metavar="N", help="port (default: 8000)")
    add_user_code(parser)


def run(options: Namespace) -> int:
    """Serve the page and predictions until Ctrl-C."""
    with synced_search_dir(options.results, options.name, options.storage) as paths:
        serve(paths, options.port, trust_user_code=options.trust_user_code)
    return 0
