"""Confident learning: wrong labels, from predictions of models that were not trained on the images.

After Northcutt, Jiang & Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels",
JAIR 70, 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ConfidentLearning:
    """Estimate of which labels are wrong.

    Attributes:
        confident: int64 (N,), class that an image confidently belongs to; -1 if to none.
        suggested: int64 (N,), most probable class other than the label.
        margins: float64 (N,), probability of the label less that of `suggested`, in [-1, 1]; the
            lower, the more suspect.
        joint: float64 (K, K), estimated share of all images by label (rows) and true class
            (columns).
    """

    confident: npt.NDArray[np.int64]
    suggested: npt.NDArray[np.int64]
    margins: npt.NDArray[np.float64]
    joint: npt.NDArray[np.float64]

    @property
    def wrong_share(self) -> float:
        """Estimated share of wrong labels, in [0, 1]."""
        return float(self.joint[~np.eye(len(self.joint), dtype=bool)].sum())


def confident_learning(
    probs: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]
) -> ConfidentLearning:
    """Estimate which labels are wrong.

    An image belongs confidently to a class if its probability reaches the class's threshold: the
    mean probability of that class over the images labelled so. Of several classes the most probable
    counts.

    Args:
        probs: (N, K) class probabilities of each image, from models that were not trained on it; N
            at least 1, K at least 2.
        labels: (N,) labels, which may be wrong.
    """
    images, classes = np.arange(len(labels)), range(probs.shape[1])
    thresholds = np.array(
        [probs[labels == k, k].mean() if (labels == k).any() else np.inf for k in classes]
    )
    reached = np.where(probs >= thresholds, probs, -1.0)
    confident = np.where(reached.max(1) >= 0, reached.argmax(1), -1)
    others = probs.copy()
    others[images, labels] = -1.0
    suggested = others.argmax(1)
    margins = probs[images, labels] - probs[images, suggested]
    return ConfidentLearning(confident, suggested, margins, _joint(labels, confident, len(classes)))


def _joint(
    labels: npt.NDArray[np.int64], confident: npt.NDArray[np.int64], num_classes: int
) -> npt.NDArray[np.float64]:
    """Return the confident joint, with each row scaled to the images that have this label."""
    known = confident >= 0
    counts = np.zeros((num_classes, num_classes))
    np.add.at(counts, (labels[known], confident[known]), 1)
    empty = counts.sum(1) == 0
    counts[empty, empty.nonzero()[0]] = 1  # no image to tell: the labels count as right
    share_of_class = np.bincount(labels, minlength=num_classes) / len(labels)
    joint: npt.NDArray[np.float64] = counts / counts.sum(1, keepdims=True)
    return joint * share_of_class[:, None]
