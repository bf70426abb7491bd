"""Files of a winner, with readers and writers: model card and retraining.

`winner.model` handles the weights, `winner.model_card` the README.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, TypeAdapter

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.sections import MAX_SEEDS
from handsigns.config.yaml_document import dump_yaml, load_yaml_document
from handsigns.data.splits import MAX_SIZE, MIN_SIZE
from handsigns.errors import ConfigError, ResultsError
from handsigns.io.atomic import write_text
from handsigns.io.json_file import corrupt_file_error, read_json, write_json
from handsigns.metrics import EpochMetrics
from handsigns.results.paths import SearchPaths
from handsigns.stats.calibration import Share

MODEL_FILE = "model.safetensors"
SEEDS_FOLDER = "seeds"
CONFIG_FILE = "config.yaml"
METRICS_FILE = "metrics.json"
README_FILE = "README.md"
"""File names in the folder of a winner."""
_MAX_CARD_BYTES = 64 * 2**20
"""Limit of a model card, which has the names of up to 100,000 classes."""

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
    size: Annotated[int, Field(ge=MIN_SIZE, le=MAX_SIZE)]
    epochs: int
    seeds: Annotated[tuple[int, ...], Field(min_length=1, max_length=MAX_SEEDS)]
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

    @property
    def chosen_by_user(self) -> bool:
        """Whether the user chose the trial, or the margin, so that it need not be the best."""
        return self.selected_by in ("user", "smallest")

    @property
    def test_options(self) -> tuple[str, ...]:
        """Options with which the command `test` accepts the model."""
        return ("--after-test",) if self.selected_after_test else ()

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
        document = load_yaml_document(path, _MAX_CARD_BYTES)
        return TypeAdapter(ModelCard).validate_python(document.values)
    except (ConfigError, ValueError) as error:
        raise corrupt_file_error(path, error, retraining_remedy(folder)) from error


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
        return read_json(path, RetrainingRecord, retraining_remedy(folder))
    except FileNotFoundError as error:
        raise corrupt_file_error(path, error, retraining_remedy(folder)) from error


def retraining_remedy(folder: Path) -> str:
    """Return the remedy for damaged files of a winner."""
    return f"retrain: {_retrain_command(folder)}"


def _retrain_command(folder: Path) -> str:
    paths = SearchPaths(folder.parent)
    return paths.command("retrain", *paths.trust_options)
