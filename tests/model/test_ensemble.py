import pytest
import torch

from handsigns.config.trial import TrialConfig
from handsigns.model import Ensemble, build_model


def test_its_probabilities_are_the_average_of_its_members():
    torch.manual_seed(0)
    members = [build_model(TrialConfig(channel_width=4), 3, 16).eval() for _ in range(3)]
    images = torch.randn(5, 3, 16, 16)
    found = Ensemble(members).eval()(images).softmax(1)
    wanted = sum(member(images).softmax(1) for member in members) / 3
    assert torch.allclose(found, wanted, atol=1e-6)


def test_a_member_that_rules_a_class_out_does_not_make_it_infinite():
    class Sure(torch.nn.Module):
        def forward(self, x):
            return torch.tensor([[0.0, -500.0]]).expand(len(x), 2)

    logits = Ensemble([Sure(), Sure()])(torch.zeros(1, 3, 16, 16))
    assert logits.isfinite().all()
    assert float(logits.softmax(1)[0, 0]) == pytest.approx(1.0)
