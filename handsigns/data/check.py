"""Check of a data set, for what makes its results worth less."""

from __future__ import annotations

from pathlib import Path

from handsigns.console.progress import ProgressCallback, no_progress
from handsigns.data.dataset import open_data
from handsigns.data.findings import DataCheck


def check_data(
    source: Path,
    *,
    size: int = 64,
    group_by: str | None = None,
    progress: ProgressCallback = no_progress,
) -> DataCheck:
    """Check a folder of images, whether or not a search could use it.

    Args:
        source: the folder.
        size, group_by, progress: see `open_data`.

    Raises:
        DataError: it is not a folder of images in a supported layout, or its groups cannot be read.
    """
    data = open_data(source, size=size, group_by=group_by, lenient=True, progress=progress)
    if data.check is None:
        raise ValueError("only synthetic hands are not checked")
    return data.check
