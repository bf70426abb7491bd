"""Classifying picture files with the winner."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from handsigns.console.sanitize import printable
from handsigns.data.folders import images_below
from handsigns.data.images import BadPictureError, Pixels, decode, read_bytes
from handsigns.data.layouts import BadFile
from handsigns.errors import DataError
from handsigns.results.winner import ModelCard
from handsigns.training.device import pick_device
from handsigns.training.evaluate import predict_logits
from handsigns.winner.model import load_model

_AT_ONCE = 256
"""Images that are decoded before they are classified: a few MiB."""


@dataclass(frozen=True)
class Winner:
    """A retrained model, ready to classify, with what is known of it."""

    model: nn.Module
    card: ModelCard
    device: torch.device

    def probabilities(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return class probabilities (N, K) of images uint8 (N, size, size, 3), RGB.

        `card` has the size and the names of the K classes.

        Raises:
            DataError: the images are of another type or shape.
        """
        check_images(images, self.card.size)
        batch = torch.tensor(images).to(self.device)
        shares: npt.NDArray[np.float32] = predict_logits(self.model, batch).softmax(1).cpu().numpy()
        return shares


@dataclass(frozen=True)
class Prediction:
    """What the winner sees in an image; `probabilities` by class name, in the model's order."""

    picture: Path
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
class Predictions:
    """What came of several files: predictions, and the files that are no usable images."""

    good: tuple[Prediction, ...]
    bad: tuple[BadFile, ...]


def load_winner(folder: Path, *, allow_own_code: bool = False) -> Winner:
    """The model in the folder ``winner/`` of a search, on the GPU where there is one.

    Args:
        allow_own_code: see `load_model`.

    Raises:
        ResultsError: there is no whole model.
    """
    device = pick_device()
    model, card = load_model(folder, device, allow_own_code=allow_own_code)
    return Winner(model, card, device)


def predict(winner: Winner, sources: Iterable[Path]) -> Predictions:
    """Classify image files of any size, and all images in folders.

    Raises:
        DataError: there is no image among them.
    """
    files = [file for source in sources for file in _files(source)]
    good: list[Prediction] = []
    bad: list[BadFile] = []
    for start in range(0, len(files), _AT_ONCE):
        images = {}
        for file in files[start : start + _AT_ONCE]:
            try:
                images[file] = decode(read_bytes(file), winner.card.size)
            except BadPictureError as error:
                bad.append(BadFile(str(file), str(error)))
        if images:
            shares = winner.probabilities(np.stack(list(images.values()))).tolist()
            good += [
                Prediction(file, dict(zip(winner.card.classes, row, strict=True)))
                for file, row in zip(images, shares, strict=True)
            ]
    return Predictions(tuple(good), tuple(bad))


def _files(source: Path) -> list[Path]:
    """A file itself, or the images in a folder and below it.

    Raises:
        DataError: the folder has none, or it is a URL.
    """
    shown = printable(str(source))
    if re.match(r"[a-z][a-z0-9+]*:/", str(source), re.IGNORECASE):
        raise DataError(f"{shown} is a URL; download it, and name the file")
    if not source.is_dir():
        return [source]
    found = images_below(source)
    if not found:
        raise DataError(f"{shown} has no images; name image files, or a folder with some")
    return found


def check_images(images: object, size: int) -> None:
    """See that an array is a batch of images as a model takes them.

    Raises:
        DataError: it is not; says what is wanted, what was given, and how to get there.
    """
    wanted = f"uint8 (N, {size}, {size}, 3), RGB, with values 0 to 255"
    if not isinstance(images, np.ndarray):
        raise DataError(f"images must be a NumPy array, {wanted}, not {type(images).__name__}")
    given = f"{images.dtype} {images.shape}"
    if images.shape[1:] != (size, size, 3) or images.ndim != 4:
        single = images.shape == (size, size, 3)
        advice = (
            "add a dimension for the batch (images[None])"
            if single
            else ("files of any size are taken by handsigns.predict")
        )
        raise DataError(f"images must be {wanted}, not {given}; {advice}")
    if images.dtype != np.uint8:
        raise DataError(
            f"images must be {wanted}, not {given}; they are scaled by the model itself"
        )
