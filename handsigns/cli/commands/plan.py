"""The command `plan`: forecast what a search will cost."""

from __future__ import annotations

import dataclasses
import json
from argparse import ArgumentParser, Namespace

from handsigns.cli.interrupts import UNCHANGED, report_interrupt
from handsigns.cli.options import add_format, add_reports, add_results, add_user_code
from handsigns.cli.show_tables import show_forecast
from handsigns.cli.values import counts, positive_int
from handsigns.console.wrap import print_line
from handsigns.workflow.plan import DEFAULT_SEEDS, DEFAULT_WORKERS, plan

SUMMARY = (
    "forecast how long a search will take and what it will cost, by number of workers, from the "
    "learning curves of another search"
)
EXAMPLE = "plan default --from pilot --workers 1,4,16,64 --price 2.5"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the space, the recorded search, the workers and their price."""
    parser.add_argument(
        "space",
        nargs="?",
        metavar="SPACE",
        help="search-space file, or name of a preset (default: that of the recorded search)",
    )
    parser.add_argument(
        "--from",
        dest="name",
        metavar="NAME",
        help="required: search whose trials are the recorded learning curves; a short one is "
        "enough",
    )
    parser.add_argument(
        "--workers",
        type=counts,
        default=DEFAULT_WORKERS,
        metavar="N,N",
        help=f"numbers of concurrent trials (default: {','.join(map(str, DEFAULT_WORKERS))})",
    )
    parser.add_argument(
        "--price", type=float, metavar="P", help="price of a worker for an hour, in any currency"
    )
    parser.add_argument(
        "--seeds",
        type=positive_int,
        default=DEFAULT_SEEDS,
        metavar="N",
        help=f"simulated searches with few workers; with many there are fewer "
        f"(default: {DEFAULT_SEEDS})",
    )
    add_user_code(parser)
    add_format(parser)
    add_results(parser)
    add_reports(parser)


def run(options: Namespace) -> int:
    """Print a forecast and write its page."""
    with report_interrupt(UNCHANGED):
        forecast, page = plan(
            options.name,
            options.space,
            options.workers,
            price=options.price,
            seeds=options.seeds,
            trust_user_code=options.trust_user_code,
            results=options.results,
            reports=options.reports,
        )
    if options.format == "json":
        print(json.dumps(dataclasses.asdict(forecast), indent=2))
        return 0
    show_forecast(forecast)
    print_line(f"written to {page}; open it in a browser")
    return 0
