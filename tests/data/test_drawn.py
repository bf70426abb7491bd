import numpy as np
import pytest

from handsigns.data.drawn import CLASSES, draw_hands
from handsigns.data.drawn.pose import SIGNS, draw_pose
from handsigns.data.open import DRAWN_COUNTS, open_data


def test_pictures_and_labels():
    images, labels = draw_hands(13, seed=5, size=48)
    assert images.shape == (13, 48, 48, 3)
    assert images.dtype == np.uint8
    assert labels.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0]


def test_a_picture_follows_from_the_seed_and_its_number_alone():
    many, _ = draw_hands(70, seed=1)
    few, _ = draw_hands(33, seed=1)
    assert np.array_equal(many[:33], few)


def test_seeds_and_numbers_draw_different_pictures():
    images = np.concatenate([draw_hands(60, seed=seed)[0] for seed in (0, 1)])
    assert len({image.tobytes() for image in images}) == 120


def test_pictures_use_the_whole_range_and_are_not_noise():
    images, _ = draw_hands(60, seed=2)
    assert 60 < images.mean() < 180
    assert (images.std((1, 2, 3)) > 8).mean() > 0.95
    steps = np.abs(np.diff(images.astype(int), axis=2)).mean()
    shuffled = np.random.default_rng(0).permuted(images, axis=2).astype(int)
    assert steps < 0.5 * np.abs(np.diff(shuffled, axis=2)).mean(), "neighbours look alike"


@pytest.mark.parametrize("sign", range(6))
def test_as_many_fingers_are_raised_as_the_sign_says(sign):
    for seed in range(40):
        pose = draw_pose(sign, np.random.default_rng(seed))
        assert sum(pose.raised) == sign
        for finger in range(1, 5):
            reach = np.linalg.norm(pose.joints[finger, 3] - pose.joints[finger, 0])
            length = np.linalg.norm(np.diff(pose.joints[finger], axis=0), axis=1).sum()
            assert (reach > 0.9 * length) == pose.raised[finger], "straight, or curled"


def test_every_way_to_show_a_sign_has_as_many_fingers():
    assert len(SIGNS) == len(CLASSES) == 6
    for sign, ways in enumerate(SIGNS):
        assert sum(share for share, _ in ways) == pytest.approx(1)
        assert all(len(set(fingers)) == sign for _, fingers in ways)


def test_the_hand_lies_in_the_picture():
    for seed in range(100):
        pose = draw_pose(seed % 6, np.random.default_rng(seed))
        to_picture = np.linalg.inv(pose.to_hand[:, :2])
        places = (pose.joints.reshape(-1, 2) - pose.to_hand[:, 2]) @ to_picture.T
        assert np.abs(places).max() < 1


def test_the_default_data_set():
    data = open_data(None, size=16)
    counts = {name: sum(data.info.counts[name]) for name in DRAWN_COUNTS}
    assert counts == DRAWN_COUNTS
    assert data.info.notes == ()
    assert data.info.source == "drawn hands"
    assert open_data(None, size=16).info == data.info
