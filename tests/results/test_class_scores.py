"""Selection of the worst of many classes, and of the most confused pairs."""

from handsigns.results.class_scores import confused_pairs, worst_classes
from tests.support import scripted


def test_worst_classes_come_first(make_search):
    test = scripted.make_test_result(make_search(trials=2, classes=26))
    assert [s["class"] for s in worst_classes(test, 26)] == list(test.classes)
    worst = worst_classes(test, 5)
    assert len(worst) == 5
    assert max(s["recall"] for s in worst) <= min(s["recall"] for s in test.per_class())


def test_most_frequent_confusion_comes_first(make_search):
    test = scripted.make_test_result(make_search(trials=2, classes=26))
    pairs = confused_pairs(test)
    assert len(pairs) == 26
    assert all(pair.images == 2 and pair.predicted == (pair.true + 1) % 26 for pair in pairs)
