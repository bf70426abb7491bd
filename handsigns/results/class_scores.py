"""Per-class test scores, limited if there are too many classes to show."""

from __future__ import annotations

from typing import NamedTuple

from handsigns.results.test_result import ClassScore, TestResult


class ConfusedPair(NamedTuple):
    """Number of images of one class for which another class was predicted."""

    images: int
    true: int
    predicted: int


def worst_classes(test: TestResult, limit: int) -> list[ClassScore]:
    """Return all classes in order or, of more than `limit`, those with the lowest recall first.

    Classes without test images come last.
    """
    scores = test.per_class()
    if len(scores) <= limit:
        return scores
    return sorted(scores, key=_worst_first_key)[:limit]


def _worst_first_key(score: ClassScore) -> tuple[float, float]:
    recall, precision = score["recall"], score["precision"]
    return (2.0 if recall is None else recall, 2.0 if precision is None else precision)


def omission_note(shown: int, total: int, file: str) -> str:
    """Return a note on omitted classes and the file that lists all; empty if none are omitted."""
    if shown >= total:
        return ""
    return f"the {shown} of {total} classes with the lowest recall; all classes are in {file}"


def confused_pairs(test: TestResult) -> list[ConfusedPair]:
    """Return the pairs of true and predicted class that were confused, most frequent first."""
    found = [
        ConfusedPair(count, true, predicted)
        for true, row in enumerate(test.confusion_matrix)
        for predicted, count in enumerate(row)
        if count and true != predicted
    ]
    return sorted(found, reverse=True)
