import numpy as np
import pytest

from handsigns.data.dataset import SYNTHETIC_COUNTS, open_data
from handsigns.data.synthetic import CLASSES, generate_hands
from handsigns.data.synthetic.background import (
    sample_background,
    sample_colour,
    sample_skin_colour,
)
from handsigns.data.synthetic.camera import Camera, apply_camera
from handsigns.data.synthetic.capsules import Capsule, HandShape, build_capsules
from handsigns.data.synthetic.shading import Light, gaussian_blur, shade_surface, shift
from handsigns.data.synthetic.skeleton import FINGERS, SIGNS, sample_pose
from handsigns.data.synthetic.surface import SUPERSAMPLING, render_surface
from handsigns.data.synthetic.view import project_capsules, sample_view

BARE = HandShape(thickness=1.0, crease=0.3, sleeve_mm=None)
SLEEVED = HandShape(thickness=1.0, crease=0.3, sleeve_mm=20.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def ball(x, y, radius, z=0.0, blend_distance=0.1) -> Capsule:
    """Return a ball, in pixels of the supersampled grid."""
    centre = np.array([x, y, z])
    return Capsule(centre, centre + np.array([0.01, 0, 0]), radius, radius, blend_distance)


def render_hand(sign, seed=0, shape=BARE, size=64):
    bones = sample_pose(sign, rng(seed))
    view = sample_view(bones, rng(seed))
    parts = project_capsules(build_capsules(bones, shape), view, SUPERSAMPLING * size)
    return render_surface(parts, size)


# Images


def test_shapes_and_labels():
    images, labels = generate_hands(13, seed=5, size=48)
    assert images.shape == (13, 48, 48, 3)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0]


def test_zero_images():
    images, labels = generate_hands(0, seed=0)
    assert images.shape == (0, 64, 64, 3)
    assert labels.shape == (0,)


def test_image_depends_on_seed_and_index_alone():
    longer, _ = generate_hands(40, seed=1)
    shorter, _ = generate_hands(17, seed=1)
    assert np.array_equal(longer[:17], shorter)


def test_seeds_and_indices_give_different_images():
    images = np.concatenate([generate_hands(60, seed=seed)[0] for seed in (0, 1)])
    assert len({image.tobytes() for image in images}) == 120


def test_images_have_contrast_and_smooth_structure():
    images, _ = generate_hands(60, seed=2)
    assert 60 < images.mean() < 180
    assert (images.std((1, 2, 3)) > 8).all()
    steps = np.abs(np.diff(images.astype(int), axis=2)).mean()
    shuffled = rng().permuted(images, axis=2).astype(int)
    assert steps < 0.5 * np.abs(np.diff(shuffled, axis=2)).mean(), "neighbouring pixels are similar"


@pytest.mark.parametrize("size", [8, 33, 96])
def test_scene_does_not_depend_on_image_size(size):
    small = generate_hands(12, seed=3, size=size)[0].astype(float)
    usual = generate_hands(12, seed=3)[0].astype(float)
    means = small.mean((1, 2)).ravel(), usual.mean((1, 2)).ravel()
    assert np.corrcoef(*means)[0, 1] > 0.7


def test_default_data_set(monkeypatch):
    assert all(count % len(CLASSES) == 0 for count in SYNTHETIC_COUNTS.values()), (
        "classes are balanced"
    )
    counts = {"train": 24, "val": 12, "test": 12}
    monkeypatch.setattr("handsigns.data.dataset.SYNTHETIC_COUNTS", counts)
    data = open_data(None, size=16)
    assert data.info.counts == {"train": (4,) * 6, "val": (2,) * 6, "test": (2,) * 6}
    assert data.info.notes == ()
    assert data.info.source == "synthetic hands"
    assert open_data(None, size=16).info == data.info


# Skeleton


@pytest.mark.parametrize("sign", range(6))
def test_sign_equals_number_of_raised_fingers(sign):
    for seed in range(40):
        bones = sample_pose(sign, rng(seed))
        assert sum(bones.raised) == sign
        for finger in range(1, 5):
            reach = np.linalg.norm(bones.joints[finger, 3] - bones.joints[finger, 0])
            length = np.linalg.norm(np.diff(bones.joints[finger], axis=0), axis=1).sum()
            assert (reach > 0.85 * length) == bones.raised[finger], "extended, or folded"
            up = bones.joints[finger, 3, 1] - bones.joints[finger, 0, 1]
            assert (up > 0) == bones.raised[finger], "tip above its knuckle, or below"
        # A raised thumb points away from the hand, a folded one across it.
        assert (bones.joints[0, 3, 0] > 45) == bones.raised[0]


def test_folded_fingers_are_in_front_of_the_palm():
    joints = sample_pose(0, rng(1)).joints
    assert (joints[1:, 1:, 2] > 5).all(), "in front of the palm, which is at 0"


def test_every_sign_variant_has_the_right_number_of_fingers():
    assert len(SIGNS) == len(CLASSES) == 6
    for sign, variants in enumerate(SIGNS):
        assert sum(probability for _, probability in variants) == pytest.approx(1)
        assert all(len(variant) == len(FINGERS) for variant, _ in variants)
        assert all(5 - variant.count(".") == sign for variant, _ in variants)


def test_every_sign_variant_is_sampled():
    sampled = {sample_pose(2, rng(seed)).raised for seed in range(60)}
    assert sampled == {(False, True, True, False, False), (True, True, False, False, False)}


# View and surface


def test_hand_is_inside_the_image():
    for seed in range(60):
        bones = sample_pose(seed % 6, rng(seed))
        view = sample_view(bones, rng(seed))
        points = [Capsule(p, p, 1.0, 1.0, 1.0) for p in bones.joints.reshape(-1, 3)]
        positions = np.array([part.start[:2] for part in project_capsules(points, view, 100)])
        assert positions.min() > 4.9
        assert positions.max() < 95.1


def test_left_and_right_hands_are_rendered_from_both_sides():
    views = [sample_view(sample_pose(5, rng(0)), rng(seed)) for seed in range(40)]
    assert {view.palm for view in views} == {True, False}
    assert {np.sign(np.linalg.det(view.rotation)) for view in views} == {-1.0, 1.0}
    assert all((view.rotation[2, 2] > 0) == view.palm for view in views)


def test_ball_has_exact_area_height_and_normals():
    result = render_surface([ball(64.0, 64.0, 24.0)], 64)
    assert result.coverage.sum() == pytest.approx(np.pi * 12**2, rel=0.01)
    assert result.height[31, 31] == pytest.approx(12, abs=0.1)
    assert result.normal[:, 31, 31] == pytest.approx([0, 0, 1], abs=0.05)
    assert result.normal[0, 31, 41] > 0.7, "its right side faces right"
    assert result.normal[1, 41, 31] > 0.7, "its lower side faces down"
    outside = result.coverage == 0
    assert (result.normal[:, outside] == 0).all()


@pytest.mark.parametrize("end", [(90, 50, 30), (50, 95, -20), (64, 70, 70)])
def test_capsule_height_equals_the_maximum_over_its_balls(end):
    start, end = np.array([60.0, 60.0, 0.0]), np.array(end, float)
    result = render_surface([Capsule(start, end, 16.0, 10.0, 0.1)], 64)
    y, x = np.mgrid[:128, :128] + 0.5
    height = np.full((128, 128), -np.inf)
    for t in np.linspace(0, 1, 400):
        cx, cy, cz = start + t * (end - start)
        radicand = (16 - 6 * t) ** 2 - (x - cx) ** 2 - (y - cy) ** 2
        surface = cz + np.sqrt(np.maximum(radicand, 0))
        height = np.maximum(height, np.where(radicand > 0, surface, -np.inf))
    assert result.coverage.sum() == pytest.approx(
        np.isfinite(height).sum() / SUPERSAMPLING**2, rel=0.02
    )
    inside = result.coverage == 1
    height[~np.isfinite(height)] = 0
    means = height.reshape(64, 2, 64, 2).mean((1, 3)) / SUPERSAMPLING
    assert np.abs(result.height - means)[inside].max() < 0.25


def test_capsule_seen_end_on_has_the_nearer_height():
    far, near = np.array([64.0, 64.0, 0.0]), np.array([64.0, 64.0, 40.0])
    for capsule in (Capsule(far, near, 16.0, 12.0, 0.1), Capsule(near, far, 12.0, 16.0, 0.1)):
        result = render_surface([capsule], 64)
        assert result.height[31, 31] == pytest.approx((40 + 12) / SUPERSAMPLING, abs=0.1)
        assert result.coverage.sum() == pytest.approx(np.pi * 6**2, rel=0.02)


def test_nearer_part_occludes_the_farther():
    far, near = ball(60, 64, 20), ball(70, 64, 12, z=30)
    result, reordered = (render_surface(parts, 64) for parts in ([far, near], [near, far]))
    assert np.allclose(result.height, reordered.height, atol=1e-4)
    assert result.height[32, 35] == pytest.approx((30 + 12) / SUPERSAMPLING, abs=0.1)


def test_blended_parts_bulge_at_their_seam():
    sharp = render_surface([ball(56, 64, 14), ball(72, 64, 14)], 64)
    soft = render_surface(
        [ball(56, 64, 14, blend_distance=8.0), ball(72, 64, 14, blend_distance=8.0)], 64
    )
    assert soft.height[32, 32] > sharp.height[32, 32] + 0.5


def test_parts_outside_the_image_are_clipped():
    assert render_surface([ball(-200, 64, 20), ball(64, 900, 20)], 64).coverage.max() == 0


def test_sleeve_covers_the_arm_but_not_the_fingers():
    bare, sleeved = render_hand(5, shape=BARE), render_hand(5, shape=SLEEVED)
    assert bare.cloth.max() == 0
    assert sleeved.cloth.max() == pytest.approx(1)
    rows = np.flatnonzero((sleeved.cloth > 0.5).any(axis=1))
    assert rows.min() > 32, "the arm comes from below"


def test_nails_are_visible_on_backs_and_creases_everywhere():
    nails = {True: 0.0, False: 0.0}
    for seed in range(20):
        bones = sample_pose(4, rng(seed))
        view = sample_view(bones, rng(seed))
        parts = project_capsules(build_capsules(bones, BARE), view, SUPERSAMPLING * 64)
        result = render_surface(parts, 64)
        nails[view.palm] = max(nails[view.palm], float(result.nail[:28].max()))
        assert result.crease.max() > 0.1
    assert nails[False] > 0.8
    assert nails[True] < 0.3


# Shading, background, camera


def test_lit_side_is_brighter():
    sun = np.ones(3, np.float32)
    light = Light((0.8, 0.0, 0.6), sun, 0.2 * sun, 0.0)
    hand = render_surface([ball(64, 64, 40)], 64)
    shaded = shade_surface(hand, np.full(3, 0.5, np.float32), sun, light)
    assert shaded[32, 46].mean() > 2 * shaded[32, 17].mean()
    assert np.isfinite(shaded).all()
    assert (shaded * hand.coverage[:, :, None] >= 0).all()


def test_parts_cast_shadows_away_from_the_light():
    sun = np.ones(3, np.float32)
    light = Light((-0.8, 0.0, 0.6), sun, np.zeros(3, np.float32), 0.0)
    wall = Capsule(np.array([20.0, 64.0, 0]), np.array([110.0, 64.0, 0]), 30.0, 30.0, 0.1)
    skin = np.full(3, 0.5, np.float32)
    alone = shade_surface(render_surface([wall], 64), skin, sun, light)
    behind = shade_surface(render_surface([wall, ball(50, 64, 10, z=36)], 64), skin, sun, light)
    assert behind[32, 33].mean() < 0.6 * alone[32, 33].mean()
    assert behind[32, 12].mean() == pytest.approx(alone[32, 12].mean(), rel=0.05)


def test_gaussian_blur_preserves_mass_and_has_given_variance():
    assert np.allclose(gaussian_blur(np.full((32, 32, 3), 0.4, np.float32), 2.0), 0.4)
    point = np.zeros((33, 33), np.float32)
    point[16, 16] = 1
    spread = gaussian_blur(point, 2.0)
    assert spread.sum() == pytest.approx(1, rel=1e-3)
    columns = spread.sum(axis=0)
    assert (columns * (np.arange(33) - 16) ** 2).sum() == pytest.approx(4, rel=0.02)
    assert np.allclose(gaussian_blur(point, 0.0), point)


def test_shift_repeats_edges():
    field = np.arange(9).reshape(3, 3)
    assert shift(field, 1, 0).tolist() == [[3, 4, 5], [6, 7, 8], [6, 7, 8]]
    assert shift(field, 0, -9).tolist() == [[0, 0, 0], [3, 3, 3], [6, 6, 6]]


def test_skin_tones_vary_and_are_plausible():
    tones = np.array([sample_skin_colour(rng(seed), palm=False) for seed in range(100)])
    assert tones.min() > 0
    assert tones.max() <= 1
    assert (tones[:, 0] > tones[:, 1]).all(), "red before green"
    assert (tones[:, 1] > tones[:, 2]).all(), "green before blue"
    assert tones[:, 1].max() > 8 * tones[:, 1].min()


@pytest.mark.parametrize("size", [8, 64])
def test_backgrounds_are_valid_colours(size):
    for seed in range(40):
        result = sample_background(rng(seed), size)
        assert result.shape == (size, size, 3)
        assert result.dtype == np.float32
        assert result.min() > -0.2
        assert result.max() < 3
        colour = sample_colour(rng(seed))
        assert 0 <= colour.min() <= colour.max() <= 1


def test_auto_exposure_is_independent_of_brightness():
    camera = Camera(0.25, np.ones(3, np.float32), blur=0.5, noise_std=0.0, vignetting=0.0)
    dark, bright = (np.full((16, 16, 3), level, np.float32) for level in (0.05, 0.9))
    from_dark = apply_camera(dark, 0.05, camera, rng())
    from_bright = apply_camera(bright, 0.9, camera, rng())
    assert np.array_equal(from_dark, from_bright)
    assert from_dark[8, 8, 0] == pytest.approx(255 * 0.25**0.5, abs=2)


def test_noise_has_the_configured_deviation():
    camera = Camera(0.25, np.ones(3, np.float32), blur=0.0, noise_std=0.02, vignetting=0.0)
    result = apply_camera(np.full((64, 64, 3), 0.3, np.float32), 0.3, camera, rng())
    assert result.std() == pytest.approx(255 * 0.02 * 1.25**0.5, rel=0.05)
