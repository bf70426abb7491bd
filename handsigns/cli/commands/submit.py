"""The command `submit`: submit a search to a cluster as a job, and fetch its results."""

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
from handsigns.workflow.data import InputOptions
from handsigns.workflow.retrain import RetrainRequest
from handsigns.workflow.submit import submit

SUMMARY = (
    "submit a search, with its retraining and test, to a cluster as a job that runs independently "
    "of this machine, and fetch the results"
)
EXAMPLE = "submit full --address http://localhost:8265 --storage s3://bucket/runs --name first"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `run` that apply to a cluster."""
    add_space(parser)
    parser.add_argument(
        "--address",
        required=True,
        metavar="URL",
        help="address of the cluster's dashboard, which accepts jobs: http://HOST:8265",
    )
    add_search_settings(parser, "absolute path of a folder, zip or tar of images on the head node")
    add_results(parser)
    add_search_storage(parser, "; required, here or in the search space")
    add_retraining(parser)


def run(options: Namespace) -> int:
    """Submit a search, follow its log and fetch its results."""
    inputs = InputOptions(trust_user_code=options.trust_user_code)
    retraining = RetrainRequest(inputs, options.seeds, options.ensemble)
    succeeded = submit(search_request(options), retraining, options.address)
    return 0 if succeeded else FAILED
