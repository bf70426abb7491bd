"""Test of the winner: the only module that opens the test split, each time with a ledger entry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from handsigns.console.sanitize import printable
from handsigns.data.dataset import DataSet
from handsigns.data.images import Pixels
from handsigns.data.splits import Split
from handsigns.data.validate import shared_images
from handsigns.errors import ResultsError
from handsigns.io.atomic import staged_folder
from handsigns.io.digest import file_digest
from handsigns.results.paths import SearchPaths
from handsigns.results.store import StoredSearch
from handsigns.results.test_result import (
    MISCLASSIFIED_DIR,
    TEST_FILE,
    Misclassified,
    NonDuplicateScore,
    TestResult,
    append_test_evaluation,
    read_test_ledger,
    write_test_result,
)
from handsigns.results.winner import MODEL_FILE, read_model_card, read_retraining
from handsigns.stats.calibration import calibration
from handsigns.training.device import pick_device
from handsigns.training.device_data import as_tensors
from handsigns.training.evaluate import predict_logits
from handsigns.winner.model import load_model, load_seed_models
from handsigns.winner.model_card import write_readme
from handsigns.winner.model_card_exports import exports_section

_MAX_SAVED_IMAGES = 50
"""Number of misclassified images saved beside the result."""


def check_selection(paths: SearchPaths, *, after_test: bool) -> None:
    """Refuse a winner that the user chose after a test result was known, unless declared.

    Raises:
        ResultsError: it was chosen so, and `after_test` does not declare it.
    """
    card = read_model_card(paths.winner)
    ledger = read_test_ledger(paths.test_ledger)
    if card.selected_after_test and not after_test:
        found = ""
        if ledger:  # which may be lost, unlike the model card
            last = ledger[-1]
            found = f" (trial {last.trial_id}: {last.correct}/{last.total} correct)"
        anyway = paths.command("test", "--after-test", *paths.trust_options)
        raise ResultsError(
            f"trial {card.trial_id} was chosen with --trial or --smallest-within after a test "
            f"result of this search was known{found}. Its accuracy on the same images would be a "
            f"biased estimate. To test it anyway and record this in {TEST_FILE}: {anyway}"
        )


def evaluate_winner(search: StoredSearch, data: DataSet, *, trust_user_code: bool) -> TestResult:
    """Evaluate the winner, which `check_selection` has accepted, on the test split.

    The result is written to ``winner/test.json`` and added to the ledger.

    Args:
        search: search of the winner.
        data: data of the search.
        trust_user_code: see `load_model`.

    Raises:
        ResultsError: there is no winner, or the data differ.
    """
    paths = search.paths
    training = read_retraining(paths.winner)
    exports_section(paths.winner)  # a damaged record is reported before the split is opened
    device = pick_device()
    model, card = load_model(paths.winner, device, trust_user_code=trust_user_code)
    if card.fingerprint != data.info.fingerprint:
        raise ResultsError(
            f"the data have changed since the winner was trained (fingerprint "
            f"{data.info.fingerprint[:12]} instead of {card.fingerprint[:12]}); restore the "
            f"earlier images, or start a new search on these"
        )
    seed_models = load_seed_models(paths.winner, device, trust_user_code=trust_user_code)
    split = data.open_test()
    images = as_tensors(split)[0].to(device)
    logits = predict_logits(model, images)
    predicted = logits.argmax(1).cpu().numpy()
    confidence = logits.softmax(1).amax(1).cpu().numpy().astype(np.float64)
    confusion = np.zeros((len(card.classes), len(card.classes)), np.int64)
    np.add.at(confusion, (split.labels, predicted), 1)
    correct = int(np.trace(confusion))
    digest = file_digest(paths.winner / MODEL_FILE)
    append_test_evaluation(paths.test_ledger, card.trial_id, digest, correct, len(split))
    misclassified = np.flatnonzero(predicted != split.labels)
    files = _save_images(
        paths.winner / MISCLASSIFIED_DIR,
        [split.images[i] for i in misclassified[:_MAX_SAVED_IMAGES]],
    )
    files += [None] * (len(misclassified) - len(files))
    result = TestResult(
        classes=card.classes,
        confusion_matrix=tuple(map(tuple, confusion.tolist())),
        misclassified=tuple(
            Misclassified(
                image=printable(split.names[i]),
                index=int(i),
                true=card.classes[split.labels[i]],
                predicted=card.classes[predicted[i]],
                confidence=float(confidence[i]),
                file=file,
            )
            for i, file in zip(misclassified, files, strict=True)
        ),
        calibration=calibration(confidence, predicted == split.labels),
        accuracy_per_seed=tuple(
            float((predict_logits(member, images).argmax(1).cpu().numpy() == split.labels).mean())
            for member in seed_models
        ),
        excluding_duplicates=_score_excluding_duplicates(data, split, predicted),
        seeds=card.trained_seeds,
        selected_seeds=card.seeds,
        trial_id=card.trial_id,
        selected_by=card.selected_by,
        selected_after_test=card.selected_after_test,
        test_evaluations=len(read_test_ledger(paths.test_ledger)),
        fingerprint=card.fingerprint,
    )
    write_test_result(paths.winner, result)
    write_readme(paths.winner, card, search, training, result)
    return result


def _score_excluding_duplicates(
    data: DataSet, test: Split, predicted: npt.NDArray[np.int64]
) -> NonDuplicateScore:
    unseen = ~shared_images(test, data.train, data.val)
    return NonDuplicateScore(int((predicted == test.labels)[unseen].sum()), int(unseen.sum()))


def _save_images(folder: Path, images: list[Pixels]) -> list[str | None]:
    """Save images as PNG in `folder`, replacing earlier ones; return their relative paths."""
    names = [f"{number:02d}.png" for number in range(len(images))]
    with staged_folder(folder, if_exists="replace") as staging:
        for name, image in zip(names, images, strict=True):
            Image.fromarray(image).save(staging / name)
    return [f"{folder.name}/{name}" for name in names]
