"""Selection of the worst of many classes, and of the most confused pairs."""

import pytest

from handsigns.results.class_scores import confused_pairs, worst_classes
from tests.support.scripted import add_weak_class, make_test_result


@pytest.fixture
def result(make_search):
    """Test result of 26 classes, with 2 confused images each, and 30 more of the last."""
    return add_weak_class(make_test_result(make_search(trials=2, classes=26)))


def test_worst_classes_come_first(result):
    assert [s["class"] for s in worst_classes(result, 26)] == list(result.classes)
    worst = worst_classes(result, 5)
    recalls = [s["recall"] for s in result.per_class()]
    assert [s["recall"] for s in worst] == sorted(recalls)[:5] == [4 / 36, *[34 / 36] * 4]
    assert worst[0]["class"] == result.classes[-1]


def test_most_frequent_confusion_comes_first(result):
    pairs = confused_pairs(result)
    assert pairs[0] == (30, 25, 1)
    assert len(pairs) == 27
    assert all(p.images == 2 and p.predicted == (p.true + 1) % 26 for p in pairs[1:])
