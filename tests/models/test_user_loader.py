"""User-defined networks and losses: loading, building and error messages."""

import sys
from types import ModuleType

import pytest
import torch

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.user_code import UserCode, module_names
from handsigns.config.validate import validate_search_config
from handsigns.errors import ConfigError
from handsigns.models import build_model
from handsigns.models.user_loader import find_user_code
from handsigns.training.user_code_check import check_user_code

GOOD = """
from __future__ import annotations
from dataclasses import dataclass
from torch import nn
import torch

sampled = torch.rand(3)

@dataclass
class Shape:
    width: int

def build(config, classes, size):
    shape = Shape(config.custom["width"])
    return nn.Sequential(nn.Conv2d(3, shape.width, 3), nn.Flatten(), nn.LazyLinear(classes))

def loss(logits, labels, config):
    return nn.functional.cross_entropy(logits, labels)
"""
SPACE = {
    "architecture": "mine:build",
    "custom": {"width": {"type": "integer", "low": 2, "high": 6}},
}


@pytest.fixture
def check(tmp_path):
    """Return a function that checks a module's source against a space, as before a search."""

    def check(source, space) -> UserCode:
        (tmp_path / "mine.py").write_text(source)
        config, problems = validate_search_config({"space": space})
        assert config is not None, problems
        user_code = find_user_code(module_names(config.user_functions), [tmp_path])
        check_user_code(config, user_code, classes=5, size=16)
        return user_code

    return check


def test_user_network_uses_custom_hyperparameters(check):
    user_code = check(GOOD, SPACE)
    config = TrialConfig.from_params({"architecture": "mine:build", "custom.width": 4})
    model = build_model(config, 5, 16, user_code)
    assert model[0].out_channels == 4
    assert model.training
    assert model(torch.zeros(2, 3, 16, 16)).shape == (2, 5)


def test_the_check_leaves_the_random_state_unchanged(check):
    before = torch.get_rng_state()
    check(GOOD, SPACE)
    assert torch.equal(torch.get_rng_state(), before)


def test_import_leaves_the_random_state_unchanged(check):
    user_code = check(GOOD, SPACE)
    config = TrialConfig.from_params({"architecture": "mine:build", "custom.width": 4})
    weights = []
    for first_import in (True, False):
        if first_import:
            for name in [name for name in sys.modules if name.startswith("handsigns_user_")]:
                del sys.modules[name]
        torch.manual_seed(3)
        weights.append(build_model(config, 5, 16, user_code)[0].weight)
    assert torch.equal(*weights)


def test_user_module_shadows_no_other_module(check, tmp_path):
    (tmp_path / "json.py").write_text(GOOD)
    user_code = find_user_code(["json"], [tmp_path])
    config = TrialConfig.from_params({"architecture": "json:build", "custom.width": 2})
    build_model(config, 5, 16, user_code)
    import json

    assert json.loads("[1]") == [1]


def test_untrusted_user_code_is_not_run():
    with pytest.raises(ConfigError, match=r"mine:build would run .* add --trust-user-code"):
        build_model(TrialConfig(architecture="mine:build"), 5, 16)
    with pytest.raises(ConfigError, match="--trust-user-code"):
        build_model(TrialConfig(architecture="mine:build"), 5, 16, UserCode({}))


def test_networks_may_have_convolutions_in_three_dimensions(check):
    source = GOOD.replace(
        "nn.Conv2d(3, shape.width, 3)",
        "nn.Conv2d(3, shape.width, 3), nn.Unflatten(1, (1, -1)), nn.Conv3d(1, 2, 2)",
    )
    user_code = check(source, SPACE)
    config = TrialConfig.from_params({"architecture": "mine:build", "custom.width": 4})
    model = build_model(config, 5, 16, user_code)
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert model[2].weight.ndim == 5


NETWORK = "from torch import nn\ndef build(config, classes, size):\n    "
LOSS = GOOD.split("def loss")[0] + "def loss(logits, labels, config):\n    "
WRONG = [
    (NETWORK + "return 1 / 0\n", r"mine.py, line 3: mine:build failed: ZeroDivisionError"),
    (NETWORK + "return 3\n", "returns int; it must return a torch.nn.Module"),
    (NETWORK + "return nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, 7))\n",
     r"mine.py, line 2: .* returns \(4, 7\) for 4 images; .* here \(4, 5\)"),
    (NETWORK + "return nn.Linear(1, 1)\n", r"given images \(4, 3, 16, 16\) with custom.width 4"),
    (NETWORK + "pool = nn.AdaptiveAvgPool2d(1)\n"
     "    return nn.Sequential(pool, nn.Flatten(), nn.ZeroPad1d((0, 2)))\n", "nothing to train"),
    (NETWORK + "one = nn.Linear(5, 5)\n    two = nn.Linear(5, 5)\n    two.weight = one.weight\n"
     "    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size**2, 5), one, two)\n",
     r"tied weights .* give each parameter its own memory"),
    (NETWORK + "net = nn.Sequential(nn.Flatten(), nn.Linear(3 * size**2, 5))\n"
     "    net.scale = net[1].weight * 2\n    return net\n",
     "cannot copy Sequential for the moving average of its weights"),
    (NETWORK + "net = nn.Sequential(nn.Flatten(), nn.Linear(3 * size**2, 5))\n"
     "    net[1].spare = nn.Linear(2, 2)\n    return net\n",
     r"does not depend on parameters .* \(1.spare.weight, 1.spare.bias\); remove them, or freeze"),
    ("def build(:\n", "SyntaxError"),
    ("import not_there\n", r"mine.py, line 1: mine failed: ModuleNotFoundError"),
    ("import sys\nsys.exit()\n", "mine.py, line 2: mine failed: SystemExit"),
    ("other = 3\n", "mine.py has no function build"),
    ("build = 3\n", "mine.py has no function build"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "message"), WRONG)
def test_faulty_user_network_is_reported(check, source, message):
    with pytest.raises(ConfigError, match=message) as caught:
        check(source, SPACE)
    assert "user_code_check.py" not in str(caught.value), "no lines of handsigns itself"


def test_an_interrupted_import_starts_anew(check):
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            check("raise KeyboardInterrupt\n", SPACE)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return logits", r"the loss mine:loss returns \(4, 5\)"),
        ("return 0.5", "returns float; it must return a scalar tensor"),
        ("return torch.tensor(1.0)", "does not depend on the logits"),
        ("return logits[99]", r"mine.py, line 18: mine:loss, given .* IndexError"),
    ],
)
def test_faulty_user_loss_is_reported(check, body, message):
    with pytest.raises(ConfigError, match=message):
        check(LOSS + body + "\n", {**SPACE, "loss": "mine:loss"})


def test_every_choice_of_the_space_is_checked(check):
    space = {**SPACE, "architecture": {"type": "choice", "values": ["compact", "mine:build"]}}
    check(GOOD, space)
    with pytest.raises(ConfigError, match="ZeroDivisionError"):
        check(NETWORK + "return 1 / 0\n", space)


RANDOM_DEPTH = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, size):
        super().__init__()
        self.first, self.second = nn.Linear(3 * size**2, classes), nn.Linear(classes, classes)

    def forward(self, images):
        logits = self.first(images.flatten(1))
        return logits + self.second(logits) if torch.rand(()) < 0.2 else logits

def build(config, classes, size):
    torch.manual_seed(SEED)
    return Net(classes, size)
"""


@pytest.mark.parametrize("seed", range(4))
def test_random_depth_is_accepted(check, seed):
    check(RANDOM_DEPTH.replace("SEED", str(seed)), SPACE)


def test_missing_module_error_lists_searched_folders(tmp_path):
    with pytest.raises(
        ConfigError, match=rf"no not_there.py in {tmp_path}, and it is not installed"
    ):
        find_user_code(["not_there"], [tmp_path])


def test_a_module_path_that_is_not_utf8_is_reported(tmp_path):
    folder = tmp_path / "r\udcff"
    folder.mkdir()
    (folder / "mine.py").write_text(GOOD)
    with pytest.raises(ConfigError, match=r"udcff/mine.py: the path is not UTF-8; rename it"):
        find_user_code(["mine"], [folder])


def test_installed_module_with_relative_imports(tmp_path, monkeypatch):
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "sizes.py").write_text("WIDTH = 3\n")
    text = "from .sizes import WIDTH\n" + GOOD.replace("from __future__ import annotations", "")
    (package / "models.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    user_code = find_user_code(["my_package.models"], [tmp_path / "elsewhere"])
    config = TrialConfig.from_params({"architecture": "my_package.models:build", "custom.width": 2})
    assert build_model(config, 5, 16, user_code)(torch.zeros(2, 3, 16, 16)).shape == (2, 5)


def test_relative_imports_of_a_package_name_the_remedy(tmp_path, monkeypatch):
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "__init__.py").write_text("from .nets import build\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"name the module .* such as whole.nets:build"):
        find_user_code(["whole"], [tmp_path])
    (tmp_path / "whole" / "__init__.py").write_text(GOOD)
    find_user_code(["whole"], [tmp_path])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("undefined\n", "import of broken failed: NameError: name 'undefined' is not defined"),
        ("def f(:\n", "import of broken failed: SyntaxError"),
        ("import not_there\n", "import of broken failed: ModuleNotFoundError: .*'not_there'"),
        ("raise ValueError(3)\n", "import of broken failed: ValueError: 3"),
    ],
)
def test_a_broken_package_is_not_called_missing(tmp_path, monkeypatch, source, message):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "__init__.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=message):
        find_user_code(["broken.models"], [tmp_path / "elsewhere"])


@pytest.mark.parametrize("name", ["not_there.models", "torch.not_there", "json.tool.x", "__main__"])
def test_names_that_no_package_has_are_missing(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))  # as of a notebook
    with pytest.raises(ConfigError, match="and it is not installed"):
        find_user_code([name], [tmp_path])
