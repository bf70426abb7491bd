"""Files of a winner, with readers and writers: model card, retraining, test, test ledger.

`winner.model` handles the weights, `winner.model_card` the README.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

from pydantic import Field, FiniteFloat, TypeAdapter

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.yaml_document import dump_yaml, load_yaml_document
from handsigns.errors import ConfigError, ResultsError
from handsigns.io.atomic import write_text
from handsigns.io.json_file import corrupt_file_error, parse_json, read_json, write_json
from handsigns.metrics import EpochMetrics
from handsigns.results.paths import SearchPaths
from handsigns.stats.calibration import Calibration, Share
from handsigns.stats.class_averages import balanced_accuracy, macro_f1
from handsigns.stats.intervals import INTERVAL_METHOD, wilson_interval

MODEL_FILE = "model.safetensors"
SEEDS_FOLDER = "seeds"
CONFIG_FILE = "config.yaml"
METRICS_FILE = "metrics.json"
README_FILE = "README.md"
TEST_FILE = "test.json"
MISCLASSIFIED_DIR = "misclassified"
"""File names in the folder of a winner."""

Count = Annotated[int, Field(ge=0)]
SelectionMethod = Literal["rank", "re-evaluation", "user", "smallest"]
"""How a winner was selected: by leaderboard rank, by the re-evaluation, by the user, or as the
smallest within a margin of the user's; see `results.smallest`."""


@dataclass(frozen=True)
class ModelCard:
    """Usage and provenance of a model: ``config.yaml``.

    Attributes:
        config: hyperparameters.
        classes: class names, in the order of the logits.
        size: height and width of the images in pixels.
        epochs: epochs trained on the train and validation splits together.
        seeds: seed of each model kept; probabilities of several are averaged.
        search: name of the search.
        trial_id: trial with this configuration.
        selected_by: see `SelectionMethod`.
        selected_after_test: whether the user selected the trial, or the margin, after seeing a test
            result.
        fingerprint: fingerprint of the data.
        git_revision: revision of the code; None if unknown.
        user_code: required user code, as `UserCode.code_metadata`.
        trained_seeds: seeds of all models that were trained and did not diverge.
        confidence_threshold: see `stats.calibration.confidence_threshold`, on validation images
            that the model which predicts them was not trained on; None without such a model.
        selection_note: of the smallest, how it compares with the winner of the search.
    """

    config: TrialConfig
    classes: Annotated[tuple[str, ...], Field(min_length=1, max_length=100_000)]
    size: Annotated[int, Field(ge=16, le=1024)]
    epochs: int
    seeds: Annotated[tuple[int, ...], Field(min_length=1, max_length=1000)]
    search: str
    trial_id: str
    selected_by: SelectionMethod
    selected_after_test: bool
    fingerprint: str
    git_revision: str | None
    user_code: dict[str, Any]
    trained_seeds: tuple[int, ...]
    confidence_threshold: Share | None = None
    selection_note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, in order of definition."""
        return asdict(self) | {"config": self.config.model_dump()}


def write_model_card(folder: Path, card: ModelCard) -> None:
    """Write a model's card into its folder."""
    write_text(folder / CONFIG_FILE, dump_yaml(card.to_dict()))


def read_model_card(folder: Path) -> ModelCard:
    """Read the card of the model in `folder`.

    Raises:
        ResultsError: the card is missing or damaged.
    """
    path = folder / CONFIG_FILE
    if not path.exists():
        raise ResultsError(f"no retrained winner in {folder}; make one: {_retrain_command(folder)}")
    try:
        return TypeAdapter(ModelCard).validate_python(load_yaml_document(path).values)
    except (ConfigError, ValueError) as error:
        raise corrupt_file_error(path, error, _remedy(folder)) from error


@dataclass(frozen=True)
class RetrainingEpoch:
    """Metrics of an epoch of a retraining, which has no validation split."""

    epoch: Count
    train_loss: FiniteFloat
    train_accuracy: Share
    learning_rate: FiniteFloat
    epoch_seconds: FiniteFloat

    @classmethod
    def from_metrics(cls, metrics: EpochMetrics) -> RetrainingEpoch:
        """Drop the validation metrics."""
        return cls(**{name: getattr(metrics, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class SeedRun:
    """Retraining with one seed.

    Attributes:
        seed: seed of the training.
        loss: mean cross-entropy, in nats, of the inference model on its training images without
            augmentation; None if it diverged. The loss logged in training is of other weights on
            augmented images, and says little unless the learning rate decays.
        epochs: metrics of each epoch, up to the end or the divergence.
    """

    seed: int
    loss: FiniteFloat | None
    epochs: tuple[RetrainingEpoch, ...]

    @property
    def diverged(self) -> bool:
        """Whether the loss became NaN or infinite; such a model is never kept."""
        return self.loss is None


@dataclass(frozen=True)
class RetrainingRecord:
    """Record of a winner's training: ``metrics.json``.

    Attributes:
        trial_id: trial whose configuration was trained.
        selected_seeds: seed of each model kept; several form an ensemble.
        selection_rule: description of the rule that selected them.
        num_train_images: number of training images.
        seconds: time of all sessions of the retraining, without interruptions.
        device: device of the runs, all if they differ.
        threads: number of CPU threads of a run, the largest if they differ.
        environment: environment as returned by `describe_environment`.
        runs: runs of all seeds, in the order of their seeds.
    """

    trial_id: str
    selected_seeds: tuple[int, ...]
    selection_rule: str
    num_train_images: Count
    seconds: FiniteFloat
    device: str
    threads: Count
    environment: dict[str, Any]
    runs: tuple[SeedRun, ...]


def write_retraining(folder: Path, record: RetrainingRecord) -> None:
    """Write the training record of the winner in `folder`."""
    runs = [{"seed": run.seed, "diverged": run.diverged, **asdict(run)} for run in record.runs]
    write_json(folder / METRICS_FILE, asdict(record) | {"runs": runs})


def read_retraining(folder: Path) -> RetrainingRecord:
    """Read the training record of the winner in `folder`.

    Raises:
        ResultsError: the record is missing or damaged.
    """
    path = folder / METRICS_FILE
    try:
        return read_json(path, RetrainingRecord, _remedy(folder))
    except FileNotFoundError as error:
        raise corrupt_file_error(path, error, _remedy(folder)) from error


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
        ResultsError: the ledger is damaged, which cannot be ignored: it is evidence.
    """
    try:
        return [parse_json(line, TestEvaluation) for line in path.read_bytes().splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise corrupt_file_error(path, error) from error


def append_test_evaluation(
    path: Path, trial_id: str, model_digest: str, correct: int, total: int
) -> None:
    """Append an evaluation on the test split to the ledger."""
    evaluation = TestEvaluation(time.time(), trial_id, model_digest, correct, total)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(evaluation)) + "\n")


def _remedy(folder: Path) -> str:
    """Return the remedy for damaged files of a winner."""
    return f"retrain: {_retrain_command(folder)}"


def _retrain_command(folder: Path) -> str:
    return SearchPaths(folder.parent).command("retrain")
