"""Check of a data set, as a page and as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from handsigns.console.format import MISSING
from handsigns.data.findings import DataCheck
from handsigns.data.splits import SPLIT_NAMES
from handsigns.io.atomic import write_text
from handsigns.reporting.page import render
from handsigns.reporting.write import local_timestamp, prepare_folder

_MAX_LISTED = 6
"""File sizes, or modes, that are listed."""

ClassCounts = tuple[str, tuple[int, ...]]
"""Class, and its number of images in each split."""


def write_check_page(check: DataCheck, folder: Path) -> Path:
    """Write the page of a check; return its path.

    Raises:
        ResultsError: see `prepare_folder`.
        OSError: the folder cannot be written.
    """
    page = prepare_folder(folder, "data check")
    text = render(
        "check.html.j2",
        None,
        reload_seconds=None,
        name=Path(check.source).name,
        generated_at=local_timestamp(),
        check=check,
        splits=SPLIT_NAMES,
        rows=list(class_counts(check)),
        file_sizes=listed(check.file_sizes),
        file_modes=listed(check.file_modes),
    )
    write_text(page, text)
    return page


def class_counts(check: DataCheck) -> Iterator[ClassCounts]:
    """Yield each class with its number of images in each split."""
    for index, label in enumerate(check.classes):
        yield label, tuple(check.counts[split][index] for split in SPLIT_NAMES)


def listed(counts: Mapping[str, int]) -> str:
    """Return counts as text, most first."""
    shown = [f"{name} ({count})" for name, count in list(counts.items())[:_MAX_LISTED]]
    more = [f"{len(counts) - _MAX_LISTED} more"] if len(counts) > _MAX_LISTED else []
    return ", ".join([*shown, *more]) or MISSING
