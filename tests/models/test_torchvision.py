import pytest
import torch

from handsigns.errors import ConfigError
from handsigns.training.torchvision_check import check_torchvision


@pytest.fixture
def check(make_search_config):
    def run(name, size):
        architecture = {"type": "choice", "values": ["compact", f"torchvision/{name}"]}
        config = make_search_config({"architecture": architecture, "learning_rate": 1e-3})
        check_torchvision(config, 6, size)

    return run


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("resnet19", 64, "torchvision has no such classification model"),
        ("vit_b_16", 64, "does not take images of 64x64 .*224.* choose another network or size"),
        ("alexnet", 16, "does not take images of 16x16"),
        ("googlenet", 64, "returns GoogLeNetOutputs, not logits"),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_unfit_networks_are_reported_before_a_search(check, name, size, message):
    with pytest.raises(ConfigError, match=message):
        check(name, size)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "regnet_y_400mf"])
def test_fit_networks_pass(check, name):
    check(name, 16)


def test_the_check_leaves_the_random_state_unchanged(check):
    before = torch.get_rng_state()
    check("squeezenet1_1", 64)
    assert torch.equal(torch.get_rng_state(), before)
