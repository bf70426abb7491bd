import pytest
import torch

from handsigns.config.hyperparameters import TrialConfig
from handsigns.models import Ensemble, as_evaluated, build_model


def test_its_probabilities_are_the_average_of_its_members():
    torch.manual_seed(0)
    members = [build_model(TrialConfig(channel_width=4), 3, 16).eval() for _ in range(3)]
    images = torch.randn(5, 3, 16, 16)
    found = Ensemble(members).eval()(images).softmax(1)
    wanted = sum(member(images).softmax(1) for member in members) / 3
    assert torch.allclose(found, wanted, atol=1e-6)


def test_a_class_ruled_out_by_one_member_stays_finite():
    class Sure(torch.nn.Module):
        def forward(self, x):
            return torch.tensor([[0.0, -500.0]]).expand(len(x), 2)

    logits = Ensemble([Sure(), Sure()])(torch.zeros(1, 3, 16, 16))
    assert logits.isfinite().all()
    assert float(logits.softmax(1)[0, 0]) == pytest.approx(1.0)


def test_a_mirrored_picture_is_classified_alike():
    torch.manual_seed(0)
    config = TrialConfig(channel_width=4)
    model = build_model(config, 3, 16).eval()
    images = torch.randn(5, 3, 16, 16)
    evaluated = as_evaluated(model, config).eval()
    found = evaluated(images)
    assert torch.allclose(found, evaluated(images.flip(3)), atol=1e-6)
    wanted = (model(images).softmax(1) + model(images.flip(3)).softmax(1)) / 2
    assert torch.allclose(found.softmax(1), wanted, atol=1e-6)


@pytest.mark.parametrize("off", [{"test_time_flip": False}, {"flip": 0.0}])
def test_flips_at_test_time_are_off_without_flipped_training(off):
    config = TrialConfig(channel_width=4, **off)
    model = build_model(config, 3, 16)
    assert as_evaluated(model, config) is model
