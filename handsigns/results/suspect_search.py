"""Search for suspect labels: the good models of a search judge the images they did not train on."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from handsigns.console.sanitize import printable
from handsigns.data.dataset import DataSet
from handsigns.data.findings import ImageRef
from handsigns.data.near_duplicates import image_digests
from handsigns.data.splits import Split, SplitName
from handsigns.data.thumbnails import encode_thumbnail
from handsigns.data.validate import shared_images
from handsigns.results.checkpoints import checkpoint_store
from handsigns.results.paths import SearchPaths
from handsigns.results.predictions import load_predictions, predictions_key
from handsigns.results.statistics import num_val_images
from handsigns.results.store import StoredSearch
from handsigns.results.suspects import MIN_MODELS, LeakEffect, SuspectLabel, SuspectLabels
from handsigns.results.trial import TrialRecord
from handsigns.stats.confident_learning import confident_learning
from handsigns.stats.intervals import wilson_interval

_MAX_TRIALS = 50
"""Good trials whose predictions are read; more would not change the mean."""
_MAX_SUSPECTS = 1000
_MAX_THUMBNAILS = 100
"""Suspects that are listed, and those shown, so that the file stays small."""
_NEARLY_ALL = 0.9
"""Share of the models that miss an image, from which it is suspect in any case."""
_SURE = 0.5
"""Probability above which fewer than `MIN_MODELS` models count: they might miss it by chance."""
_NUM_SEEN = 3


def find_suspects(search: StoredSearch, data: DataSet) -> SuspectLabels | None:
    """Find the images whose labels are probably wrong; None if no predictions are stored.

    Suspect are images that confidently belong to another class (see `confident_learning`, with the
    mean probabilities of the models), and images that nearly all models miss.

    Args:
        search: the search.
        data: its data, of which the test split is not opened.

    Raises:
        ResultsError: the journal of the re-evaluation is damaged.
        OSError: the predictions cannot be read.
    """
    predictions: _HeldOutPredictions | None = None
    for paths, record in _good_runs(search):
        content = checkpoint_store(search.config, paths).load_predictions(record.trial_id)
        if content is not None:
            predictions = predictions or _HeldOutPredictions(data)
            predictions.add(record, content)
    return predictions.suspects() if predictions is not None and predictions.num_models else None


def _good_runs(search: StoredSearch) -> Iterator[tuple[SearchPaths, TrialRecord]]:
    """Yield the good models: completed trials not worse than the best by more than noise, and runs.

    The noise is that of accuracy, which is known, whatever the objective; by another objective the
    best may be less accurate than others. The runs are those of re-evaluated top trials.
    """
    completed = [record for record in search.ranked if record.status == "completed"]
    total, least = num_val_images(search), math.inf
    if completed and total:
        # An approximation if the number of images has changed since.
        least = wilson_interval(round(completed[0].epochs[-1].val_accuracy * total), total)[0]
    for record in completed[:_MAX_TRIALS]:
        if record.epochs[-1].val_accuracy >= least:
            yield search.paths, record
    for run in search.reevaluation_journal.records:
        if run.status == "completed":
            yield search.paths.reevaluation, run


class _HeldOutPredictions:
    """Mean probabilities and predictions of models, for the train and then the val images."""

    def __init__(self, data: DataSet) -> None:
        self._data = data
        self._splits = (data.train, data.val)
        self._labels = np.concatenate([split.labels for split in self._splits])
        self._names = np.array([name for split in self._splits for name in split.names], object)
        self._digests = np.array(
            [d for split in self._splits for d in image_digests(split.images)], object
        )
        num_classes = len(data.info.classes)
        self._probs = np.zeros((len(self._labels), num_classes))
        self._votes = np.zeros((len(self._labels), num_classes), np.int64)
        self._val_correct: list[npt.NDArray[np.bool_]] = []
        self.num_models = 0

    def add(self, record: TrialRecord, content: bytes) -> None:
        """Add the predictions of a run, unless they are damaged or of other images."""
        images = self._held_out(record)
        key = predictions_key(
            self._digests[images].tolist(), self._labels[images], self._names[images].tolist()
        )
        probs = load_predictions(content, key, (len(images), self._probs.shape[1]))
        if probs is not None:
            self._probs[images] += probs
            self._votes[images, probs.argmax(1)] += 1
            self.num_models += 1
            if record.fold is None:
                self._val_correct.append(probs.argmax(1) == self._data.val.labels)

    def _held_out(self, record: TrialRecord) -> npt.NDArray[np.int64]:
        """Return the images on which a run was validated."""
        if record.fold is None:
            return np.arange(len(self._data.train), len(self._labels))
        return np.flatnonzero(record.fold.is_held_out(*self._splits))

    def suspects(self) -> SuspectLabels:
        """Return the suspect labels; at least one model was added."""
        counts = self._votes.sum(1)
        judged = np.flatnonzero(counts)
        counts, labels = counts[judged], self._labels[judged]
        probs, votes = self._probs[judged] / counts[:, None], self._votes[judged] / counts[:, None]
        found = confident_learning(probs, labels)
        elsewhere = (found.confident >= 0) & (found.confident != labels)
        agreeing = votes[np.arange(len(labels)), labels]
        compared = counts >= MIN_MODELS
        missed = 1 - agreeing >= _NEARLY_ALL
        sure = probs.max(1) > _SURE
        suspect = np.flatnonzero((elsewhere | (missed & (compared | sure))) & (found.margins < 0))
        suspect = suspect[np.argsort(found.margins[suspect], kind="stable")]
        num_train = len(self._data.train)
        return SuspectLabels(
            fingerprint=self._data.info.fingerprint,
            models=self.num_models,
            judged={
                "train": int((judged < num_train).sum()),
                "val": int((judged >= num_train).sum()),
            },
            images={"train": num_train, "val": len(self._data.val)},
            accuracy=_share(agreeing.mean()),
            wrong_share=found.wrong_share,
            compared=int(compared.sum()),
            missed=int((missed & compared).sum()),
            num_suspects=len(suspect),
            suspects=tuple(
                self._suspect(
                    int(judged[i]), int(found.suggested[i]), probs[i], votes[i], int(counts[i]),
                    with_thumbnail=number < _MAX_THUMBNAILS,
                )
                for number, i in enumerate(suspect[:_MAX_SUSPECTS].tolist())
            ),
            leak_effect=self._leak_effect(),
        )  # fmt: skip

    def _leak_effect(self) -> LeakEffect | None:
        leaked = shared_images(self._data.val, self._data.train)
        if not leaked.any() or not self._val_correct:
            return None
        correct = np.mean(self._val_correct, axis=0)
        return LeakEffect(
            num_leaked=int(leaked.sum()),
            num_models=len(self._val_correct),
            accuracy=_share(correct.mean()),
            accuracy_without=None if leaked.all() else _share(correct[~leaked].mean()),
        )

    def _suspect(
        self,
        image: int,
        suggested: int,
        probs: npt.NDArray[np.float64],
        votes: npt.NDArray[np.float64],
        models: int,
        *,
        with_thumbnail: bool,
    ) -> SuspectLabel:
        classes = self._data.info.classes
        split, index = self._find(image)
        thumbnail = encode_thumbnail(split.images[index]) if with_thumbnail else ""
        name: SplitName = "train" if split is self._data.train else "val"
        ref = ImageRef(name, printable(self._names[image]), classes[self._labels[image]], thumbnail)
        seen = np.argsort(-probs, kind="stable")[:_NUM_SEEN]
        return SuspectLabel(
            image=ref,
            suggested=classes[suggested],
            probability=_share(probs[suggested]),
            agreement=_share(votes[suggested]),
            models=models,
            seen=tuple((classes[k], _share(probs[k])) for k in seen),
            digest=self._digests[image],
        )

    def _find(self, image: int) -> tuple[Split, int]:
        train, val = self._splits
        return (train, image) if image < len(train) else (val, image - len(train))


def _share(value: float) -> float:
    """Return a share, which rounding of float16 may have carried out of [0, 1]."""
    return min(1.0, round(float(value), 4))
