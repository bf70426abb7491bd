"""Data section of a model card."""

from __future__ import annotations

from pathlib import Path

from handsigns.console.sanitize import escape_markdown
from handsigns.data.splits import DataInfo

_MAX_COLUMNS = 12
"""Largest number of classes with a column each."""


def data_section(info: DataInfo) -> str:
    """Return source, fingerprint, images of each split and notes, as Markdown."""
    table = _counts_by_class(info) if len(info.classes) <= _MAX_COLUMNS else _summary_counts(info)
    notes = [f"- {escape_markdown(note)}" for note in info.notes]
    # Without the parent folders, which are private.
    source, fingerprint = map(escape_markdown, (Path(info.source).name, info.fingerprint))
    about = f"Source: {source}. Fingerprint: {fingerprint}."
    return "\n".join(["## Data", "", about, "", *table, *(["", *notes] if notes else [])])


def _counts_by_class(info: DataInfo) -> list[str]:
    return [
        "| split | images | " + " | ".join(map(escape_markdown, info.classes)) + " |",
        "| --- | ---: |" + " ---: |" * len(info.classes),
        *(
            f"| {escape_markdown(split)} | {sum(counts)} | " + " | ".join(map(str, counts)) + " |"
            for split, counts in info.counts.items()
        ),
    ]


def _summary_counts(info: DataInfo) -> list[str]:
    return [
        "| split | images | classes | smallest class | largest class |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {escape_markdown(split)} | {sum(counts)} | {len(counts)} "
            f"| {min(counts, default=0)} | {max(counts, default=0)} |"
            for split, counts in info.counts.items()
        ),
    ]
