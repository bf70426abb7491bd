"""Predictions of a completed trial for the images that it was validated on, as a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from handsigns.data.near_duplicates import image_digests
from handsigns.data.splits import Split
from handsigns.io.digest import digest

MAX_PREDICTIONS = 2**24
"""Number of probabilities above which a trial's are not kept, so that its file has at most 32 MiB.
"""


def dump_predictions(probs: npt.NDArray[np.float32], split: Split) -> bytes:
    """Serialise the class probabilities (N, K) of a split's images, as float16 safetensors."""
    from safetensors.numpy import save

    key = predictions_key(image_digests(split.images), split.labels, split.names)
    images = np.frombuffer(bytes.fromhex(key), np.uint8)
    return save({"probabilities": probs.astype(np.float16), "images": images})


def load_predictions(
    content: bytes, key: str, shape: tuple[int, int]
) -> npt.NDArray[np.float64] | None:
    """Return class probabilities; None if they are damaged or of other images.

    Args:
        content: what `dump_predictions` returned.
        key: see `predictions_key`.
        shape: numbers of images and classes.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(content)
        probs, images = tensors["probabilities"].astype(np.float64), tensors["images"].tobytes()
    except (SafetensorError, KeyError, ValueError):
        return None
    valid = probs.shape == shape and bool(((probs >= 0) & (probs <= 1)).all())
    return probs if valid and images.hex() == key else None


def predictions_key(
    digests: Sequence[str], labels: npt.NDArray[np.int64], names: Sequence[str]
) -> str:
    """Return a digest of N images in their order: of their pixels' digests, labels and names."""
    return digest(repr(list(zip(digests, labels.tolist(), names, strict=True))))
