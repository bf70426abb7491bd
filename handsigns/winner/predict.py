"""Classifying picture files with the winner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from handsigns.console.sanitize import printable
from handsigns.data.images import BadPictureError, Pixels, decode, read_bytes
from handsigns.errors import DataError
from handsigns.results.winner import ModelCard
from handsigns.training.device import pick_device
from handsigns.training.evaluate import predict_logits
from handsigns.winner.model import load_model


@dataclass(frozen=True)
class Winner:
    """A retrained model, ready to classify, with what is known of it."""

    model: nn.Module
    card: ModelCard
    device: torch.device

    def probabilities(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Class probabilities (N, K) of images uint8 (N, size, size, 3), RGB; `card` has `size`
        and the names of the K classes.
        """
        batch = torch.tensor(images).to(self.device)
        shares: npt.NDArray[np.float32] = predict_logits(self.model, batch).softmax(1).cpu().numpy()
        return shares


@dataclass(frozen=True)
class Prediction:
    """What the winner sees in a picture; `probabilities` by class name, in the model's order."""

    picture: Path
    probabilities: dict[str, float]

    @property
    def label(self) -> str:
        """The most probable class."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])


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


def predict(winner: Winner, pictures: Sequence[Path]) -> list[Prediction]:
    """Classify picture files of any size.

    Raises:
        DataError: lists every file that is no usable picture.
    """
    if not pictures:
        return []
    shares = winner.probabilities(_decode_all(pictures, winner.card.size)).tolist()
    return [
        Prediction(picture, dict(zip(winner.card.classes, row, strict=True)))
        for picture, row in zip(pictures, shares, strict=True)
    ]


def _decode_all(pictures: Sequence[Path], size: int) -> Pixels:
    images, problems = [], []
    for picture in pictures:
        try:
            images.append(decode(read_bytes(picture), size))
        except BadPictureError as error:
            problems.append(f"  {printable(str(picture))}: {error}")
    if problems:
        raise DataError("\n".join(["no usable pictures:", *problems]))
    return np.stack(images)
