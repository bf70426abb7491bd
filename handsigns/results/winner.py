"""The files of a winner, each defined, written and read here: card, retraining, test, test ledger.

The weights are left to `winner.model`, the README to `winner.model_card`.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

from pydantic import Field, FiniteFloat, TypeAdapter

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.yaml_tree import read_document, write_tree
from handsigns.errors import ConfigError, ResultsError
from handsigns.io.atomic import write_text
from handsigns.io.json_file import damaged, parse_json, read_json, write_json
from handsigns.metrics import EpochMetrics
from handsigns.results.paths import SearchPaths
from handsigns.stats.calibration import Calibration, Share
from handsigns.stats.intervals import METHOD, wilson_interval

MODEL_FILE = "model.safetensors"
SEEDS_FOLDER = "seeds"
CONFIG_FILE = "config.yaml"
METRICS_FILE = "metrics.json"
README_FILE = "README.md"
TEST_FILE = "test.json"
WRONG_FOLDER = "wrong"
"""Names in the folder of a winner."""

Count = Annotated[int, Field(ge=0)]
Chosen = Literal["by rank", "by re-evaluation", "by hand"]
"""As the leaderboard's first, as the best of the re-evaluated, or by the user."""


@dataclass(frozen=True)
class ModelCard:
    """What must be known to use a model, and where it came from: ``config.yaml``.

    Attributes:
        config: the hyperparameters.
        classes: class names, in the order of the logits.
        size: height and width of the images in pixels.
        epochs: trained for, on train and validation split together.
        seeds: of the model kept; of several models, whose probabilities are averaged, each.
        search: name of the search.
        trial_id: whose configuration this is.
        chosen: see `Chosen`.
        chosen_after_test: the user chose the trial by hand after a test result was known.
        fingerprint: of the data.
        git_revision: of the code; None where unknown.
        own_code: what user code it needs, as `OwnCode.described`.
        trained_seeds: of all models that were trained and did not diverge.
    """

    config: TrialConfig
    classes: Annotated[tuple[str, ...], Field(min_length=1, max_length=100_000)]
    size: Annotated[int, Field(ge=16, le=1024)]
    epochs: int
    seeds: Annotated[tuple[int, ...], Field(min_length=1, max_length=1000)]
    search: str
    trial_id: str
    chosen: Chosen
    chosen_after_test: bool
    fingerprint: str
    git_revision: str | None
    own_code: dict[str, Any]
    trained_seeds: tuple[int, ...]

    def fields(self) -> dict[str, Any]:
        """Return the fields as plain values, in their order."""
        return asdict(self) | {"config": self.config.model_dump()}


def write_card(folder: Path, card: ModelCard) -> None:
    """Write a model's card into its folder."""
    write_text(folder / CONFIG_FILE, write_tree(card.fields()))


def read_card(folder: Path) -> ModelCard:
    """Read the card of the model in `folder`.

    Raises:
        ResultsError: there is none, or it is damaged.
    """
    path = folder / CONFIG_FILE
    if not path.exists():
        raise ResultsError(f"no retrained winner in {folder}; make one: {_retrain_command(folder)}")
    try:
        return TypeAdapter(ModelCard).validate_python(read_document(path).values)
    except (ConfigError, ValueError) as error:
        raise damaged(path, error, _remedy(folder)) from error


@dataclass(frozen=True)
class RetrainingEpoch:
    """`EpochMetrics` of a retraining, which has no validation split."""

    epoch: Count
    train_loss: FiniteFloat
    train_accuracy: Share
    learning_rate: FiniteFloat
    epoch_seconds: FiniteFloat

    @classmethod
    def of(cls, metrics: EpochMetrics) -> RetrainingEpoch:
        """Return the metrics without those of validation."""
        return cls(**{name: getattr(metrics, name) for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class SeedRun:
    """The retraining with one seed.

    Attributes:
        seed: of the training.
        loss: mean cross entropy, in nats, of the network as it is used, on the images it was
            trained on as they are; None where it diverged. Training's own loss is of other weights,
            on augmented images, and where the learning rate does not fall, means little.
        epochs: up to the end, or the divergence.
    """

    seed: int
    loss: FiniteFloat | None
    epochs: tuple[RetrainingEpoch, ...]

    @property
    def diverged(self) -> bool:
        """Whether its loss became NaN or infinite; such a model is never kept."""
        return self.loss is None


@dataclass(frozen=True)
class RetrainingRecord:
    """How a winner was trained: ``metrics.json``.

    Attributes:
        trial_id: whose configuration was trained.
        kept_seeds: of the model kept; several make an ensemble.
        kept_by: the rule that chose them, in words.
        train_pictures: number of images trained on.
        seconds: for all seeds together.
        device, threads: that they were trained on, and with.
        environment: as `describe_environment` returned it.
        runs: of all seeds, in the order they were trained.
    """

    trial_id: str
    kept_seeds: tuple[int, ...]
    kept_by: str
    train_pictures: Count
    seconds: FiniteFloat
    device: str
    threads: Count
    environment: dict[str, Any]
    runs: tuple[SeedRun, ...]


def write_retraining(folder: Path, record: RetrainingRecord) -> None:
    """Write how the winner in `folder` was trained."""
    runs = [{"seed": run.seed, "diverged": run.diverged, **asdict(run)} for run in record.runs]
    write_json(folder / METRICS_FILE, asdict(record) | {"runs": runs})


def read_retraining(folder: Path) -> RetrainingRecord:
    """Read how the winner in `folder` was trained.

    Raises:
        ResultsError: there is no record of it, or it is damaged.
    """
    path = folder / METRICS_FILE
    try:
        return read_json(path, RetrainingRecord, _remedy(folder))
    except FileNotFoundError as error:
        raise damaged(path, error, _remedy(folder)) from error


@dataclass(frozen=True)
class Misclassified:
    """A test image whose class was predicted wrongly.

    Attributes:
        picture: its name in the data.
        index: its position in the split, from 0.
        true, predicted: class names.
        confidence: probability of the predicted class.
        file: the image as a PNG, relative to the winner's folder; None for those that were not
            kept.
    """

    picture: str
    index: Count
    true: str
    predicted: str
    confidence: Share
    file: str | None = None


class Unseen(NamedTuple):
    """How many of the test images whose pixels are in neither train nor val are correct."""

    correct: Count
    total: Count


ClassScore = TypedDict(
    "ClassScore",
    {"class": str, "precision": float | None, "recall": float | None, "pictures": int},
)
"""Of one class; None where it was never predicted, or has no image."""


@dataclass(frozen=True)
class TestResult:
    """How a winner did on the test split: ``test.json``.

    Attributes:
        classes: K class names.
        confusion: (K, K) numbers of images, rows are true classes, columns predicted ones.
        wrong: each misclassified image, in the order of the split.
        calibration: how far its confidence can be believed.
        per_seed: accuracy of the model of each of `seeds`. The model kept was chosen without these;
            how far they differ is luck of the seed.
        unseen: see `Unseen`.
        seeds: of all models that were trained and did not diverge.
        kept_seeds: of the model that was tested.
        trial_id, chosen, chosen_after_test, fingerprint: as in `ModelCard`.
        openings: how often the test split of the search has been opened, this time included.
    """

    __test__ = False  # not a test case, whatever pytest makes of the name

    classes: tuple[str, ...]
    confusion: tuple[tuple[Count, ...], ...]
    wrong: tuple[Misclassified, ...]
    calibration: Calibration
    per_seed: tuple[Share, ...]
    unseen: Unseen
    seeds: tuple[int, ...]
    kept_seeds: tuple[int, ...]
    trial_id: str
    chosen: Chosen
    chosen_after_test: bool
    openings: Annotated[int, Field(ge=1, alias="test_openings")]
    fingerprint: str

    def __post_init__(self) -> None:
        count = len(self.classes)
        if [len(row) for row in self.confusion] != [count] * count:
            raise ValueError(f"the confusion matrix is not {count}x{count}, as the classes are")
        if self.total == 0:
            raise ValueError("the confusion matrix has no images")
        if len(self.wrong) != self.total - self.correct:
            raise ValueError(
                f"{len(self.wrong)} misclassified images are listed, and the confusion matrix has "
                f"{self.total - self.correct}"
            )

    @property
    def correct(self) -> int:
        """Images classified correctly."""
        return sum(self.confusion[k][k] for k in range(len(self.classes)))

    @property
    def total(self) -> int:
        """Images in the test split."""
        return sum(map(sum, self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of the images classified correctly."""
        return self.correct / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy."""
        return wilson_interval(self.correct, self.total)

    def per_class(self) -> list[ClassScore]:
        """Return precision and recall of each class."""
        predicted = [sum(column) for column in zip(*self.confusion, strict=True)]
        return [
            {
                "class": name,
                "precision": row[k] / predicted[k] if predicted[k] else None,
                "recall": row[k] / sum(row) if any(row) else None,
                "pictures": sum(row),
            }
            for k, (name, row) in enumerate(zip(self.classes, self.confusion, strict=True))
        ]


def write_test(folder: Path, test: TestResult) -> None:
    """Write the test result of the winner in `folder`, with what follows from its numbers."""
    summary = {
        "accuracy": test.accuracy,
        "correct": test.correct,
        "total": test.total,
        "ci95": test.interval,
        "ci95_method": METHOD,
        "classes": test.classes,
        "confusion": test.confusion,
        "per_class": test.per_class(),
    }
    fields = TypeAdapter(TestResult).dump_python(test, by_alias=True, exclude_none=True)
    write_json(folder / TEST_FILE, summary | fields | {"unseen": test.unseen._asdict()})


def read_test(folder: Path) -> TestResult | None:
    """Read the test result of the winner in `folder`; None where it was not tested.

    Raises:
        ResultsError: it is damaged.
    """
    try:
        return read_json(folder / TEST_FILE, TestResult)
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class TestOpening:
    """One opening of the test split: a line of the test ledger.

    Attributes:
        time: in seconds since the Unix epoch.
        trial_id, model_digest: of the winner that was tested.
        correct, total: numbers of images, its result.
    """

    __test__ = False  # not a test case, whatever pytest makes of the name

    time: FiniteFloat
    trial_id: str
    model_digest: str
    correct: Count
    total: Count


def read_ledger(path: Path) -> list[TestOpening]:
    """Read all openings of the test split so far, oldest first.

    Raises:
        ResultsError: the ledger is damaged; it is evidence, so it is not ignored.
    """
    try:
        return [parse_json(line, TestOpening) for line in path.read_bytes().splitlines()]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise damaged(path, error) from error


def add_opening(path: Path, trial_id: str, model_digest: str, correct: int, total: int) -> None:
    """Record that the test split was opened."""
    opening = TestOpening(time.time(), trial_id, model_digest, correct, total)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(opening)) + "\n")


def _remedy(folder: Path) -> str:
    """The remedy where a winner's own files are damaged."""
    return f"retrain: {_retrain_command(folder)}"


def _retrain_command(folder: Path) -> str:
    return SearchPaths(folder.parent).command("retrain")
