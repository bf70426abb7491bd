"""Output of the commands `plan`, `check`, `suspects` and `export`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handsigns.cli.show import show_table
from handsigns.console.format import pluralize
from handsigns.console.wrap import print_line

if TYPE_CHECKING:
    from handsigns.data.findings import DataCheck
    from handsigns.policy.forecast import Forecast
    from handsigns.results.paths import SearchPaths
    from handsigns.results.suspects import SuspectLabels
    from handsigns.workflow.export import ExportedGraph

_SPLITS = ("train", "val", "test")
_MAX_CLASSES = 20
"""Maximum number of classes printed; of more, only the rarest."""
_MAX_SUSPECTS = 20
"""Suspect labels printed."""


def show_forecast(forecast: Forecast) -> None:
    """Print a forecast by target and number of workers, and what follows from it."""
    from handsigns.reporting.plan import notes, plan_columns, plan_rows, verdicts

    show_table(plan_columns(forecast), plan_rows(forecast), left=("target",))
    for line in verdicts(forecast):
        print_line(line)
    for note in notes(forecast):
        print_line(f"note: {note}")


def show_check(check: DataCheck) -> None:
    """Print the images of each class, and what the check of a data set found."""
    from handsigns.reporting.data_check import class_counts, listed

    print_line(f"{check.source}: {pluralize(check.num_images, 'image')}")
    if check.held_out:
        print_line(f"split off from train: {' and '.join(check.held_out)}")
    rows = sorted(class_counts(check), key=lambda row: row[1][0])
    if len(rows) <= _MAX_CLASSES:
        rows = list(class_counts(check))
    show_table(
        ("class", *_SPLITS),
        [[label, *map(str, counts)] for label, counts in rows[:_MAX_CLASSES]],
        left=("class",),
    )
    if len(rows) > _MAX_CLASSES:
        print_line(f"(the {_MAX_CLASSES} classes with the fewest training images of {len(rows)})")
    print_line(f"file sizes: {listed(check.file_sizes)}; modes: {listed(check.file_modes)}")
    print()
    for finding in check.findings:
        print_line(f"{finding.message}")
        print_line(f"  {finding.advice}")
        if finding.examples:
            print_line(f"  for example: {', '.join(finding.examples[:3])}")
    if not check.findings:
        print_line("nothing was found")


def show_suspects(suspects: SuspectLabels, paths: SearchPaths) -> None:
    """Print the suspect labels of a search, and the accuracy that its labels allow."""
    from handsigns.reporting.suspects import (
        COLUMNS,
        TEXT_COLUMNS,
        describe_leak_effect,
        summary_lines,
        table_row,
    )

    shown = suspects.suspects[:_MAX_SUSPECTS]
    if shown:
        rows = [[str(n), *table_row(suspect)] for n, suspect in enumerate(shown, 1)]
        show_table(("rank", *COLUMNS), rows, left=TEXT_COLUMNS)
        if suspects.num_suspects > len(shown):
            print_line(f"and {suspects.num_suspects - len(shown)} more")
        print()
    for line in summary_lines(suspects, paths):
        print_line(line)
    if suspects.leak_effect is not None:
        print_line(f"{describe_leak_effect(suspects.leak_effect)}.")


def show_graph(graph: ExportedGraph) -> None:
    """Print size, latency and, of an int8 graph, the error of an exported graph."""
    from handsigns.reporting.exports import int8_table, onnx_table

    tables = [onnx_table(graph.onnx)] if graph.onnx is not None else []
    if graph.int8 is not None:
        tables.append(int8_table(graph.int8))
    for table in tables:
        print()
        show_table(table.columns, table.rows, left=table.columns[:1])
        for note in table.notes:
            print_line(note)
