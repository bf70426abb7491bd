"""The command `resume`: continue a search that was interrupted, or give one more."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from handsigns.cli.commands.report import report_at_end
from handsigns.cli.options import (
    add_name,
    add_ray,
    add_report,
    add_sources,
    add_trackers,
    run_options,
    sources,
)
from handsigns.cli.show import show_next, show_run
from handsigns.workflow.resume import ResumeRequest, resume
from handsigns.workflow.searches import opened

SUMMARY = "resume a search that was interrupted, or give one more trials or time"
EXAMPLE = "resume first --trials 80"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the search, how much more it is given, and which changes are accepted."""
    add_name(parser)
    parser.add_argument("--trials", type=int, metavar="N", help="configurations in all")
    parser.add_argument("--time-budget", metavar="T", help="in all, with the time already used")
    add_trackers(parser, "--track")
    add_report(parser)
    add_ray(parser)
    add_sources(parser)
    parser.add_argument(
        "--accept-changed-data",
        action="store_true",
        help="go on although the pictures are not the same; unfinished trials start over on them",
    )
    parser.add_argument(
        "--accept-changed-code",
        action="store_true",
        help="go on although the program, its libraries or your own code are not the same",
    )


def run(options: Namespace) -> int:
    """Resume a search, print its outcome and write its report."""
    request = ResumeRequest(
        settings={name: getattr(options, name) for name in ("trials", "time_budget", "storage")},
        sources=sources(options),
        track=options.track,
        accept_changed_data=options.accept_changed_data,
        accept_changed_code=options.accept_changed_code,
    )
    with opened(options.results, options.name, options.storage) as search:
        finished = resume(search, request, run_options(options))
        status = show_run(finished)
        report_at_end(finished.search, options)
        show_next(finished.search)
    return status
