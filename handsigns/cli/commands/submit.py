"""The command `submit`: have a cluster run a search by itself, and fetch what comes out."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from handsigns.cli.options import (
    add_results,
    add_retraining,
    add_search_settings,
    add_search_storage,
    add_space,
    search_request,
)
from handsigns.cli.show import FAILED
from handsigns.workflow.submit import submit

SUMMARY = (
    "hand a search, with its retraining and test, to a cluster; it goes on when this machine is "
    "off, and the results are fetched in the end"
)
EXAMPLE = "submit full --address http://localhost:8265 --storage s3://bucket/runs --name first"


def add_arguments(parser: ArgumentParser) -> None:
    """Add what `run` has, as far as it is for the cluster."""
    add_space(parser)
    parser.add_argument(
        "--address",
        required=True,
        metavar="URL",
        help="of the cluster's dashboard, which takes jobs: http://HOST:8265",
    )
    add_search_settings(parser, "folder of photographs, as the cluster's head has it")
    add_results(parser)
    add_search_storage(parser)
    add_retraining(parser)


def run(options: Namespace) -> int:
    """Submit a search, follow its log and fetch its results."""
    succeeded = submit(
        search_request(options),
        options.address,
        seeds=options.seeds,
        ensemble=options.ensemble,
    )
    return 0 if succeeded else FAILED
