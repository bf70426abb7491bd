"""Section of a model card on the exported ONNX graphs."""

from __future__ import annotations

from pathlib import Path

from handsigns.console.sanitize import escape_markdown
from handsigns.reporting.exports import GraphTable, int8_table, onnx_table
from handsigns.results.exports import read_int8_export, read_onnx_profile


def exports_section(folder: Path) -> str:
    """Return size, latency and accuracy of the ONNX graphs as Markdown; empty without any.

    The comparison with int8 covers the float32 graph, too.

    Raises:
        ResultsError: a record is damaged.
    """
    int8, profile = read_int8_export(folder), read_onnx_profile(folder)
    if int8 is not None:
        return _section(int8_table(int8))
    return "" if profile is None else _section(onnx_table(profile))


def _section(table: GraphTable) -> str:
    rows = [table.columns, *table.rows]
    header, *body = ("| " + " | ".join(row) + " |" for row in rows)
    rule = "| --- |" + " ---: |" * (len(table.columns) - 1)
    notes = (escape_markdown(note) for note in table.notes)
    return "\n".join(["## Exported graphs", "", header, rule, *body, "", "\n".join(notes)])
