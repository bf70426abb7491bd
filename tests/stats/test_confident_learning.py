import numpy as np
import pytest

from handsigns.stats.confident_learning import confident_learning


def judged(num_images, num_classes, wrong, seed=0, noise=0.5):
    """Return probabilities of a good model, labels of which `wrong` are swapped, and which."""
    rng = np.random.default_rng(seed)
    true = rng.integers(num_classes, size=num_images)
    logits = rng.normal(0, noise, (num_images, num_classes))
    logits[np.arange(num_images), true] += 4
    probs = np.exp(logits)
    labels, swapped = true.copy(), rng.permutation(num_images)[:wrong]
    labels[swapped] = (true[swapped] + rng.integers(1, num_classes, wrong)) % num_classes
    return probs / probs.sum(1, keepdims=True), labels, np.isin(np.arange(num_images), swapped)


def test_swapped_labels_are_the_most_suspect():
    probs, labels, swapped = judged(1000, 6, wrong=30)
    found = confident_learning(probs, labels)
    assert set(np.argsort(found.margins)[:30]) == set(np.flatnonzero(swapped))
    assert (found.margins[swapped] < 0).all()


def test_suggested_class_is_the_true_one():
    probs, labels, swapped = judged(1000, 6, wrong=30)
    found = confident_learning(probs, labels)
    assert (found.suggested[swapped] == probs[swapped].argmax(1)).all()
    assert (found.suggested != labels).all()


@pytest.mark.parametrize("wrong", [0, 30, 150])
def test_share_of_wrong_labels_is_estimated(wrong):
    probs, labels, _ = judged(1000, 6, wrong)
    assert confident_learning(probs, labels).wrong_share == pytest.approx(wrong / 1000, abs=0.01)


def test_joint_has_the_shares_of_the_labels():
    probs, labels, _ = judged(500, 4, wrong=40)
    joint = confident_learning(probs, labels).joint
    assert joint.sum(1) == pytest.approx(np.bincount(labels) / 500)


def test_threshold_of_a_class_is_its_own_mean_probability():
    """An underconfident class needs less probability than a confident one."""
    probs = np.array([[0.9, 0.1], [0.9, 0.1], [0.7, 0.3], [0.35, 0.65], [0.45, 0.55]])
    found = confident_learning(probs, np.array([0, 0, 0, 1, 1]))
    assert found.confident.tolist() == [0, 0, -1, 1, -1]


def test_class_without_images_is_never_confident():
    probs = np.array([[0.6, 0.1, 0.3], [0.1, 0.7, 0.2], [0.0, 0.1, 0.9]])
    found = confident_learning(probs, np.array([0, 1, 1]))
    assert found.joint[:, 2].tolist() == [0.0, 0.0, 0.0]
    assert found.wrong_share == 0.0
