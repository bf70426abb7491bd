"""Test results of a winner, and the ledger of all evaluations on the test split."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, NamedTuple, TypedDict

from pydantic import Field, FiniteFloat, TypeAdapter

from handsigns.io.json_file import (
    corrupt_file_error,
    parse_json,
    read_bytes,
    read_json,
    write_json,
)
from handsigns.results.winner import Count, SelectionMethod
from handsigns.stats.calibration import Calibration, Share
from handsigns.stats.class_averages import balanced_accuracy, macro_f1
from handsigns.stats.intervals import INTERVAL_METHOD, wilson_interval

TEST_FILE = "test.json"
MISCLASSIFIED_DIR = "misclassified"
"""File names in the folder of a winner."""


@dataclass(frozen=True)
class Misclassified:
    """Misclassified test image.

    Attributes:
        image: name of the image in the data set.
        index: position in the split, from 0.
        true, predicted: names of the true and predicted class.
        confidence: probability of the predicted class.
        file: path of the PNG relative to the winner's folder; None if it was not saved.
    """

    image: str
    index: Count
    true: str
    predicted: str
    confidence: Share
    file: str | None = None


class NonDuplicateScore(NamedTuple):
    """Score on the test images that have no near-duplicate, or group, in train or val."""

    correct: Count
    total: Count


ClassScore = TypedDict(
    "ClassScore",
    {"class": str, "precision": float | None, "recall": float | None, "images": int},
)
"""Scores of one class; precision is None if it was never predicted, recall if it has no image."""


@dataclass(frozen=True)
class TestResult:
    """Result of a winner on the test split: ``test.json``.

    Attributes:
        classes: K class names.
        confusion_matrix: (K, K) image counts; rows are true, columns predicted classes.
        misclassified: misclassified images, in the order of the split.
        calibration: calibration of its confidence.
        accuracy_per_seed: accuracy of the model of each of `seeds`; not used to select the model,
            their spread is seed noise.
        excluding_duplicates: see `NonDuplicateScore`.
        seeds: seeds of all models that were trained and did not diverge.
        selected_seeds: seeds of the model that was tested.
        trial_id, selected_by, selected_after_test, fingerprint: as in `ModelCard`.
        test_evaluations: number of evaluations on the search's test split so far, this included.
    """

    __test__ = False  # not a test case, whatever pytest makes of the name

    classes: tuple[str, ...]
    confusion_matrix: tuple[tuple[Count, ...], ...]
    misclassified: tuple[Misclassified, ...]
    calibration: Calibration
    accuracy_per_seed: tuple[Share, ...]
    excluding_duplicates: NonDuplicateScore
    seeds: tuple[int, ...]
    selected_seeds: tuple[int, ...]
    trial_id: str
    selected_by: SelectionMethod
    selected_after_test: bool
    test_evaluations: Annotated[int, Field(ge=1)]
    fingerprint: str

    def __post_init__(self) -> None:
        count = len(self.classes)
        if [len(row) for row in self.confusion_matrix] != [count] * count:
            raise ValueError(
                f"the confusion matrix is not {count}x{count}, as the number of classes"
            )
        if self.total == 0:
            raise ValueError("the confusion matrix has no images")
        if len(self.misclassified) != self.total - self.correct:
            raise ValueError(
                f"{len(self.misclassified)} misclassified images are listed, but the confusion "
                f"matrix has {self.total - self.correct}"
            )

    @property
    def correct(self) -> int:
        """Number of images classified correctly."""
        return sum(self._correct_by_class)

    @property
    def total(self) -> int:
        """Number of images in the test split."""
        return sum(map(sum, self.confusion_matrix))

    @property
    def accuracy(self) -> float:
        """Accuracy in [0, 1]."""
        return self.correct / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the accuracy."""
        return wilson_interval(self.correct, self.total)

    @property
    def class_sizes(self) -> list[int]:
        """Number of images of each class."""
        return [sum(row) for row in self.confusion_matrix]

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes, in [0, 1]; see `stats.class_averages`."""
        return balanced_accuracy(self._correct_by_class, self.class_sizes)

    @property
    def macro_f1(self) -> float:
        """Mean F1 score of the classes, in [0, 1]; see `stats.class_averages`."""
        return macro_f1(self._correct_by_class, self.class_sizes, self._predictions_by_class)

    @property
    def _correct_by_class(self) -> list[int]:
        return [row[k] for k, row in enumerate(self.confusion_matrix)]

    @property
    def _predictions_by_class(self) -> list[int]:
        return [sum(column) for column in zip(*self.confusion_matrix, strict=True)]

    def per_class(self) -> list[ClassScore]:
        """Return precision and recall of each class."""
        predicted = self._predictions_by_class
        return [
            {
                "class": name,
                "precision": row[k] / predicted[k] if predicted[k] else None,
                "recall": row[k] / sum(row) if any(row) else None,
                "images": sum(row),
            }
            for k, (name, row) in enumerate(zip(self.classes, self.confusion_matrix, strict=True))
        ]


def write_test_result(folder: Path, test: TestResult) -> None:
    """Write the test result of the winner in `folder`, with derived metrics."""
    summary = {
        "accuracy": test.accuracy,
        "correct": test.correct,
        "total": test.total,
        "ci95": test.interval,
        "ci95_method": INTERVAL_METHOD,
        "balanced_accuracy": test.balanced_accuracy,
        "macro_f1": test.macro_f1,
        "classes": test.classes,
        "confusion_matrix": test.confusion_matrix,
        "per_class": test.per_class(),
    }
    fields = TypeAdapter(TestResult).dump_python(test, exclude_none=True)
    write_json(
        folder / TEST_FILE,
        summary | fields | {"excluding_duplicates": test.excluding_duplicates._asdict()},
    )


def read_test_result(folder: Path) -> TestResult | None:
    """Read the test result of the winner in `folder`; None if it was not tested.

    Raises:
        UnreadableError: the test result cannot be read.
        ResultsError: the test result is damaged.
    """
    try:
        return read_json(folder / TEST_FILE, TestResult)
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class TestEvaluation:
    """Evaluation on the test split: a line of the test ledger.

    Attributes:
        time: time in seconds since the Unix epoch.
        trial_id, model_digest: trial and model digest of the tested winner.
        correct, total: numbers of correct and of all images.
    """

    __test__ = False  # not a test case, whatever pytest makes of the name

    time: FiniteFloat
    trial_id: str
    model_digest: str
    correct: Count
    total: Count


def read_test_ledger(path: Path) -> list[TestEvaluation]:
    """Read all evaluations on the test split, oldest first.

    Raises:
        ResultsError: the ledger is damaged or cannot be read, which cannot be ignored: it is
            evidence.
    """
    try:
        return [parse_json(line, TestEvaluation) for line in read_bytes(path).splitlines()]
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise corrupt_file_error(path, error) from error


def append_test_evaluation(
    path: Path, trial_id: str, model_digest: str, correct: int, total: int
) -> None:
    """Append an evaluation on the test split to the ledger."""
    evaluation = TestEvaluation(time.time(), trial_id, model_digest, correct, total)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(evaluation)) + "\n")
