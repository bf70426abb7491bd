"""Prediction: classification of images with the winner."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from handsigns.console.sanitize import printable
from handsigns.data.file_types import is_leftover
from handsigns.data.folders import check_is_path, find_images
from handsigns.data.images import Pixels
from handsigns.data.listing import BadFile
from handsigns.data.validate import remark_notes
from handsigns.errors import DataError
from handsigns.results.winner import ModelCard
from handsigns.training.device import pick_device
from handsigns.training.evaluate import predict_logits
from handsigns.winner.inputs import ImageInput, check_is_batch, pixel_batches, unusable_images_error
from handsigns.winner.model import load_model


@dataclass(frozen=True)
class Winner:
    """Retrained model, ready for inference, with its card and device.

    It predicts like a classifier of scikit-learn, and works with its scorers; it does not need it.
    """

    model: nn.Module
    card: ModelCard
    device: torch.device

    @property
    def classes_(self) -> npt.NDArray[np.str_]:
        """Names of the K classes (K,), in the order of the columns of `predict_proba`."""
        return np.array(self.card.classes)

    def predict(self, images: Iterable[ImageInput]) -> npt.NDArray[np.str_]:
        """Return the name of the most probable class of each image (N,).

        Args, errors: see `predict_proba`.
        """
        labels: npt.NDArray[np.str_] = self.classes_[self.predict_proba(images).argmax(1)]
        return labels

    def predict_proba(self, images: Iterable[ImageInput]) -> npt.NDArray[np.float32]:
        """Return class probabilities (N, K) of images of any size, in the order of `classes_`.

        Images are read and classified in batches, so that an iterator of many takes little memory.

        Args:
            images: paths of image files, Pillow images, or arrays uint8 (H, W), (H, W, 3) or
                (H, W, 4), RGB, which may also be mixed.

        Raises:
            DataError: some are not usable images; each is listed with its reason. Or `images` is a
                single one.
        """
        check_is_batch(images)
        bad: list[BadFile] = []
        batches = pixel_batches(images, self.card.size, bad)
        parts = [self.probabilities(batch.pixels) for batch in batches]
        if bad:
            raise unusable_images_error(bad)
        return np.concatenate([np.empty((0, len(self.card.classes)), np.float32), *parts])

    def __sklearn_tags__(self) -> Any:
        """Return tags that let scikit-learn's scorers treat the winner as a classifier."""
        from sklearn.utils import ClassifierTags, Tags, TargetTags  # type: ignore[import-untyped]

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
        )

    def probabilities(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return class probabilities (N, K) of images uint8 (N, size, size, 3), RGB.

        `card` has the image size and the names of the K classes.

        Raises:
            DataError: the images are of another type or shape.
        """
        validate_images(images, self.card.size)
        # PyTorch rejects the negative strides of reversed axes, as in `bgr[..., ::-1]`.
        batch = torch.tensor(np.ascontiguousarray(images)).to(self.device)
        probs: npt.NDArray[np.float32] = predict_logits(self.model, batch).softmax(1).cpu().numpy()
        return probs


@dataclass(frozen=True)
class Prediction:
    """Prediction for an image; `probabilities` by class name, in the model's order."""

    path: Path
    probabilities: dict[str, float]

    @property
    def label(self) -> str:
        """The most probable class."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])

    @property
    def ranking(self) -> list[tuple[str, float]]:
        """The classes with their probabilities, the most probable first."""
        return sorted(self.probabilities.items(), key=lambda pair: -pair[1])


@dataclass(frozen=True)
class PredictionBatch:
    """Predictions for several files, the files that are not usable images, and notes on others."""

    predictions: tuple[Prediction, ...]
    unreadable: tuple[BadFile, ...]
    notes: tuple[str, ...]


def load_winner(folder: Path, *, trust_user_code: bool = False) -> Winner:
    """Load the model in the folder ``winner/`` of a search, on the GPU if there is one.

    Args:
        trust_user_code: see `load_model`.

    Raises:
        ResultsError: the model is missing or damaged.
    """
    device = pick_device()
    model, card = load_model(folder, device, trust_user_code=trust_user_code)
    return Winner(model, card, device)


def predict(winner: Winner, sources: Iterable[Path]) -> PredictionBatch:
    """Classify image files of any size, and all images in folders.

    Raises:
        DataError: a folder has no images, or a source is a URL.
    """
    sources = list(sources)
    files = [file for source in sources for file in _expand(source)]
    if sources and not files:
        raise DataError(
            f"{printable(str(sources[0]))} was left behind by an operating system; pass image files"
        )
    good: list[Prediction] = []
    bad: list[BadFile] = []
    remarks: dict[str, tuple[str, ...]] = {}
    for batch in pixel_batches(files, winner.card.size, bad):
        names = [files[index] for index in batch.indices]
        remarks |= zip(map(str, names), batch.remarks, strict=True)
        probs = winner.probabilities(batch.pixels).tolist()
        good += [
            Prediction(name, dict(zip(winner.card.classes, row, strict=True)))
            for name, row in zip(names, probs, strict=True)
        ]
    return PredictionBatch(tuple(good), tuple(bad), tuple(remark_notes(remarks)))


def _expand(source: Path) -> list[Path]:
    """Return a file itself, or the images in a folder and its subfolders.

    What an operating system left behind is passed over: a shell's ``photos/*`` includes it.

    Raises:
        DataError: the folder has none, or the source is a URL.
    """
    check_is_path(source, "download it, and pass the file")
    if is_leftover(source.name):
        return []
    if not os.path.isdir(source):  # noqa: PTH112 - `Path.is_dir` raises for a name that is too long
        return [source]
    found = find_images(source)
    if not found:
        raise DataError(
            f"{printable(str(source))} has no images; pass image files, or a folder with images"
        )
    return found


def validate_images(images: object, size: int) -> None:
    """Check that an array is a valid batch of images for a model.

    Raises:
        DataError: it is not; the message has the expected and the given form, and the remedy.
    """
    expected = f"uint8 (N, {size}, {size}, 3), RGB, with values 0 to 255"
    if not isinstance(images, np.ndarray):
        raise DataError(f"images must be a NumPy array, {expected}, not {type(images).__name__}")
    given = f"{images.dtype} {images.shape}"
    if images.shape[1:] != (size, size, 3) or images.ndim != 4:
        single = images.shape == (size, size, 3)
        advice = (
            "add a batch dimension (images[None])"
            if single
            else "for images of any size use predict_proba"
        )
        raise DataError(f"images must be {expected}, not {given}; {advice}")
    if images.dtype != np.uint8:
        raise DataError(f"images must be {expected}, not {given}; the model scales them itself")
