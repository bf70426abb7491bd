"""The user's own networks and losses: found, built, and what is wrong with them told."""

import sys

import pytest
import torch

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.user_code import OwnCode, module_names
from handsigns.config.validate import check_study
from handsigns.errors import ConfigError
from handsigns.models import build_model
from handsigns.models.user_loader import find_own_code
from handsigns.training.user_code_check import check_own_code

GOOD = """
from __future__ import annotations
from dataclasses import dataclass
from torch import nn
import torch

drawn = torch.rand(3)

@dataclass
class Shape:
    width: int

def build(config, classes, size):
    shape = Shape(config.own["width"])
    return nn.Sequential(nn.Conv2d(3, shape.width, 3), nn.Flatten(), nn.LazyLinear(classes))

def loss(logits, labels, config):
    return nn.functional.cross_entropy(logits, labels)
"""
SPACE = {"architecture": "mine:build", "own": {"width": {"type": "integer", "low": 2, "high": 6}}}


@pytest.fixture
def check(tmp_path):
    """Check a module's text against a space, as before a search."""

    def check(source, space) -> OwnCode:
        (tmp_path / "mine.py").write_text(source)
        study, problems = check_study({"space": space})
        assert study is not None, problems
        own = find_own_code(module_names(study.own_functions), [tmp_path])
        check_own_code(study, own, classes=5, size=16)
        return own

    return check


def test_a_network_is_built_as_the_hyperparameters_say(check):
    own = check(GOOD, SPACE)
    config = TrialConfig.from_params({"architecture": "mine:build", "own.width": 4})
    model = build_model(config, 5, 16, own)
    assert model[0].out_channels == 4
    assert model.training
    assert model(torch.zeros(2, 3, 16, 16)).shape == (2, 5)


def test_random_numbers_drawn_at_import_change_no_trial(check):
    own = check(GOOD, SPACE)
    config = TrialConfig.from_params({"architecture": "mine:build", "own.width": 4})
    weights = []
    for fresh in (True, False):
        if fresh:
            for name in [name for name in sys.modules if name.startswith("handsigns_own_")]:
                del sys.modules[name]
        torch.manual_seed(3)
        weights.append(build_model(config, 5, 16, own)[0].weight)
    assert torch.equal(*weights)


def test_the_module_hides_no_other(check, tmp_path):
    (tmp_path / "json.py").write_text(GOOD)
    own = find_own_code(["json"], [tmp_path])
    config = TrialConfig.from_params({"architecture": "json:build", "own.width": 2})
    build_model(config, 5, 16, own)
    import json

    assert json.loads("[1]") == [1]


def test_without_leave_nothing_is_run():
    with pytest.raises(ConfigError, match=r"mine:build would run .* add --own-code"):
        build_model(TrialConfig(architecture="mine:build"), 5, 16)
    with pytest.raises(ConfigError, match="--own-code"):
        build_model(TrialConfig(architecture="mine:build"), 5, 16, OwnCode({}))


NETWORK = "from torch import nn\ndef build(config, classes, size):\n    "
LOSS = GOOD.split("def loss")[0] + "def loss(logits, labels, config):\n    "
WRONG = [
    (NETWORK + "return 1 / 0\n", r"mine.py, line 3: mine:build failed: ZeroDivisionError"),
    (NETWORK + "return 3\n", "gives int; it must give a network"),
    (NETWORK + "return nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, 7))\n",
     r"mine.py, line 2: .* gives \(4, 7\) for 4 images; .* here \(4, 5\)"),
    (NETWORK + "return nn.Linear(1, 1)\n", r"given images \(4, 3, 16, 16\) with own.width 4"),
    (NETWORK + "pool = nn.AdaptiveAvgPool2d(1)\n"
     "    return nn.Sequential(pool, nn.Flatten(), nn.ZeroPad1d((0, 2)))\n", "nothing to train"),
    (NETWORK + "one = nn.Linear(5, 5)\n    two = nn.Linear(5, 5)\n    two.weight = one.weight\n"
     "    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size**2, 5), one, two)\n",
     "share their memory"),
    (NETWORK + "net = nn.Sequential(nn.Flatten(), nn.Linear(3 * size**2, 5))\n"
     "    net.scale = net[1].weight * 2\n    return net\n",
     "no copy of Sequential can be made to hold averaged weights"),
    ("def build(:\n", "SyntaxError"),
    ("import not_there\n", r"mine.py, line 1: mine failed: ModuleNotFoundError"),
    ("other = 3\n", "mine.py has no function build"),
    ("build = 3\n", "mine.py has no function build"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "message"), WRONG)
def test_what_is_wrong_with_a_network_is_told(check, source, message):
    with pytest.raises(ConfigError, match=message) as caught:
        check(source, SPACE)
    assert "own_check.py" not in str(caught.value), "no lines of ours"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return logits", r"the loss mine:loss gives \(4, 5\)"),
        ("return 0.5", "gives float; it must give a tensor"),
        ("return torch.tensor(1.0)", "does not depend on the logits"),
        ("return logits[99]", r"mine.py, line 18: mine:loss, given .* IndexError"),
    ],
)
def test_what_is_wrong_with_a_loss_is_told(check, body, message):
    with pytest.raises(ConfigError, match=message):
        check(LOSS + body + "\n", {**SPACE, "loss": "mine:loss"})


def test_each_of_several_choices_is_tried(check):
    space = {**SPACE, "architecture": {"type": "choice", "values": ["compact", "mine:build"]}}
    check(GOOD, space)
    with pytest.raises(ConfigError, match="ZeroDivisionError"):
        check(NETWORK + "return 1 / 0\n", space)


def test_a_module_that_is_nowhere_is_told_with_the_places(tmp_path):
    with pytest.raises(ConfigError, match=rf"no not_there.py in {tmp_path}, and none is installed"):
        find_own_code(["not_there"], [tmp_path])


def test_an_installed_module_is_found_with_its_relative_imports(tmp_path, monkeypatch):
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "sizes.py").write_text("WIDTH = 3\n")
    text = "from .sizes import WIDTH\n" + GOOD.replace("from __future__ import annotations", "")
    (package / "models.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    own = find_own_code(["my_package.models"], [tmp_path / "elsewhere"])
    config = TrialConfig.from_params({"architecture": "my_package.models:build", "own.width": 2})
    assert build_model(config, 5, 16, own)(torch.zeros(2, 3, 16, 16)).shape == (2, 5)
