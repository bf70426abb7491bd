"""Open data: of a new search, or those that a search has recorded."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.progress import progress
from handsigns.console.sanitize import note
from handsigns.errors import DataError

if TYPE_CHECKING:
    from handsigns.data.dataset import DataSet
    from handsigns.data.prepare import Prepared
    from handsigns.results.store import StoredSearch


@dataclass(frozen=True)
class Sources:
    """What a stored search is used with.

    Attributes:
        data: where its images are now; None: where they were.
        trust_user_code: whether the user code that its trials name may be run.
    """

    data: Path | None = None
    trust_user_code: bool = False


def open_data(folder: Path | None, size: int, skip_bad: bool) -> DataSet:
    """Open a data set, showing progress; None draws synthetic hands."""
    from handsigns.data.dataset import open_data as open_set
    from handsigns.io.home import substitute_home

    home = None
    with contextlib.suppress(OSError):  # the cache says so itself
        home = substitute_home()
    if home is not None:
        note(f"there is no home folder that can be written to: caches are kept in {home}")

    with progress("drawing hands" if folder is None else "reading pictures") as report:
        return open_set(folder, size=size, skip_bad=skip_bad, progress=report)


def open_recorded(search: StoredSearch, moved: Path | None = None) -> DataSet:
    """Open the data of a search, whether or not they have changed.

    Args:
        search: the search.
        moved: where its images are now; None: where they were.
    """
    record = search.data
    folder = moved or (Path(record.folder) if record.folder else None)
    return open_data(folder, record.size, record.skip_bad)


def open_unchanged(
    search: StoredSearch, moved: Path | None = None, fingerprint: str | None = None
) -> DataSet:
    """Open the data of a search, which must be those that it recorded.

    Args:
        search, moved: see `open_recorded`.
        fingerprint: of the data wanted; None: those of the search.

    Raises:
        DataError: they have changed.
    """
    data = open_recorded(search, moved)
    wanted = fingerprint or search.data.info.fingerprint
    if data.info.fingerprint != wanted:
        raise DataError(
            f"{describe_change(search, data, wanted)}; put the earlier pictures back, say where "
            f"they are (--data DIR), or search anew"
        )
    return data


def describe_change(search: StoredSearch, data: DataSet, wanted: str) -> str:
    """Return what is wrong where the data of a search have changed."""
    return (
        f"the data in {data.info.source} are not those of {search.paths.name}: fingerprint "
        f"{data.info.fingerprint[:12]} instead of {wanted[:12]}"
    )


def prepare_data(source: Path, dest: Path, *, size: int, seed: int, skip_bad: bool) -> Prepared:
    """Make a data set of small images from photographs of any size, showing progress.

    Raises:
        DataError: the photographs cannot be used.
    """
    from handsigns.data.prepare import prepare

    with progress("preparing pictures") as report:
        return prepare(source, dest, size=size, seed=seed, skip_bad=skip_bad, progress=report)
