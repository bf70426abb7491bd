"""Classes of very different sizes, which accuracy hides."""

from __future__ import annotations

from collections.abc import Sequence

from handsigns.config.sections import Objective
from handsigns.console.format import percent, pluralize
from handsigns.console.sanitize import printable
from handsigns.data.splits import DataInfo

_RATIO = 10
"""Ratio of the largest to the smallest class from which accuracy misleads."""


def rare_classes(counts: Sequence[int]) -> list[int]:
    """Return the indices of the classes with less than a tenth of the images of the largest.

    Args:
        counts: images of each class; those without any are left out.
    """
    return [k for k, count in enumerate(counts) if 0 < count * _RATIO < max(counts)]


def imbalance_note(info: DataInfo, objective: Objective) -> str:
    """Return a note where the objective is accuracy and a class is rare, else ""."""
    counts = info.counts.get("train", ())
    if objective.metric != "val_accuracy" or not rare_classes(counts):
        return ""
    largest, rarest = counts.index(max(counts)), min(rare_classes(counts), key=counts.__getitem__)
    images = pluralize(counts[rarest], "training image")
    return (
        f"class {printable(info.classes[rarest])} has {images}, "
        f"{printable(info.classes[largest])} {counts[largest]}. A model that always predicts the "
        f"latter has an accuracy of {percent(counts[largest] / sum(counts), 0)}: val_accuracy "
        f"hardly shows whether rare classes are recognised. Set objective.metric to "
        f"val_balanced_accuracy, and add class_weights and sampling to the space"
    )
