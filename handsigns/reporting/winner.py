"""What is known of the retrained winner, for a page: damage is reported there, not fatal."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from handsigns.errors import ResultsError
from handsigns.io.json_file import read_json
from handsigns.results.paths import SearchPaths
from handsigns.results.winner import (
    METRICS_FILE,
    TEST_FILE,
    Misclassified,
    RetrainingRecord,
    TestResult,
    read_ledger,
    read_retraining,
    read_test,
)

_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST_PICTURE = 300_000
_LARGEST_ALBUM = 1_200_000
"""Bytes of one picture, and of all on the page."""
_MOST_WRONG = 50

T = TypeVar("T")
Album = tuple[tuple[Misclassified, str | None], ...]
"""Misclassified images with a data URI each, or None where the image is not there."""


@dataclass(frozen=True)
class Winner:
    """All that is known of a search's retrained winner.

    Attributes:
        retraining, test: None where there is none, or it is damaged.
        openings: how often the test split was opened, by the ledger or the test.
        album: see `Album`.
        problems: files that are damaged, in words.
    """

    retraining: RetrainingRecord | None
    test: TestResult | None
    openings: int
    album: Album
    problems: tuple[str, ...]


def read_winner(paths: SearchPaths) -> Winner:
    """Read what there is."""
    folder = paths.winner
    problems: list[str] = []
    retraining = test = None
    if folder.is_dir():
        retraining = _tolerant(f"winner/{METRICS_FILE}", lambda: read_retraining(folder), problems)
        test = _tolerant(f"winner/{TEST_FILE}", lambda: read_test(folder), problems)
    ledger = _tolerant(paths.test_ledger.name, lambda: read_ledger(paths.test_ledger), problems)
    album = _album(folder, test.wrong if test else (), problems)
    openings = max(len(ledger or ()), test.openings if test else 0)
    return Winner(retraining, test, openings, album, tuple(problems))


def read_environment(paths: SearchPaths, problems: list[str]) -> dict[str, Any]:
    """Read the environment in which the search was started; empty where it is not known."""
    path = paths.environment
    return _tolerant(path.name, lambda: read_json(path, dict[str, Any]), problems) or {}


def _tolerant(name: str, read: Callable[[], T], problems: list[str]) -> T | None:
    try:
        return read()
    except FileNotFoundError:
        return None
    except ResultsError:
        problems.append(f"{name} is damaged and was left out")
        return None


def _album(folder: Path, wrong: tuple[Misclassified, ...], problems: list[str]) -> Album:
    album: list[tuple[Misclassified, str | None]] = []
    left, unfit = _LARGEST_ALBUM, 0
    for picture in wrong[:_MOST_WRONG]:
        data = _png(folder, picture.file, left) if picture.file is not None else None
        unfit += picture.file is not None and data is None
        left -= len(data or b"")
        uri = f"data:image/png;base64,{base64.b64encode(data).decode()}" if data else None
        album.append((picture, uri))
    if unfit:
        problems.append(
            f"{unfit} of the misclassified pictures cannot be shown: each must be a PNG of up to "
            f"{_LARGEST_PICTURE // 1000} kB in the winner's folder"
        )
    return tuple(album)


def _png(folder: Path, name: str, left: int) -> bytes | None:
    """A picture's bytes; None where it is outside the folder, too large or no PNG."""
    try:
        path = (folder / name).resolve()
        inside = path.is_relative_to(folder.resolve()) and path.is_file()
        if not inside or path.stat().st_size > min(left, _LARGEST_PICTURE):
            return None
        data = path.read_bytes()
    except (OSError, ValueError):
        return None
    return data if data.startswith(_PNG) else None
