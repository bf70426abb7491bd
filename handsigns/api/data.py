"""Check of a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.api._paths import PathLike, as_path
from handsigns.workflow.check import check_folder, write_page

if TYPE_CHECKING:
    from handsigns.data.findings import DataCheck


def check(
    data: PathLike,
    *,
    size: int = 64,
    group_by: str | None = None,
    reports: PathLike | None = "reports",
) -> DataCheck:
    """Check a folder of images for what makes its results worth less, showing progress.

    Args:
        data: folder of images.
        size: height and width in pixels at which images are compared.
        group_by: see `search`.
        reports: folder of all reports; the page with the images is in its subfolder ``check-DATA``.
            None: write no page.

    Returns:
        Counts, findings with advice, and groups of near-duplicates.

    Raises:
        DataError: it is not a folder of images in a supported layout.
        ResultsError: the page's path holds something that is not a report.
    """
    found = check_folder(Path(data), size=size, group_by=group_by)
    folder = as_path(reports)
    if folder is not None:
        write_page(found, folder)
    return found
