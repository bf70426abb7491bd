"""Near-duplicates: changed copies are found, and merely similar photographs are not."""

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from handsigns.data.dataset import open_data
from handsigns.data.near_duplicates import find_groups
from handsigns.data.splits import Split
from handsigns.data.synthetic import generate_hands
from handsigns.data.validate import find_leaks


def jpeg(image):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=30)
    return Image.open(file)


def moved(image, x, y):
    padded = np.pad(np.asarray(image), ((8, 8), (8, 8), (0, 0)), mode="edge")
    return Image.fromarray(padded[8 + y : 72 + y, 8 + x : 72 + x])


def turned(image, degrees):
    padded = np.pad(np.asarray(image), ((8, 8), (8, 8), (0, 0)), mode="edge")
    return Image.fromarray(padded).rotate(degrees, Image.Resampling.BILINEAR).crop((8, 8, 72, 72))


def cropped(image, left, top, right, bottom):
    return image.crop((left, top, 64 - right, 64 - bottom)).resize((64, 64))


CHANGES = {
    "encoded again": (jpeg, 1.0),
    "darker": (lambda i: ImageEnhance.Brightness(i).enhance(0.7), 1.0),
    "less contrast": (lambda i: ImageEnhance.Contrast(i).enhance(0.7), 1.0),
    "brighter, clipped": (lambda i: ImageEnhance.Brightness(i).enhance(1.3), 0.9),
    "grey": (lambda i: i.convert("L").convert("RGB"), 1.0),
    "smaller": (lambda i: i.resize((32, 32)).resize((64, 64)), 1.0),
    "shifted by 3 %": (lambda i: moved(i, 2, -1), 0.98),
    "shifted by 6 %": (lambda i: moved(i, -4, 3), 0.7),
    "cropped by 3 % a side": (lambda i: cropped(i, 2, 2, 2, 2), 0.98),
    "cropped by 5 % a side": (lambda i: cropped(i, 3, 3, 3, 3), 0.9),
    "turned by 3 degrees": (lambda i: turned(i, 3), 0.98),
}
"""Changes by name, and the proportion of the changed images that must be found."""


@pytest.fixture(scope="module")
def hands():
    return generate_hands(60, seed=5)[0]


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found(hands, change):
    function, share = CHANGES[change]
    copies = np.stack([np.asarray(function(Image.fromarray(image))) for image in hands])
    groups = find_groups(np.concatenate([hands, copies]))
    assert (groups[:60] == np.arange(60)).all(), "different hands are not near-duplicates"
    assert (groups[60:] == np.arange(60)).mean() >= share


def test_a_mirrored_image_is_not_a_near_duplicate(hands):
    groups = find_groups(np.concatenate([hands, hands[:, :, ::-1]]))
    assert len(set(groups.tolist())) == 120


def test_film_frames_are_one_group(hands):
    frames = [np.asarray(moved(Image.fromarray(hands[3]), step, step // 2)) for step in range(8)]
    groups = find_groups([hands[0], *frames, hands[1]])
    assert groups.tolist() == [0, *[1] * 8, 9]


@pytest.mark.parametrize("size", [8, 16, 50, 128])
def test_any_image_size(size):
    noise = np.random.default_rng(0).integers(0, 256, (6, size, size, 3), np.uint8)
    assert find_groups([*noise, noise[2]]).tolist() == [0, 1, 2, 3, 4, 5, 2]


def test_uniform_images_are_compared_by_their_pixels_alone():
    images = [np.full((16, 16, 3), value, np.uint8) for value in (0, 1, 90, 90, 255)]
    assert find_groups(images).tolist() == [0, 1, 2, 2, 4]
    assert find_groups([]).tolist() == []


def test_named_groups_are_merged_with_near_duplicates(hands):
    images = [*hands[:4], hands[0]]
    assert find_groups(images, [None, "a", "a", None, None]).tolist() == [0, 1, 1, 3, 0]
    assert find_groups(images, ["b", "a", None, "a", "a"]).tolist() == [0, 0, 2, 0, 0]


def test_groups_of_train_do_not_depend_on_test(hands):
    first = Image.fromarray(hands[0])
    far, between = np.asarray(moved(first, 8, 0)), np.asarray(moved(first, 4, 0))
    assert find_groups([hands[0], far]).tolist() == [0, 1]
    assert find_groups([hands[0], far, between]).tolist() == [0, 0, 0]
    assert find_groups([hands[0], far, between], num_seen=2).tolist() == [0, 1, 0]


def test_copies_of_val_are_leaks_whatever_else_test_joins(hands):
    first = Image.fromarray(hands[0])
    far, between = np.asarray(moved(first, 8, 0)), np.asarray(moved(first, 4, 0))
    images = np.stack([hands[0], far, between, far])
    groups = find_groups(images, num_seen=2)
    parts = (("train", slice(1)), ("val", slice(1, 2)), ("test", slice(2, 4)))
    labels, names = np.zeros(4, np.int64), ("first", "far", "between", "copy of far")
    splits = {
        name: Split(images[part], labels[part], names[part], groups[part]) for name, part in parts
    }
    (leak,) = find_leaks(splits)
    assert (leak.images, leak.others, leak.num_identical) == ((0, 1), ("train", "val"), 1)


def test_synthetic_hands_have_no_near_duplicates(image_cache, monkeypatch):
    monkeypatch.setenv("HANDSIGNS_CACHE", str(image_cache))
    data = open_data(None)
    images = np.concatenate([s.images for s in (data.train, data.val, data.open_test())])
    assert len(set(find_groups(images).tolist())) == len(images)


@pytest.mark.photographs
def test_bursts_of_photographs_are_found(signs):
    """The numbers of photographs are consecutive, so that bursts can be told from similar ones."""
    data = open_data(signs)
    splits = (data.train, data.val, data.open_test())
    names = [name for split in splits for name in split.names]
    labels = np.concatenate([split.labels for split in splits])
    numbers = np.array([int("".join(filter(str.isdigit, n.split("IMG_")[1][:4]))) for n in names])
    groups = find_groups(np.concatenate([split.images for split in splits]))
    sizes = Counter(groups.tolist())
    members = [np.flatnonzero(groups == group) for group, size in sizes.items() if size > 1]
    assert 50 <= len(members) <= 120
    assert all(len(set(labels[m].tolist())) == 1 for m in members), "no group mixes signs"
    spans = [np.ptp(numbers[m]) for m in members]
    assert np.mean([span <= 20 for span in spans]) >= 0.9
    assert max(sizes.values()) < 30
