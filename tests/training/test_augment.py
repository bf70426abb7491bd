import pytest
import torch

from handsigns.config.hyperparameters import TrialConfig
from handsigns.training.augment import augment, normalize

NOTHING = {"flip": 0.0, "rotation": 0.0, "scale": 0.0, "translation": 0.0, "color_jitter": 0.0}


def images(count=4, size=16):
    generator = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (count, size, size, 3), generator=generator, dtype=torch.uint8)


def varied(seed=0, pictures=None, **strengths):
    config = TrialConfig(**{**NOTHING, **strengths})
    pictures = images() if pictures is None else pictures
    return augment(pictures, config, torch.Generator().manual_seed(seed))


def test_normalized_layout_and_range():
    x = normalize(images())
    assert x.shape == (4, 3, 16, 16)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert normalize(torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 2, 1).expand(1, 1, 2, 3))[
        0, 0, 0
    ].tolist() == [-2.0, 2.0]


def test_nothing_asked_nothing_changed():
    assert torch.equal(varied(), normalize(images()))


def test_a_certain_flip_mirrors_left_and_right():
    assert torch.equal(varied(flip=1.0), normalize(images()).flip(3))


def test_a_flip_through_resampling_is_the_same_flip():
    resampled = varied(flip=1.0, rotation=1e-6)
    assert torch.allclose(resampled, normalize(images()).flip(3), atol=1e-3)


def test_translation_moves_the_picture():
    dot = torch.zeros(64, 17, 17, 3, dtype=torch.uint8)
    dot[:, 8, 8] = 255
    x = varied(pictures=dot, translation=0.25)[:, 0] + 2
    where = x.flatten(1).argmax(1)
    rows, columns = where // 17, where % 17
    assert rows.min() < 8 < rows.max()
    assert columns.min() < 8 < columns.max()
    assert (rows - 8).abs().max() <= 5


def test_each_picture_gets_its_own_draw():
    same = images(1).expand(8, -1, -1, -1)
    for strengths in (
        {"rotation": 30},
        {"scale": 0.3},
        {"translation": 0.2},
        {"color_jitter": 0.3},
    ):
        x = varied(pictures=same, **strengths)
        assert len({tuple(picture.flatten().tolist()) for picture in x}) == 8, strengths


def test_brightness_contrast_and_saturation_of_a_grey_picture_stay_grey():
    grey = torch.full((8, 4, 4, 3), 100, dtype=torch.uint8)
    x = varied(pictures=grey, color_jitter=0.5)
    assert torch.allclose(x[:, 0], x[:, 1], atol=1e-5)
    assert torch.allclose(x[:, 0], x[:, 2], atol=1e-5)
    # Contrast and saturation have nothing to act on, so only brightness is left: a factor of value.
    values = (x[:, 0, 0, 0] + 2) / 4 * 255
    assert ((values > 49) & (values < 151)).all()
    assert values.std() > 5


@pytest.mark.parametrize("seed", [0, 1])
def test_the_generator_alone_decides(seed):
    strengths = {"flip": 0.5, "rotation": 20, "scale": 0.2, "translation": 0.1, "color_jitter": 0.3}
    assert torch.equal(varied(seed, **strengths), varied(seed, **strengths))
    assert not torch.equal(varied(seed, **strengths), varied(seed + 2, **strengths))
