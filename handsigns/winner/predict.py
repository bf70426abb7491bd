"""Classifying picture files with the winner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from handsigns.data.pictures import BadPictureError, Pixels, decode, read_bytes
from handsigns.errors import DataError
from handsigns.text import printable
from handsigns.training.device import pick_device
from handsigns.training.evaluate import predict_logits
from handsigns.winner.model import load_model


@dataclass(frozen=True)
class Prediction:
    """What the winner sees in a picture; `probabilities` by class name, in the model's order."""

    picture: Path
    probabilities: dict[str, float]

    @property
    def label(self) -> str:
        """The most probable class."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])


def predict(
    winner: Path, pictures: Sequence[Path], *, allow_own_code: bool = False
) -> list[Prediction]:
    """Classify pictures of any size with the model in the folder `winner`.

    Args:
        allow_own_code: see `load_model`.

    Raises:
        ResultsError: there is no whole model.
        DataError: lists every file that is no usable picture.
    """
    device = pick_device()
    model, card = load_model(winner, device, allow_own_code=allow_own_code)
    images = _decode_all(pictures, card.size)
    shares = predict_logits(model, torch.from_numpy(images).to(device)).softmax(1).cpu()
    return [
        Prediction(picture, dict(zip(card.classes, row, strict=True)))
        for picture, row in zip(pictures, shares.tolist(), strict=True)
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
