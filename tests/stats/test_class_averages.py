import numpy as np
import pytest

from handsigns.stats.class_averages import balanced_accuracy, macro_f1


def test_scores_of_a_model_that_predicts_the_majority():
    """Of 95 and 5 images all are predicted as the first class."""
    assert balanced_accuracy([95, 0], [95, 5]) == 0.5
    assert macro_f1([95, 0], [95, 5], [100, 0]) == pytest.approx((190 / 195 + 0) / 2)


def test_classes_without_images():
    """The third class is predicted, but has no images; the fourth neither."""
    correct, images, predicted = [3, 1, 0, 0], [4, 2, 0, 0], [3, 2, 1, 0]
    assert balanced_accuracy(correct, images) == pytest.approx((3 / 4 + 1 / 2) / 2)
    expected = [6 / 7, 2 / 4, 0, 0]
    assert macro_f1(correct, images, predicted) == pytest.approx(np.mean(expected))


def test_scores_equal_their_definitions_by_precision_and_recall():
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 5, 200), rng.integers(0, 5, 200)
    recalls, scores = [], []
    for k in range(5):
        hits = np.sum((true == k) & (predicted == k))
        precision, recall = hits / np.sum(predicted == k), hits / np.sum(true == k)
        recalls.append(recall)
        scores.append(2 * precision * recall / (precision + recall))
    counts = [np.bincount(labels, minlength=5).tolist() for labels in (true, predicted)]
    correct = np.bincount(true[true == predicted], minlength=5).tolist()
    assert balanced_accuracy(correct, counts[0]) == pytest.approx(np.mean(recalls))
    assert macro_f1(correct, *counts) == pytest.approx(np.mean(scores))
