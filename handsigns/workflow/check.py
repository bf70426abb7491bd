"""Check of a folder of images, by itself and at the start of a search."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.format import pluralize
from handsigns.console.program import command
from handsigns.console.progress import progress
from handsigns.console.sanitize import printable
from handsigns.errors import ResultsError
from handsigns.io.digest import short_digest
from handsigns.workflow.data import check_size
from handsigns.workflow.searches import open_synced
from handsigns.workflow.suspects import load_suspects

if TYPE_CHECKING:
    from handsigns.data.findings import DataCheck
    from handsigns.results.store import StoredSearch

_IN_NOTES = ("unusable_files", "ignored_images", "across_splits")
"""Findings that the notes on a search's data say already."""


def check(
    source: Path, *, size: int, group_by: str | None, results: Path, search: str | None
) -> DataCheck:
    """Check a folder of images, and add the suspect labels of a search if one is named.

    Args:
        source: folder of images.
        size, group_by: see `check_folder`.
        results: folder of all searches.
        search: name of a search on these images; or None.

    Raises:
        ConfigError, DataError, ResultsError: see `check_folder` and `add_suspects`; or there is no
            such search.
    """
    if search is None:
        return check_folder(source, size=size, group_by=group_by)
    with open_synced(results, search) as stored:
        load_suspects(stored)  # if there are none, before the images are read, which takes longer
        return add_suspects(check_folder(source, size=size, group_by=group_by), stored)


def check_folder(source: Path, *, size: int, group_by: str | None) -> DataCheck:
    """Check a folder of images, showing progress.

    Raises:
        ConfigError: the size is out of bounds.
        DataError: it is not a folder of images in a supported layout.
    """
    check_size(size)

    from handsigns.data.check import check_data

    with progress("reading images") as report:
        return check_data(source, size=size, group_by=group_by, progress=report)


def add_suspects(check: DataCheck, search: StoredSearch) -> DataCheck:
    """Return the check with a finding on the suspect labels of a search on the same images.

    Raises:
        ResultsError: the images differ, or there are no suspect labels; see `load_suspects`.
    """
    from handsigns.data.findings import Finding

    name, info = search.paths.name, search.data.info
    if search.data.corrections:
        raise ResultsError(
            f"{name} was run with corrected labels, which the folder does not have; list its "
            f"suspects with: {search.paths.command('suspects')}"
        )
    if info.fingerprint != check.fingerprint:
        group_by = search.config.data.group_by
        grouped = "" if group_by is None else f" --group-by {shlex.quote(group_by)}"
        raise ResultsError(
            f"{name} was run on other images, or with other options: of {printable(info.source)}, "
            f"--size {info.size}{printable(grouped)}"
        )
    found = load_suspects(search)
    if not found.num_suspects:
        return check
    finding = Finding(
        "suspect_labels",
        found.num_suspects,
        f"{pluralize(found.num_suspects, 'label')} probably wrong, by the predictions of "
        f"{pluralize(found.models, 'model')} of {name}",
        f"look at them, and relabel or exclude them in the next search: "
        f"{search.paths.command('suspects')}",
        tuple(f"{s.image.name} (probably {s.suggested})" for s in found.suspects[:20]),
        tuple(suspect.image for suspect in found.suspects[:24]),
    )
    return dataclasses.replace(check, findings=(finding, *check.findings))


def print_check(source: Path, check: DataCheck, *, size: int, group_by: str | None) -> None:
    """Print what a check of a new search's data found, but not what the notes on them say.

    Args:
        source: folder of the images.
        check: its check.
        size, group_by: those of the search, which the suggested command repeats.
    """
    found = [finding for finding in check.findings if finding.kind not in _IN_NOTES]
    for finding in found:
        print(f"check: {printable(finding.message)}")
    if check.findings:
        grouped = () if group_by is None else ("--group-by", group_by)
        again = command("check", source, "--size", str(size), *grouped)
        print(f"check: images and advice are in the report, and from {again}")


def write_page(check: DataCheck, reports: Path) -> Path:
    """Write the page of a check into a folder of its own for each data folder; return its path.

    Raises:
        ResultsError: the page's path holds something that is not such a page.
        OSError: the folder cannot be written.
    """
    from handsigns.reporting.data_check import write_check_page

    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(check.source).name)[:100].strip("-")
    parts = ("check", name, short_digest(check.source)[:8])
    return write_check_page(check, reports / "-".join(part for part in parts if part))
