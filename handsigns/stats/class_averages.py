"""Scores in which every class counts the same, however many images it has."""

from __future__ import annotations

from collections.abc import Sequence


def balanced_accuracy(correct: Sequence[float], images: Sequence[float]) -> float:
    """Return the mean recall of the classes that have images, in [0, 1].

    As `balanced_accuracy_score` of scikit-learn (Brodersen et al., "The balanced accuracy and its
    posterior distribution", 2010).

    Args:
        correct: number of images classified correctly, by class.
        images: number of images, by class; at least one is above 0.
    """
    recalls = [c / n for c, n in zip(correct, images, strict=True) if n]
    return sum(recalls) / len(recalls)


def macro_f1(
    correct: Sequence[float], images: Sequence[float], predicted: Sequence[float]
) -> float:
    """Return the mean F1 score of all classes, in [0, 1].

    As `f1_score` of scikit-learn with all labels, ``average="macro"`` and ``zero_division=0``: a
    class that has no images and is never predicted has the score 0.

    Args:
        correct: number of images classified correctly, by class.
        images: number of images, by class.
        predicted: number of images for which the class was predicted, by class.
    """
    scores = [
        2 * c / (n + p) if n + p else 0.0
        for c, n, p in zip(correct, images, predicted, strict=True)
    ]
    return sum(scores) / len(scores)
