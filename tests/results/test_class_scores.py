"""The worst of many classes, and which are confused."""

from handsigns.results.class_scores import confusions, worst_classes
from tests.support import scripted


def test_the_worst_come_first(make_search):
    test = scripted.tested(make_search(trials=2, classes=26))
    assert [s["class"] for s in worst_classes(test, 26)] == list(test.classes)
    few = worst_classes(test, 5)
    assert len(few) == 5
    assert max(s["recall"] for s in few) <= min(s["recall"] for s in test.per_class())


def test_the_most_frequent_confusion_comes_first(make_search):
    test = scripted.tested(make_search(trials=2, classes=26))
    found = confusions(test)
    assert len(found) == 26
    assert all(pair.images == 2 and pair.predicted == (pair.true + 1) % 26 for pair in found)
