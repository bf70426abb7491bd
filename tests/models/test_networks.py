import pytest
import torch

from handsigns.config.hyperparameters import TrialConfig
from handsigns.errors import ConfigError
from handsigns.models import build_model
from handsigns.models.size import GRAPH_BYTES, count_parameters


@pytest.mark.parametrize("architecture", ["compact", "cs230"])
@pytest.mark.parametrize("size", [16, 48, 64, 70])
def test_logits_shape(architecture, size):
    config = TrialConfig(architecture=architecture, channel_width=4)
    model = build_model(config, classes=5, size=size)
    assert model(torch.zeros(2, 3, size, size)).shape == (2, 5)


def test_cs230_network_has_the_original_parameter_count():
    model = build_model(TrialConfig(architecture="cs230", channel_width=32), 6, 64)
    # 3 convolutions, 4 batch norms, 2 linear layers, as in CS230's PyTorch vision example
    convolutions = (3 * 32 + 32 * 64 + 64 * 128) * 9 + 32 + 64 + 128
    norms = 2 * (32 + 64 + 128 + 128)
    linear = (8 * 8 * 128 + 1) * 128 + (128 + 1) * 6
    assert sum(p.numel() for p in model.parameters()) == convolutions + norms + linear


@pytest.mark.parametrize("architecture", ["compact", "cs230"])
def test_parameters_are_counted_without_building_the_network(architecture):
    config = TrialConfig(architecture=architecture, channel_width=4)
    model = build_model(config, 3, 48)
    before = torch.random.get_rng_state()
    parameters, model_bytes = count_parameters(config, 3, 48)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert parameters == sum(p.numel() for p in model.parameters())
    statistics = sum(b.numel() for b in model.buffers() if b.is_floating_point())
    assert model_bytes == 4 * (parameters + statistics) + GRAPH_BYTES


@pytest.mark.parametrize("architecture", ["compact", "cs230"])
def test_dropout_is_active_in_training_only(architecture):
    model = build_model(TrialConfig(architecture=architecture, dropout=0.9, channel_width=4), 3, 16)
    x = torch.randn(4, 3, 16, 16)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


@pytest.mark.slow
def test_parameters_of_a_network_initialised_by_values_are_counted():
    config = TrialConfig(architecture="torchvision/regnet_y_400mf")
    parameters, _ = count_parameters(config, 1000, 64)
    assert parameters == 4_344_144


@pytest.mark.slow
def test_torchvision_network():
    config = TrialConfig(architecture="torchvision/squeezenet1_1")
    model = build_model(config, classes=5, size=64)
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet9000", "fcn_resnet50", ""])
def test_unknown_torchvision_network_is_rejected(name):
    config = TrialConfig.model_construct(architecture=f"torchvision/{name}")
    with pytest.raises(ConfigError, match=f"torchvision/{name}: torchvision has no such"):
        build_model(config, 5, 64)
