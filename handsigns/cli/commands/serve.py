"""The command `serve`: answer requests with the winner."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from handsigns.cli.options import add_name, add_user_code, port
from handsigns.workflow.serve import serve
from handsigns.workflow.sync import synced

SUMMARY = "answer requests with the winner, on this machine alone, until Ctrl-C"
EXAMPLE = "serve first --port 8000"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the search and the port."""
    add_name(parser)
    parser.add_argument("--port", type=port, default=8000, metavar="N", help="default: 8000")
    add_user_code(parser)


def run(options: Namespace) -> int:
    """Serve predictions until the user ends it."""
    with synced(options.results, options.name, options.storage) as paths:
        serve(paths, options.port, trust_user_code=options.own_code)
    return 0
