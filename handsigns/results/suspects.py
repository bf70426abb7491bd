"""Suspect labels of a search: images that its good models agree on against their label."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, TextIO

from pydantic import Field

from handsigns.console.sanitize import escape_csv_formula
from handsigns.data.findings import ImageRef
from handsigns.data.splits import SplitName
from handsigns.io.json_file import read_json, write_json
from handsigns.results.paths import SearchPaths
from handsigns.stats.calibration import Share
from handsigns.stats.intervals import wilson_interval

COLUMNS = ("image", "split", "label", "suggested", "probability", "agreement", "models", "digest")
"""Columns of the CSV file; `data.corrections` reads it."""

MIN_MODELS = 3
"""Models that must have judged an image to say that nearly all models miss it."""


@dataclass(frozen=True)
class SuspectLabel:
    """Image whose label may be wrong.

    Attributes:
        image: the image with its split and label.
        suggested: class that it more probably shows.
        probability: mean probability of `suggested` over the models.
        agreement: share of the models that predict `suggested`.
        models: number of models that judged it, none of which was trained on it.
        seen: most probable classes with their mean probabilities, the most probable first.
        digest: digest of its pixels, which identifies it beside its name.
    """

    image: ImageRef
    suggested: str
    probability: Share
    agreement: Share
    models: Annotated[int, Field(ge=1)]
    seen: tuple[tuple[str, Share], ...]
    digest: str

    def row(self) -> dict[str, str | float]:
        """Return a value for each of `COLUMNS`, safe in a spreadsheet."""
        return {
            "image": escape_csv_formula(self.image.name),
            "split": self.image.split,
            "label": escape_csv_formula(self.image.label),
            "suggested": escape_csv_formula(self.suggested),
            "probability": round(self.probability, 4),
            "agreement": round(self.agreement, 4),
            "models": self.models,
            "digest": self.digest,
        }


@dataclass(frozen=True)
class LeakEffect:
    """Mean validation accuracy of the good models with and without the val images that leaked.

    Attributes:
        num_leaked: number of val images that share a group with a training image, as
            near-duplicates do.
        num_models: number of models, all of them trained on train and validated on val.
        accuracy: their mean accuracy on val.
        accuracy_without: the same without the leaked images; None if there are no others.
    """

    num_leaked: Annotated[int, Field(ge=1)]
    num_models: Annotated[int, Field(ge=1)]
    accuracy: Share
    accuracy_without: Share | None


@dataclass(frozen=True)
class SuspectLabels:
    """Suspect labels of a search: ``suspects.json``.

    Attributes:
        fingerprint: fingerprint of the data.
        models: number of models that judged images: completed trials that are within noise of the
            best, and completed runs of the re-evaluation.
        judged: number of images that a model judged that was not trained on them, by split. The
            training images are judged by a re-evaluation with folds only.
        images: number of images, by split.
        accuracy: mean accuracy of the models on the judged images, by their labels. The lower it
            is, the more suspects are errors of the models.
        wrong_share: share of the labels of the judged images that confident learning estimates to
            be wrong.
        compared: number of images that at least `MIN_MODELS` models judged.
        missed: number of these that nearly all models miss.
        num_suspects: number of suspect labels.
        suspects: these, or the first of very many, the most suspect first.
        leak_effect: see `LeakEffect`; None if no val images leaked.
    """

    fingerprint: str
    models: Annotated[int, Field(ge=1)]
    judged: Mapping[SplitName, int]
    images: Mapping[SplitName, int]
    accuracy: Share
    wrong_share: Share
    compared: Annotated[int, Field(ge=0)]
    missed: Annotated[int, Field(ge=0)]
    num_suspects: int
    suspects: tuple[SuspectLabel, ...]
    leak_effect: LeakEffect | None = None

    def __post_init__(self) -> None:
        if self.missed > self.compared or not self.judged.keys() == self.images.keys():
            raise ValueError("the numbers of images contradict each other")

    @property
    def attainable_accuracy(self) -> float | None:
        """Accuracy that these labels allow: the share of `compared` that is not `missed`.

        None if no images were judged by enough models.
        """
        return 1 - self.missed / self.compared if self.compared else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % Wilson interval of `attainable_accuracy`."""
        return (
            wilson_interval(self.compared - self.missed, self.compared) if self.compared else None
        )

    def write_csv(self, out: TextIO) -> None:
        """Write a row for each suspect, as `search` takes them to relabel or exclude images."""
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(suspect.row() for suspect in self.suspects)


def write_suspects(paths: SearchPaths, suspects: SuspectLabels) -> None:
    """Store the suspect labels of a search."""
    write_json(paths.suspects, dataclasses.asdict(suspects))


def read_suspects(paths: SearchPaths, fingerprint: str) -> SuspectLabels | None:
    """Read the suspect labels of a search; None if there are none, or of other data.

    Raises:
        ResultsError: the file is damaged.
    """
    try:
        found = read_json(paths.suspects, SuspectLabels)
    except FileNotFoundError:
        return None
    return found if found.fingerprint == fingerprint else None
