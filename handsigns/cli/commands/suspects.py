"""The command `suspects`: list the images whose labels are probably wrong."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from handsigns.cli.options import add_name, add_reports
from handsigns.cli.show_tables import show_suspects
from handsigns.console.wrap import print_line
from handsigns.workflow.searches import open_synced
from handsigns.workflow.suspects import load_suspects, write_suspects_file

if TYPE_CHECKING:
    from handsigns.results.paths import SearchPaths
    from handsigns.results.suspects import SuspectLabels

SUMMARY = (
    "list the images whose labels are probably wrong: those that the good models of a search, none "
    "of them trained on these images, agree on against their label"
)
EXAMPLE = "suspects first"


def add_arguments(parser: ArgumentParser) -> None:
    """Add arguments for the search, the format and the folder of the table."""
    add_name(parser)
    add_reports(parser)
    parser.add_argument(
        "--format",
        choices=("table", "csv", "json"),
        default="table",
        help="output format; only table also writes suspects.csv (default: table)",
    )


def run(options: Namespace) -> int:
    """Print the suspect labels and write the table to edit."""
    with open_synced(options.results, options.name, options.storage) as search:
        suspects, paths = load_suspects(search), search.paths
        corrected = bool(search.data.corrections)
    if options.format == "csv":
        suspects.write_csv(sys.stdout)
    elif options.format == "json":
        _print_json(suspects)
    else:
        show_suspects(suspects, paths)
        _write_table(suspects, paths, options, corrected=corrected)
    return 0


def _print_json(suspects: SuspectLabels) -> None:
    fields = dataclasses.asdict(suspects)
    for suspect in fields["suspects"]:
        del suspect["image"]["thumbnail"]
    print(
        json.dumps(
            fields
            | {"attainable_accuracy": suspects.attainable_accuracy, "ci95": suspects.interval},
            indent=2,
        )
    )


def _write_table(
    suspects: SuspectLabels, paths: SearchPaths, options: Namespace, *, corrected: bool
) -> None:
    if not suspects.suspects:
        return
    file, is_current = write_suspects_file(suspects, options.reports / paths.name)
    print()
    if not is_current:
        print_line(
            f"note: {file} has other rows, perhaps edited, and was kept; move it away to have it "
            f"written anew"
        )
        return
    relabel = f"--relabel {shlex.quote(str(file))}"
    earlier = "; repeat the tables that this search was given" if corrected else ""
    print_line(
        f"written to {file}. Look at the images in the report; keep the rows whose label is wrong, "
        f"and search again with {relabel}, or --exclude for images that show no class{earlier}"
    )
