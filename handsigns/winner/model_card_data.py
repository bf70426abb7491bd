"""The section of a model card about the data."""

from __future__ import annotations

from pathlib import Path

from handsigns.console.sanitize import inert
from handsigns.data.splits import DataInfo

_MOST_COLUMNS = 12
"""Classes that a table has room for side by side."""


def data_section(info: DataInfo) -> str:
    """Return source, fingerprint, images of each split and notes, as Markdown."""
    table = _counts_by_class(info) if len(info.classes) <= _MOST_COLUMNS else _counts_in_all(info)
    notes = [f"- {inert(note)}" for note in info.notes]
    # Without the folders around it, which are no one else's business.
    about = f"Source: {inert(Path(info.source).name)}. Fingerprint: {inert(info.fingerprint)}."
    return "\n".join(["## Data", "", about, "", *table, *(["", *notes] if notes else [])])


def _counts_by_class(info: DataInfo) -> list[str]:
    return [
        "| split | images | " + " | ".join(map(inert, info.classes)) + " |",
        "| --- | ---: |" + " ---: |" * len(info.classes),
        *(
            f"| {inert(split)} | {sum(counts)} | " + " | ".join(map(str, counts)) + " |"
            for split, counts in info.counts.items()
        ),
    ]


def _counts_in_all(info: DataInfo) -> list[str]:
    return [
        "| split | images | classes | fewest of a class | most of a class |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {inert(split)} | {sum(counts)} | {len(counts)} | {min(counts, default=0)} | "
            f"{max(counts, default=0)} |"
            for split, counts in info.counts.items()
        ),
    ]
