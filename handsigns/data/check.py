"""Check of a data set, for what makes its results worth less."""

from __future__ import annotations

import functools
from pathlib import Path

from handsigns.console.progress import ProgressCallback, no_progress
from handsigns.data.dataset import open_data
from handsigns.data.findings import DataCheck
from handsigns.errors import DataError


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
    open_source = functools.partial(
        open_data, source, size=size, group_by=group_by, progress=progress
    )
    try:
        data = open_source()
    except DataError:
        data = open_source(skip_bad=True, allow_incomplete=True)
    if data.check is None:
        raise ValueError("only synthetic hands are not checked")
    return data.check
