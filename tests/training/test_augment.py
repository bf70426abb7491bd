import pytest
import torch

from handsigns.config.hyperparameters import TrialConfig
from handsigns.training.augment import augment, draw_augmentation, normalize

ZERO_STRENGTHS = {
    "flip": 0.0,
    "rotation": 0.0,
    "scale": 0.0,
    "translation": 0.0,
    "color_jitter": 0.0,
}


def random_images(count=4, size=16):
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (count, size, size, 3), generator=generator, dtype=torch.uint8)


def run_augment(seed=0, images=None, **strengths):
    config = TrialConfig(**{**ZERO_STRENGTHS, **strengths})
    images = random_images() if images is None else images
    draws = draw_augmentation(config, 1, len(images), torch.Generator().manual_seed(seed))
    return augment(images, draws.map(lambda tensor: tensor[0]))


def test_normalised_layout_and_range():
    x = normalize(random_images())
    assert x.shape == (4, 3, 16, 16)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert normalize(torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 2, 1).expand(1, 1, 2, 3))[
        0, 0, 0
    ].tolist() == [-2.0, 2.0]


def test_zero_strengths_only_normalise():
    assert torch.equal(run_augment(), normalize(random_images()))


def test_flip_probability_one_mirrors_horizontally():
    assert torch.equal(run_augment(flip=1.0), normalize(random_images()).flip(3))


def test_flip_by_resampling_equals_plain_flip():
    resampled = run_augment(flip=1.0, rotation=1e-6)
    assert torch.allclose(resampled, normalize(random_images()).flip(3), atol=1e-3)


def test_translation_moves_the_image():
    dot = torch.zeros(64, 17, 17, 3, dtype=torch.uint8)
    dot[:, 8, 8] = 255
    x = run_augment(images=dot, translation=0.25)[:, 0] + 2
    position = x.flatten(1).argmax(1)
    rows, columns = position // 17, position % 17
    assert rows.min() < 8 < rows.max()
    assert columns.min() < 8 < columns.max()
    assert (rows - 8).abs().max() <= 5


def test_each_image_is_augmented_independently():
    copies = random_images(1).expand(8, -1, -1, -1)
    for strengths in (
        {"rotation": 30},
        {"scale": 0.3},
        {"translation": 0.2},
        {"color_jitter": 0.3},
    ):
        x = run_augment(images=copies, **strengths)
        assert len({tuple(image.flatten().tolist()) for image in x}) == 8, strengths


def test_colour_jitter_keeps_grey_images_grey():
    grey = torch.full((8, 4, 4, 3), 100, dtype=torch.uint8)
    x = run_augment(images=grey, color_jitter=0.5)
    assert torch.allclose(x[:, 0], x[:, 1], atol=1e-5)
    assert torch.allclose(x[:, 0], x[:, 2], atol=1e-5)
    # Contrast and saturation have no effect on grey, so only the brightness factor remains.
    values = (x[:, 0, 0, 0] + 2) / 4 * 255
    assert ((values > 49) & (values < 151)).all()
    assert values.std() > 5


@pytest.mark.parametrize("seed", [0, 1])
def test_generator_is_the_only_source_of_randomness(seed):
    strengths = {"flip": 0.5, "rotation": 20, "scale": 0.2, "translation": 0.1, "color_jitter": 0.3}
    assert torch.equal(run_augment(seed, **strengths), run_augment(seed, **strengths))
    assert not torch.equal(run_augment(seed, **strengths), run_augment(seed + 2, **strengths))
