"""The command `check`: check a folder of images for what makes its results worth less."""

from __future__ import annotations

import dataclasses
import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.cli.options import add_format, add_group_by, add_report, add_results, add_size
from handsigns.cli.show import FAILED
from handsigns.cli.show_tables import show_check
from handsigns.console.wrap import print_line
from handsigns.workflow.check import check, write_page

if TYPE_CHECKING:
    from handsigns.data.findings import DataCheck

SUMMARY = (
    "check a folder of images: classes, unusable files, near-duplicates, blurred and dark images"
)
EXAMPLE = "check my/photographs"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the folder, the format and the exit status."""
    parser.add_argument("data", type=Path, metavar="DATA", help="folder, zip or tar of images")
    add_size(parser)
    add_group_by(parser)
    parser.add_argument(
        "--search",
        metavar="NAME",
        help="add the images whose labels are probably wrong, as the models of this search judge",
    )
    add_results(parser)
    add_format(parser)
    parser.add_argument(
        "--strict", action="store_true", help="exit with status 1 if anything was found"
    )
    add_report(parser)


def run(options: Namespace) -> int:
    """Check a folder, print what was found and write the page with the images."""
    found = check(
        options.data,
        size=options.size,
        group_by=options.group_by,
        results=options.results,
        search=options.search,
    )
    if options.format == "json":
        _print_json(found)
    else:
        show_check(found)
    if not options.no_report:
        page = write_page(found, options.reports)
        print_line(f"images: {page} (open it in a browser)", sys.stderr)
    return FAILED if options.strict and found.findings else 0


def _print_json(check: DataCheck) -> None:
    fields = dataclasses.asdict(check)
    for shown in (*fields["findings"], *fields["groups"]):
        for image in shown["images"]:
            del image["thumbnail"]
    print(json.dumps(fields, indent=2))
