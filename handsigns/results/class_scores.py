"""A test's figures where there are too many classes to show all."""

from __future__ import annotations

from typing import NamedTuple

from handsigns.results.winner import ClassScore, TestResult


class Confusion(NamedTuple):
    """Images of one class for which another was predicted."""

    images: int
    true: int
    predicted: int


def worst_classes(test: TestResult, most: int) -> list[ClassScore]:
    """Return the classes in their order; of more than `most`, those with the lowest recall, the
    worst first. Classes without test images come last.
    """
    scores = test.per_class()
    if len(scores) <= most:
        return scores
    return sorted(scores, key=_badness)[:most]


def _badness(score: ClassScore) -> tuple[float, float]:
    recall, precision = score["recall"], score["precision"]
    return (2.0 if recall is None else recall, 2.0 if precision is None else precision)


def left_out(shown: int, there: int, file: str) -> str:
    """Return a note that some classes are left out, and where all are; else ""."""
    if shown >= there:
        return ""
    return f"the {shown} classes with the lowest recall of {there}; all of them are in {file}"


def confusions(test: TestResult) -> list[Confusion]:
    """Return each pair of classes of which one was predicted for the other, most frequent first."""
    found = [
        Confusion(count, true, predicted)
        for true, row in enumerate(test.confusion)
        for predicted, count in enumerate(row)
        if count and true != predicted
    ]
    return sorted(found, reverse=True)
