import numpy as np
import pytest

from handsigns.data.dataset import DRAWN_COUNTS, open_data
from handsigns.data.synthetic import CLASSES, draw_hands
from handsigns.data.synthetic.film import Camera, develop
from handsigns.data.synthetic.flesh import Build, Cone, cones
from handsigns.data.synthetic.light import Light, blurred, lit, shifted
from handsigns.data.synthetic.scene import background, colour, skin
from handsigns.data.synthetic.skeleton import FINGERS, SIGNS, pose
from handsigns.data.synthetic.surface import FINER, surface
from handsigns.data.synthetic.view import seen, view

BARE = Build(thickness=1.0, crease=0.3, sleeve_mm=None)
DRESSED = Build(thickness=1.0, crease=0.3, sleeve_mm=20.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ball(x, y, radius, z=0.0, melt=0.1) -> Cone:
    """In pixels of the fine grid."""
    centre = np.array([x, y, z])
    return Cone(centre, centre + np.array([0.01, 0, 0]), radius, radius, melt)


def hand_of(sign, seed=0, form=BARE, size=64):
    bones = pose(sign, rng(seed))
    return surface(seen(cones(bones, form), view(bones, rng(seed)), FINER * size), size)


# The pictures


def test_pictures_and_labels():
    images, labels = draw_hands(13, seed=5, size=48)
    assert images.shape == (13, 48, 48, 3)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0]


def test_no_pictures_are_drawn_where_none_are_asked_for():
    images, labels = draw_hands(0, seed=0)
    assert images.shape == (0, 64, 64, 3)
    assert labels.shape == (0,)


def test_a_picture_follows_from_the_seed_and_its_number_alone():
    many, _ = draw_hands(40, seed=1)
    few, _ = draw_hands(17, seed=1)
    assert np.array_equal(many[:17], few)


def test_seeds_and_numbers_draw_different_pictures():
    images = np.concatenate([draw_hands(60, seed=seed)[0] for seed in (0, 1)])
    assert len({image.tobytes() for image in images}) == 120


def test_pictures_use_the_whole_range_and_are_not_noise():
    images, _ = draw_hands(60, seed=2)
    assert 60 < images.mean() < 180
    assert (images.std((1, 2, 3)) > 8).all()
    steps = np.abs(np.diff(images.astype(int), axis=2)).mean()
    shuffled = rng().permuted(images, axis=2).astype(int)
    assert steps < 0.5 * np.abs(np.diff(shuffled, axis=2)).mean(), "neighbours look alike"


@pytest.mark.parametrize("size", [8, 33, 96])
def test_the_scene_is_the_same_at_every_size(size):
    small = draw_hands(12, seed=3, size=size)[0].astype(float)
    usual = draw_hands(12, seed=3)[0].astype(float)
    means = small.mean((1, 2)).ravel(), usual.mean((1, 2)).ravel()
    assert np.corrcoef(*means)[0, 1] > 0.7


def test_the_default_data_set(monkeypatch):
    assert all(count % len(CLASSES) == 0 for count in DRAWN_COUNTS.values()), "classes are even"
    few = {"train": 24, "val": 12, "test": 12}
    monkeypatch.setattr("handsigns.data.dataset.DRAWN_COUNTS", few)
    data = open_data(None, size=16)
    assert data.info.counts == {"train": (4,) * 6, "val": (2,) * 6, "test": (2,) * 6}
    assert data.info.notes == ()
    assert data.info.source == "drawn hands"
    assert open_data(None, size=16).info == data.info


# The bones


@pytest.mark.parametrize("sign", range(6))
def test_as_many_fingers_are_raised_as_the_sign_says(sign):
    for seed in range(40):
        bones = pose(sign, rng(seed))
        assert sum(bones.raised) == sign
        for finger in range(1, 5):
            reach = np.linalg.norm(bones.joints[finger, 3] - bones.joints[finger, 0])
            length = np.linalg.norm(np.diff(bones.joints[finger], axis=0), axis=1).sum()
            assert (reach > 0.85 * length) == bones.raised[finger], "straight, or curled"
            up = bones.joints[finger, 3, 1] - bones.joints[finger, 0, 1]
            assert (up > 0) == bones.raised[finger], "beyond its knuckle, or before it"
        # A raised thumb points away from the hand, any other across it.
        assert (bones.joints[0, 3, 0] > 45) == bones.raised[0]


def test_folded_fingers_lie_on_the_palm():
    joints = pose(0, rng(1)).joints
    assert (joints[1:, 1:, 2] > 5).all(), "in front of the palm, which is at 0"


def test_every_way_to_show_a_sign_has_as_many_fingers():
    assert len(SIGNS) == len(CLASSES) == 6
    for sign, ways in enumerate(SIGNS):
        assert sum(share for _, share in ways) == pytest.approx(1)
        assert all(len(way) == len(FINGERS) for way, _ in ways)
        assert all(5 - way.count(".") == sign for way, _ in ways)


def test_every_way_is_drawn_at_times():
    drawn = {pose(2, rng(seed)).raised for seed in range(60)}
    assert drawn == {(False, True, True, False, False), (True, True, False, False, False)}


# What is seen of them


def test_the_hand_lies_in_the_picture():
    for seed in range(60):
        bones = pose(seed % 6, rng(seed))
        stand = view(bones, rng(seed))
        points = [Cone(p, p, 1.0, 1.0, 1.0) for p in bones.joints.reshape(-1, 3)]
        places = np.array([part.start[:2] for part in seen(points, stand, 100)])
        assert places.min() > 4.9
        assert places.max() < 95.1


def test_left_and_right_hands_are_drawn_from_both_sides():
    views = [view(pose(5, rng(0)), rng(seed)) for seed in range(40)]
    assert {stand.palm for stand in views} == {True, False}
    assert {np.sign(np.linalg.det(stand.turn)) for stand in views} == {-1.0, 1.0}
    assert all((stand.turn[2, 2] > 0) == stand.palm for stand in views)


def test_a_ball_has_its_size_height_and_shape():
    got = surface([ball(64.0, 64.0, 24.0)], 64)
    assert got.cover.sum() == pytest.approx(np.pi * 12**2, rel=0.01)
    assert got.height[31, 31] == pytest.approx(12, abs=0.1)
    assert got.facing[:, 31, 31] == pytest.approx([0, 0, 1], abs=0.05)
    assert got.facing[0, 31, 41] > 0.7, "its right side faces right"
    assert got.facing[1, 41, 31] > 0.7, "its lower side faces down"
    outside = got.cover == 0
    assert (got.facing[:, outside] == 0).all()


@pytest.mark.parametrize("end", [(90, 50, 30), (50, 95, -20), (64, 70, 70)])
def test_a_cone_is_as_high_as_its_highest_ball(end):
    start, end = np.array([60.0, 60.0, 0.0]), np.array(end, float)
    got = surface([Cone(start, end, 16.0, 10.0, 0.1)], 64)
    y, x = np.mgrid[:128, :128] + 0.5
    high = np.full((128, 128), -np.inf)
    for t in np.linspace(0, 1, 400):
        cx, cy, cz = start + t * (end - start)
        under = (16 - 6 * t) ** 2 - (x - cx) ** 2 - (y - cy) ** 2
        high = np.maximum(high, np.where(under > 0, cz + np.sqrt(np.maximum(under, 0)), -np.inf))
    assert got.cover.sum() == pytest.approx(np.isfinite(high).sum() / FINER**2, rel=0.02)
    inside = got.cover == 1
    means = np.where(np.isfinite(high), high, 0).reshape(64, 2, 64, 2).mean((1, 3)) / FINER
    assert np.abs(got.height - means)[inside].max() < 0.25


def test_a_cone_seen_end_on_has_its_nearer_height():
    far, near = np.array([64.0, 64.0, 0.0]), np.array([64.0, 64.0, 40.0])
    for cone in (Cone(far, near, 16.0, 12.0, 0.1), Cone(near, far, 12.0, 16.0, 0.1)):
        got = surface([cone], 64)
        assert got.height[31, 31] == pytest.approx((40 + 12) / FINER, abs=0.1)
        assert got.cover.sum() == pytest.approx(np.pi * 6**2, rel=0.02)


def test_the_nearer_part_hides_the_other():
    far, near = ball(60, 64, 20), ball(70, 64, 12, z=30)
    one, other = surface([far, near], 64), surface([near, far], 64)
    assert np.allclose(one.height, other.height, atol=1e-4)
    assert one.height[32, 35] == pytest.approx((30 + 12) / FINER, abs=0.1)


def test_parts_that_melt_swell_over_their_seam():
    sharp = surface([ball(56, 64, 14), ball(72, 64, 14)], 64)
    soft = surface([ball(56, 64, 14, melt=8.0), ball(72, 64, 14, melt=8.0)], 64)
    assert soft.height[32, 32] > sharp.height[32, 32] + 0.5


def test_what_lies_outside_the_picture_is_left_out():
    assert surface([ball(-200, 64, 20), ball(64, 900, 20)], 64).cover.max() == 0


def test_a_sleeve_covers_the_arm_but_not_the_fingers():
    bare, dressed = hand_of(5, form=BARE), hand_of(5, form=DRESSED)
    assert bare.cloth.max() == 0
    assert dressed.cloth.max() == pytest.approx(1)
    rows = np.flatnonzero((dressed.cloth > 0.5).any(axis=1))
    assert rows.min() > 32, "the arm comes from below"


def test_nails_are_seen_on_backs_and_creases_everywhere():
    nails = {True: 0.0, False: 0.0}
    for seed in range(20):
        bones = pose(4, rng(seed))
        stand = view(bones, rng(seed))
        got = surface(seen(cones(bones, BARE), stand, FINER * 64), 64)
        nails[stand.palm] = max(nails[stand.palm], float(got.nail[:28].max()))
        assert got.crease.max() > 0.1
    assert nails[False] > 0.8
    assert nails[True] < 0.3


# Light, surroundings, film


def test_the_lit_side_is_brighter_and_the_outside_black():
    sun = np.ones(3, np.float32)
    light = Light((0.8, 0.0, 0.6), sun, 0.2 * sun, 0.0)
    hand = surface([ball(64, 64, 40)], 64)
    got = lit(hand, np.full(3, 0.5, np.float32), sun, light)
    assert got[32, 46].mean() > 2 * got[32, 17].mean()
    assert np.isfinite(got).all()
    assert (got * hand.cover[:, :, None] >= 0).all()


def test_a_part_casts_a_shadow_away_from_the_light():
    sun = np.ones(3, np.float32)
    light = Light((-0.8, 0.0, 0.6), sun, np.zeros(3, np.float32), 0.0)
    wall = Cone(np.array([20.0, 64.0, 0]), np.array([110.0, 64.0, 0]), 30.0, 30.0, 0.1)
    skin_colour = np.full(3, 0.5, np.float32)
    alone = lit(surface([wall], 64), skin_colour, sun, light)
    behind = lit(surface([wall, ball(50, 64, 10, z=36)], 64), skin_colour, sun, light)
    assert behind[32, 33].mean() < 0.6 * alone[32, 33].mean()
    assert behind[32, 12].mean() == pytest.approx(alone[32, 12].mean(), rel=0.05)


def test_blur_keeps_what_is_even_and_spreads_what_is_not():
    assert np.allclose(blurred(np.full((32, 32, 3), 0.4, np.float32), 2.0), 0.4)
    point = np.zeros((33, 33), np.float32)
    point[16, 16] = 1
    spread = blurred(point, 2.0)
    assert spread.sum() == pytest.approx(1, rel=1e-3)
    columns = spread.sum(axis=0)
    assert (columns * (np.arange(33) - 16) ** 2).sum() == pytest.approx(4, rel=0.02)
    assert np.allclose(blurred(point, 0.0), point)


def test_a_shift_carries_the_edges_on():
    field = np.arange(9).reshape(3, 3)
    assert shifted(field, 1, 0).tolist() == [[3, 4, 5], [6, 7, 8], [6, 7, 8]]
    assert shifted(field, 0, -9).tolist() == [[0, 0, 0], [3, 3, 3], [6, 6, 6]]


def test_skin_is_of_many_tones_all_of_them_skins():
    tones = np.array([skin(rng(seed), palm=False) for seed in range(100)])
    assert tones.min() > 0
    assert tones.max() <= 1
    assert (tones[:, 0] > tones[:, 1]).all(), "red before green"
    assert (tones[:, 1] > tones[:, 2]).all(), "green before blue"
    assert tones[:, 1].max() > 8 * tones[:, 1].min()


@pytest.mark.parametrize("size", [8, 64])
def test_backgrounds_are_colours(size):
    for seed in range(40):
        got = background(rng(seed), size)
        assert got.shape == (size, size, 3)
        assert got.dtype == np.float32
        assert got.min() > -0.2
        assert got.max() < 3
        assert 0 <= colour(rng(seed)).min() <= colour(rng(seed)).max() <= 1


def test_a_camera_aims_at_its_exposure_whatever_the_light():
    camera = Camera(0.25, np.ones(3, np.float32), blur=0.5, grain=0.0, fall_off=0.0)
    dark, bright = (np.full((16, 16, 3), level, np.float32) for level in (0.05, 0.9))
    one, other = develop(dark, 0.05, camera, rng()), develop(bright, 0.9, camera, rng())
    assert np.array_equal(one, other)
    assert one[8, 8, 0] == pytest.approx(255 * 0.25**0.5, abs=2)


def test_grain_is_as_strong_as_said():
    camera = Camera(0.25, np.ones(3, np.float32), blur=0.0, grain=0.02, fall_off=0.0)
    got = develop(np.full((64, 64, 3), 0.3, np.float32), 0.3, camera, rng())
    assert got.std() == pytest.approx(255 * 0.02 * 1.25**0.5, rel=0.05)
