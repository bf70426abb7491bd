"""Files of the retrained winner, read for a report: damage is reported, not fatal."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from handsigns.errors import ResultsError
from handsigns.io.json_file import read_json
from handsigns.results.paths import SearchPaths
from handsigns.results.test_result import (
    TEST_FILE,
    Misclassified,
    TestResult,
    read_test_ledger,
    read_test_result,
)
from handsigns.results.winner import METRICS_FILE, RetrainingRecord, read_retraining

_PNG = b"\x89PNG\r\n\x1a\n"
_MAX_IMAGE_BYTES = 300_000
_MAX_TOTAL_BYTES = 1_200_000
"""Maximum bytes of one image, and of all images on the page."""
_MAX_MISCLASSIFIED = 50

T = TypeVar("T")
MisclassifiedImages = tuple[tuple[Misclassified, str | None], ...]
"""Misclassified images with a data URI each, or None where the file is missing."""


@dataclass(frozen=True)
class WinnerSummary:
    """Summary of a search's retrained winner.

    Attributes:
        retraining, test: None if missing or damaged.
        test_evaluations: times that the test split was opened, by the ledger or the test.
        misclassified_images: see `MisclassifiedImages`.
        problems: messages on damaged files.
    """

    retraining: RetrainingRecord | None
    test: TestResult | None
    test_evaluations: int
    misclassified_images: MisclassifiedImages
    problems: tuple[str, ...]


def read_winner_summary(paths: SearchPaths) -> WinnerSummary:
    """Read the files that exist."""
    folder = paths.winner
    problems: list[str] = []
    retraining = test = None
    if folder.is_dir():
        retraining = read_tolerantly(
            f"winner/{METRICS_FILE}", lambda: read_retraining(folder), problems
        )
        test = read_tolerantly(f"winner/{TEST_FILE}", lambda: read_test_result(folder), problems)
    ledger = read_tolerantly(
        paths.test_ledger.name, lambda: read_test_ledger(paths.test_ledger), problems
    )
    misclassified_images = _load_misclassified(folder, test.misclassified if test else (), problems)
    openings = max(len(ledger or ()), test.test_evaluations if test else 0)
    return WinnerSummary(retraining, test, openings, misclassified_images, tuple(problems))


def read_environment(paths: SearchPaths, problems: list[str]) -> dict[str, Any]:
    """Read the environment in which the search was started; empty if unknown."""
    path = paths.environment
    return read_tolerantly(path.name, lambda: read_json(path, dict[str, Any]), problems) or {}


def read_tolerantly(name: str, read: Callable[[], T], problems: list[str]) -> T | None:
    """Read a file; None if it is missing, or damaged, which is added to the problems."""
    try:
        return read()
    except FileNotFoundError:
        return None
    except ResultsError:
        problems.append(f"{name} is damaged and was left out")
        return None


def _load_misclassified(
    folder: Path, misclassified: tuple[Misclassified, ...], problems: list[str]
) -> MisclassifiedImages:
    images: list[tuple[Misclassified, str | None]] = []
    remaining, num_unusable = _MAX_TOTAL_BYTES, 0
    for image in misclassified[:_MAX_MISCLASSIFIED]:
        data = _read_png(folder, image.file, remaining) if image.file is not None else None
        num_unusable += image.file is not None and data is None
        remaining -= len(data or b"")
        uri = f"data:image/png;base64,{base64.b64encode(data).decode()}" if data else None
        images.append((image, uri))
    if num_unusable:
        problems.append(
            f"{num_unusable} of the misclassified images cannot be shown: each must be a PNG of up "
            f"to {_MAX_IMAGE_BYTES // 1000} kB in the winner's folder"
        )
    return tuple(images)


def _read_png(folder: Path, name: str, max_bytes: int) -> bytes | None:
    """Read an image; None if it is outside the folder, too large or not a PNG."""
    try:
        path = (folder / name).resolve()
        inside = path.is_relative_to(folder.resolve()) and path.is_file()
        if not inside or path.stat().st_size > min(max_bytes, _MAX_IMAGE_BYTES):
            return None
        data = path.read_bytes()
    except (OSError, ValueError):
        return None
    return data if data.startswith(_PNG) else None
