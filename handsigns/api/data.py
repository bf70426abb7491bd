"""Check of a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.api._paths import PathLike, as_path
from handsigns.workflow import check as checking

if TYPE_CHECKING:
    from handsigns.data.findings import DataCheck


def check(
    data: PathLike,
    *,
    size: int = 64,
    group_by: str | None = None,
    search: str | None = None,
    results: PathLike = "results",
    reports: PathLike | None = "reports",
) -> DataCheck:
    """Check a folder of images for what makes its results worth less, showing progress.

    Args:
        data: folder of images.
        size: height and width, 16 to 1024 pixels, at which images are compared.
        group_by: see `search`.
        search: name of a search on these images, whose models judge the labels.
        results: folder of all searches.
        reports: folder of all reports; the page with the images is in its subfolder
            ``check-DATA-DIGEST``, with a digest of the path. None: write no page.

    Returns:
        Counts, findings with advice, and groups of near-duplicates.

    Raises:
        ConfigError: the size is out of bounds.
        DataError: it is not a folder of images in a supported layout.
        ResultsError: the page's path holds something that is not a report; or the search was on
            other images, or knows no suspect labels.
    """
    found = checking.check(
        Path(data), size=size, group_by=group_by, results=Path(results), search=search
    )
    folder = as_path(reports)
    if folder is not None:
        checking.write_page(found, folder)
    return found
