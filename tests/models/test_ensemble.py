import pytest
import torch

from handsigns.config.hyperparameters import TrialConfig
from handsigns.models import Ensemble, build_model, inference_model


def test_ensemble_averages_member_probabilities():
    torch.manual_seed(0)
    members = [build_model(TrialConfig(channel_width=4), 3, 16).eval() for _ in range(3)]
    images = torch.randn(5, 3, 16, 16)
    actual = Ensemble(members).eval()(images).softmax(1)
    expected = sum(member(images).softmax(1) for member in members) / 3
    assert torch.allclose(actual, expected, atol=1e-6)


def test_zero_probability_gives_finite_logits():
    class Certain(torch.nn.Module):
        def forward(self, x):
            return torch.tensor([[0.0, -500.0]]).expand(len(x), 2)

    logits = Ensemble([Certain(), Certain()])(torch.zeros(1, 3, 16, 16))
    assert logits.isfinite().all()
    assert float(logits.softmax(1)[0, 0]) == pytest.approx(1.0)


def test_flip_tta_is_invariant_to_mirroring():
    torch.manual_seed(0)
    config = TrialConfig(channel_width=4)
    model = build_model(config, 3, 16).eval()
    images = torch.randn(5, 3, 16, 16)
    with_tta = inference_model(model, config).eval()
    logits = with_tta(images)
    assert torch.allclose(logits, with_tta(images.flip(3)), atol=1e-6)
    expected = (model(images).softmax(1) + model(images.flip(3)).softmax(1)) / 2
    assert torch.allclose(logits.softmax(1), expected, atol=1e-6)


@pytest.mark.parametrize("off", [{"flip_tta": False}, {"flip": 0.0}])
def test_flip_tta_is_off_without_flip_augmentation(off):
    config = TrialConfig(channel_width=4, **off)
    model = build_model(config, 3, 16)
    assert inference_model(model, config) is model
