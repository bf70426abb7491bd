"""The command `resume`: resume an interrupted search, or extend one."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from handsigns.cli.commands.report import write_final_report
from handsigns.cli.options import (
    add_input_options,
    add_name,
    add_ray,
    add_report,
    add_trackers,
    input_options,
    run_options,
)
from handsigns.cli.show import show_next, show_run
from handsigns.workflow.resume import ResumeRequest, resume
from handsigns.workflow.searches import open_synced

SUMMARY = "resume an interrupted search, or extend one by more trials or time"
EXAMPLE = "resume first --trials 80"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the search, its new budget, and the changes to accept."""
    add_name(parser)
    parser.add_argument("--trials", type=int, metavar="N", help="total number of trials")
    parser.add_argument(
        "--time-budget", metavar="T", help="total time, including the time already used: 1h30m"
    )
    add_trackers(parser, "--track")
    add_report(parser)
    add_ray(parser)
    add_input_options(parser)
    parser.add_argument(
        "--accept-changed-data",
        action="store_true",
        help="resume on a changed data set; unfinished trials restart",
    )
    parser.add_argument(
        "--accept-changed-code",
        action="store_true",
        help="resume although the program, its libraries or user code have changed",
    )


def run(options: Namespace) -> int:
    """Resume a search, print its outcome and write its report."""
    request = ResumeRequest(
        settings={name: getattr(options, name) for name in ("trials", "time_budget", "storage")},
        inputs=input_options(options),
        track=options.track,
        accept_changed_data=options.accept_changed_data,
        accept_changed_code=options.accept_changed_code,
    )
    with open_synced(options.results, options.name, options.storage) as search:
        finished = resume(search, request, run_options(options))
        status = show_run(finished)
        write_final_report(finished.search, options)
        show_next(finished.search)
    return status
