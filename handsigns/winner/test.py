"""The test: the one place that opens the test split, and the ledger that says when."""

from __future__ import annotations

from pathlib import Path

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
from handsigns.results.paths import SearchPaths
from handsigns.results.store import StoredSearch
from handsigns.results.winner import (
    MODEL_FILE,
    TEST_FILE,
    WRONG_FOLDER,
    Misclassified,
    ModelCard,
    TestResult,
    Unseen,
    add_opening,
    read_card,
    read_ledger,
    read_retraining,
    write_test,
)
from handsigns.stats.calibration import calibration
from handsigns.training.device import pick_device
from handsigns.training.evaluate import predict_logits
from handsigns.winner.model import load_model, load_seeds
from handsigns.winner.model_card import write_readme

_SHOWN = 50
"""Misclassified images that are kept beside the result."""


def check_choice(paths: SearchPaths, *, after_test: bool) -> ModelCard:
    """Refuse a winner that was picked by hand once a test result was known, unless that is stated.

    Raises:
        ResultsError: it was, and the user has not asked to have it stated.
    """
    card = read_card(paths.winner)
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
    training = read_retraining(paths.winner)
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
        confusion=tuple(map(tuple, confusion.tolist())),
        wrong=tuple(
            Misclassified(
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
        seeds=card.trained_seeds,
        kept_seeds=card.seeds,
        trial_id=card.trial_id,
        chosen=card.chosen,
        chosen_after_test=card.chosen_after_test,
        openings=len(read_ledger(paths.test_ledger)),
        fingerprint=card.fingerprint,
    )
    write_test(paths.winner, result)
    write_readme(paths.winner, card, search, training, result)
    return result


def _unseen(data: DataSet, test: Split, predicted: npt.NDArray[np.int64]) -> Unseen:
    known = {*digests(data.train), *digests(data.val)}
    fresh = np.array([digest not in known for digest in digests(test)])
    return Unseen(int((predicted == test.labels)[fresh].sum()), int(fresh.sum()))


def _store_pictures(folder: Path, images: list[Pixels]) -> list[str | None]:
    """Put pictures into `folder` as PNG, all together, in place of an earlier set; their names."""
    names = [f"{number:02d}.png" for number in range(len(images))]
    with staged_folder(folder, earlier="replace") as fresh:
        for name, image in zip(names, images, strict=True):
            Image.fromarray(image).save(fresh / name)
    return [f"{folder.name}/{name}" for name in names]
