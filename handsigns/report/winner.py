"""What is known of the retrained winner: its test, its pictures, its seeds.

Damage is told of, not fatal. The files are read by what they hold, whoever wrote them: older ones
lack some of it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from handsigns.results.paths import SearchPaths

_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST_PICTURE = 300_000
_LARGEST_ALBUM = 1_200_000
"""Bytes of one picture, and of all on the page."""
_MOST_WRONG = 50

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
T = TypeVar("T")


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class WrongPicture(_Read):
    """A test picture that was classified wrongly; `file` is a PNG of it in the winner's folder,
    `index` its place in the split.
    """

    picture: str
    index: Count | None = None
    true: str
    predicted: str
    confidence: Share | None = None
    file: str | None = None


class CalibrationBin(_Read):
    """Pictures whose confidence lies in a range, its mean, and the share classified rightly."""

    low: Share
    high: Share
    count: Count
    confidence: Share | None = None
    accuracy: Share | None = None


class Calibration(_Read):
    """Expected calibration error, and the bins that it is reckoned from."""

    ece: Share
    bins: tuple[CalibrationBin, ...]


class Test(_Read):
    """``winner/test.json``; `confusion` has true classes as rows, predicted ones as columns."""

    __test__ = False  # not a test case, whatever pytest makes of the name

    accuracy: Share
    correct: Count
    total: Annotated[int, Field(ge=1)]
    ci95: tuple[Share, Share]
    classes: tuple[str, ...]
    confusion: tuple[tuple[Count, ...], ...]
    wrong: tuple[WrongPicture, ...] = ()
    trial_id: str
    chosen: str = "by rank"
    chosen_after_test: bool = False
    test_openings: Count = 1
    fingerprint: str = ""


class Unseen(_Read):
    """Test pictures, and those classified rightly, that are in neither train nor val."""

    correct: Count
    total: Count


class _Epoch(_Read):
    epoch: Count
    train_loss: float
    train_accuracy: float


class SeedRun(_Read):
    """A retraining with one seed."""

    seed: int
    diverged: bool = False
    epochs: tuple[_Epoch, ...] = ()


class Retraining(_Read):
    """``winner/metrics.json``."""

    trial_id: str
    kept_seeds: tuple[int, ...] = ()
    kept_by: str = ""
    train_pictures: Count = 0
    seconds: float = 0.0
    device: str = ""
    runs: tuple[SeedRun, ...] = ()


@dataclass(frozen=True)
class Winner:
    """All that is known of a search's retrained winner.

    Attributes:
        retraining, test, calibration: None where there is none, or it is damaged.
        per_seed: test accuracy of each seed's model; empty where that was not measured.
        unseen: None where that was not measured.
        album: the wrong pictures with a data URI each, or None where the picture is not there.
        problems: files that are damaged, in words.
    """

    retraining: Retraining | None
    test: Test | None
    calibration: Calibration | None
    per_seed: tuple[float, ...]
    unseen: Unseen | None
    album: tuple[tuple[WrongPicture, str | None], ...]
    problems: tuple[str, ...]


def read_winner(paths: SearchPaths) -> Winner:
    """Read what there is."""
    problems: list[str] = []
    metrics = _load(paths.winner / "metrics.json", problems)
    fields = _load(paths.winner / "test.json", problems)
    retraining = _checked(Retraining, metrics, "winner/metrics.json", problems)
    test = _checked(Test, fields, "winner/test.json", problems)
    if test is not None and not _is_square(test):
        problems.append(
            "winner/test.json is damaged: its confusion matrix does not fit its classes"
        )
        test = None
    known = fields if test is not None and isinstance(fields, dict) else {}
    calibration = _checked(
        Calibration, known.get("calibration"), "calibration in winner/test.json", problems
    )
    per_seed = _checked(
        tuple[Share, ...], known.get("per_seed"), "per_seed in winner/test.json", problems
    )
    unseen = _checked(Unseen, known.get("unseen"), "unseen in winner/test.json", problems)
    album = _album(paths.winner, test.wrong if test else (), problems)
    return Winner(retraining, test, calibration, per_seed or (), unseen, album, tuple(problems))


def openings(paths: SearchPaths, problems: list[str]) -> int:
    """How often the test split was opened, by the ledger."""
    try:
        lines = paths.test_ledger.read_text(encoding="utf-8").splitlines()
        return sum(bool(json.loads(line)) for line in lines)
    except FileNotFoundError:
        return 0
    except (OSError, ValueError):
        problems.append("test_ledger.jsonl, which says how often the test was opened, is damaged")
        return 0


def read_environment(paths: SearchPaths, problems: list[str]) -> dict[str, Any]:
    """The environment in which the search was begun; empty where it is not known."""
    found = _load(paths.environment, problems)
    return found if isinstance(found, dict) else {}


def _load(path: Path, problems: list[str]) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        problems.append(f"{path.name} is damaged and was left out")
        return None


def _checked(kind: type[T], value: Any, what: str, problems: list[str]) -> T | None:
    if value is None:
        return None
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        problems.append(f"{what} is damaged and was left out ({place})")
        return None


def _is_square(test: Test) -> bool:
    count = len(test.classes)
    return len(test.confusion) == count and all(len(row) == count for row in test.confusion)


def _album(
    folder: Path, wrong: tuple[WrongPicture, ...], problems: list[str]
) -> tuple[tuple[WrongPicture, str | None], ...]:
    album: list[tuple[WrongPicture, str | None]] = []
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
