"""Data loading: for a new search, or as recorded by a stored one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.progress import progress
from handsigns.console.sanitize import note
from handsigns.data.splits import MAX_SIZE, MIN_SIZE
from handsigns.errors import ConfigError, DataError

if TYPE_CHECKING:
    from handsigns.data.correction import Correction
    from handsigns.data.dataset import DataSet
    from handsigns.data.prepare import PrepareResult
    from handsigns.results.store import StoredSearch


@dataclass(frozen=True)
class InputOptions:
    """Inputs of an operation on a stored search.

    Attributes:
        data: current folder of its images; None: the recorded one.
        trust_user_code: whether the user code that its trials name may be run.
    """

    data: Path | None = None
    trust_user_code: bool = False

    @property
    def arguments(self) -> tuple[str, ...]:
        """Command-line arguments for these inputs."""
        data = () if self.data is None else ("--data", str(self.data))
        return (*data, *(("--trust-user-code",) if self.trust_user_code else ()))


def check_size(size: int) -> None:
    """Check the height and width in pixels that are requested of the images.

    Raises:
        ConfigError: it is out of bounds.
    """
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ConfigError(f"size: {size} is not between {MIN_SIZE} and {MAX_SIZE} pixels")


def open_data(
    folder: Path | None,
    size: int,
    skip_bad: bool,
    group_by: str | None = None,
    corrections: Sequence[Correction] = (),
    on_misfit: Callable[[str], None] | None = None,
) -> DataSet:
    """Open a data set, showing progress, with its labels corrected; see `apply_corrections`.

    None generates synthetic hands.
    """
    from handsigns.data.corrections import apply_corrections
    from handsigns.data.dataset import open_data as open_set
    from handsigns.io.home import fallback_home

    home = None
    with contextlib.suppress(OSError):  # the cache reports this itself
        home = fallback_home()
    if home is not None:
        note(f"the home folder is not writable; caches are kept in {home}")

    with progress("generating hands" if folder is None else "reading images") as report:
        data = open_set(folder, size=size, skip_bad=skip_bad, group_by=group_by, progress=report)
    return apply_corrections(data, corrections, on_misfit) if corrections else data


def open_search_data(search: StoredSearch, data_folder: Path | None = None) -> DataSet:
    """Open the data of a search, whether or not they have changed.

    Args:
        search: the search.
        data_folder: current folder of its images; None: the recorded one.
    """

    def on_misfit(problem: str) -> None:
        # It fitted the original images, so the fingerprint differs too.
        note(f"a correction of {search.paths.name} no longer fits and is left out: {problem}")

    record = search.data
    folder = data_folder or (Path(record.folder) if record.folder else None)
    group_by = search.config.data.group_by
    return open_data(folder, record.size, record.skip_bad, group_by, record.corrections, on_misfit)


def open_verified_data(
    search: StoredSearch, data_folder: Path | None = None, fingerprint: str | None = None
) -> DataSet:
    """Open the data of a search and check that they are unchanged.

    Args:
        search, data_folder: see `open_search_data`.
        fingerprint: expected fingerprint; None: the search's.

    Raises:
        DataError: the data have changed.
    """
    data = open_search_data(search, data_folder)
    expected = fingerprint or search.data.info.fingerprint
    if data.info.fingerprint != expected:
        raise DataError(
            f"{describe_change(search, data, expected)}; restore the original images, give their "
            f"folder (--data DIR), or start a new search"
        )
    return data


def describe_change(search: StoredSearch, data: DataSet, expected: str) -> str:
    """Describe how the data of a search have changed, for an error message."""
    return (
        f"the data in {data.info.source} are not those of {search.paths.name}: fingerprint "
        f"{data.info.fingerprint[:12]} instead of {expected[:12]}"
    )


def prepare_data(
    source: Path, dest: Path, *, size: int, seed: int, skip_bad: bool, group_by: str | None
) -> PrepareResult:
    """Create a data set of small images from photographs of any size, showing progress.

    Raises:
        DataError: the photographs cannot be used.
    """
    from handsigns.data.prepare import prepare

    with progress("preparing images") as report:
        return prepare(
            source,
            dest,
            size=size,
            seed=seed,
            skip_bad=skip_bad,
            group_by=group_by,
            progress=report,
        )
