"""The test: the one place that opens the test split, and the ledger that says when."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from handsigns.data.dataset import DataSet
from handsigns.data.images import Pixels
from handsigns.data.splits import Split
from handsigns.data.validate import digests
from handsigns.errors import ResultsError
from handsigns.io.atomic import staged_folder
from handsigns.io.digest import file_digest
from handsigns.io.json_file import write_json
from handsigns.results.ledger import add_opening, read_ledger
from handsigns.results.paths import SearchPaths
from handsigns.results.store import StoredSearch
from handsigns.stats.calibration import Calibration, calibration
from handsigns.stats.intervals import METHOD, wilson_interval
from handsigns.training.device import pick_device
from handsigns.training.evaluate import predict_logits
from handsigns.winner.model import MODEL_FILE, ModelCard, load_card, load_model, load_seeds
from handsigns.winner.model_card import read_training, write_readme

TEST_FILE = "test.json"
WRONG_FOLDER = "wrong"
_SHOWN = 50
"""Pictures classified wrongly that are kept beside the result."""


@dataclass(frozen=True)
class Mistake:
    """A picture classified wrongly.

    Attributes:
        picture: its name in the data.
        index: its place in the split, from 0.
        true, predicted: class names.
        confidence: probability of the predicted class.
        file: the picture itself as a PNG, relative to the winner's folder; None beyond the first
            `_SHOWN`.
    """

    picture: str
    index: int
    true: str
    predicted: str
    confidence: float
    file: str | None


@dataclass(frozen=True)
class TestResult:
    """How the winner did on the test split.

    Attributes:
        classes: K class names.
        confusion: int64 (K, K), rows are true classes, columns predicted ones.
        wrong: each picture classified wrongly, in the order of the split.
        calibration: how far its confidence can be believed.
        per_seed: accuracy of the model of each seed that was trained, in their order. The model
            kept was chosen without these; how far they differ is luck of the seed.
        unseen: pictures classified rightly, and all, of those that are not, by their pixels, among
            the pictures it was trained on, too.
        openings: how often the test split of this search has been opened, this time included.
    """

    __test__ = False  # not a test case, whatever pytest makes of the name

    classes: tuple[str, ...]
    confusion: npt.NDArray[np.int64]
    wrong: tuple[Mistake, ...]
    calibration: Calibration
    per_seed: tuple[float, ...]
    unseen: tuple[int, int]
    openings: int

    @property
    def correct(self) -> int:
        """Pictures classified rightly."""
        return int(np.trace(self.confusion))

    @property
    def total(self) -> int:
        """Pictures in the test split."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """Share classified rightly."""
        return self.correct / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy."""
        return wilson_interval(self.correct, self.total)

    def per_class(self) -> list[dict[str, Any]]:
        """Precision (None where the class was never predicted) and recall of each class."""
        hits = np.diagonal(self.confusion)
        predicted, true = self.confusion.sum(0), self.confusion.sum(1)
        return [
            {
                "class": name,
                "precision": float(hits[k] / predicted[k]) if predicted[k] else None,
                "recall": float(hits[k] / true[k]) if true[k] else None,
                "pictures": int(true[k]),
            }
            for k, name in enumerate(self.classes)
        ]


def check_choice(paths: SearchPaths, *, after_test: bool) -> ModelCard:
    """Refuse a winner that was picked by hand once a test result was known, unless that is stated.

    Raises:
        ResultsError: it was, and the user has not asked to have it stated.
    """
    card = load_card(paths.winner)
    ledger = read_ledger(paths.test_ledger)
    if card.chosen_after_test and not after_test:
        last = ledger[-1]
        raise ResultsError(
            f"trial {card.trial_id} was picked by hand after a test result of this search was "
            f"known (trial {last.trial_id}: {last.correct} of {last.total} right). Its accuracy "
            f"on the same pictures would be no honest estimate. To test it all the same and have "
            f"this stated in {TEST_FILE}: {paths.command('test', '--after-test')}"
        )
    return card


def test_winner(
    search: StoredSearch, data: DataSet, *, after_test: bool, allow_own_code: bool
) -> TestResult:
    """Open the test split, classify it with the winner, write ``winner/test.json`` and the ledger.

    Args:
        search: whose winner is tested.
        data: its data.
        after_test: the user states that the trial was picked after a test result was known.
        allow_own_code: see `load_model`.

    Raises:
        ResultsError: there is no winner, its data differ, or it was picked after a test.
    """
    paths = search.paths
    card = check_choice(paths, after_test=after_test)
    if card.fingerprint != data.info.fingerprint:
        raise ResultsError(
            f"the data have changed since the winner was trained (fingerprint "
            f"{data.info.fingerprint[:12]} instead of {card.fingerprint[:12]}); put the earlier "
            f"pictures back, or search anew on these"
        )
    training = read_training(paths.winner)
    device = pick_device()
    model, card = load_model(paths.winner, device, allow_own_code=allow_own_code)
    seeds = load_seeds(paths.winner, device, allow_own_code=allow_own_code)
    split = data.open_test()
    images = torch.tensor(split.images).to(device)
    logits = predict_logits(model, images)
    predicted = logits.argmax(1).cpu().numpy()
    confidence = logits.softmax(1).amax(1).cpu().numpy().astype(np.float64)
    confusion = np.zeros((len(card.classes), len(card.classes)), np.int64)
    np.add.at(confusion, (split.labels, predicted), 1)
    correct = int(np.trace(confusion))
    digest = file_digest(paths.winner / MODEL_FILE)
    add_opening(paths.test_ledger, card.trial_id, digest, correct, len(split))
    wrong = np.flatnonzero(predicted != split.labels)
    files = _store_pictures(paths.winner / WRONG_FOLDER, [split.images[i] for i in wrong[:_SHOWN]])
    files += [None] * (len(wrong) - len(files))
    result = TestResult(
        classes=card.classes,
        confusion=confusion,
        wrong=tuple(
            Mistake(
                picture=split.names[i],
                index=int(i),
                true=card.classes[split.labels[i]],
                predicted=card.classes[predicted[i]],
                confidence=float(confidence[i]),
                file=file,
            )
            for i, file in zip(wrong, files, strict=True)
        ),
        calibration=calibration(confidence, predicted == split.labels),
        per_seed=tuple(
            float((predict_logits(one, images).argmax(1).cpu().numpy() == split.labels).mean())
            for one in seeds
        ),
        unseen=_unseen(data, split, predicted),
        openings=len(read_ledger(paths.test_ledger)),
    )
    written = _as_json(result, card)
    write_json(paths.winner / TEST_FILE, written)
    write_readme(paths.winner, card, search, training, written)
    return result


def _unseen(data: DataSet, test: Split, predicted: npt.NDArray[np.int64]) -> tuple[int, int]:
    known = {*digests(data.train), *digests(data.val)}
    fresh = np.array([digest not in known for digest in digests(test)])
    return int((predicted == test.labels)[fresh].sum()), int(fresh.sum())


def _store_pictures(folder: Path, images: list[Pixels]) -> list[str | None]:
    """Put pictures into `folder` as PNG, all together, in place of an earlier set; their names."""
    names = [f"{number:02d}.png" for number in range(len(images))]
    with staged_folder(folder, earlier="replace") as fresh:
        for name, image in zip(names, images, strict=True):
            Image.fromarray(image).save(fresh / name)
    return [f"{folder.name}/{name}" for name in names]


def _as_json(result: TestResult, card: ModelCard) -> dict[str, Any]:
    return {
        "accuracy": result.accuracy,
        "correct": result.correct,
        "total": result.total,
        "ci95": list(result.interval),
        "ci95_method": METHOD,
        "classes": list(result.classes),
        "confusion": result.confusion.tolist(),
        "per_class": result.per_class(),
        "wrong": [
            {name: value for name, value in asdict(mistake).items() if value is not None}
            for mistake in result.wrong
        ],
        "calibration": asdict(result.calibration),
        "per_seed": list(result.per_seed),
        "unseen": {"correct": result.unseen[0], "total": result.unseen[1]},
        "seeds": list(card.trained_seeds),
        "kept_seeds": list(card.seeds),
        "trial_id": card.trial_id,
        "chosen": card.chosen,
        "chosen_after_test": card.chosen_after_test,
        "test_openings": result.openings,
        "fingerprint": card.fingerprint,
    }
