"""A user's own hyperparameters and functions, as a search space names them."""

import pytest
from pydantic import ValidationError

from handsigns.config.hyperparameters import TrialConfig, trial_seed
from handsigns.config.load import dump_study, load_study
from handsigns.config.user_code import (
    OwnCode,
    OwnModule,
    changed_modules,
    keep,
    kept_file,
    read_kept,
)
from handsigns.errors import ConfigError, ResultsError

SPACE = """
space:
  architecture: {type: choice, values: [compact, "mine:net"]}
  dropout: {type: uniform, low: 0.1, high: 0.5, when: {own.kind: b}}
  own:
    depth: {type: integer, low: 1, high: 5, when: {architecture: "mine:net"}}
    rate: {type: log_uniform, low: 0.01, high: 1.0}
    kind: {type: choice, values: [a, b]}
"""


@pytest.fixture
def load(tmp_path):
    def write_and_load(text=SPACE, overrides=()):
        (tmp_path / "mine.yaml").write_text(text)
        return load_study(tmp_path / "mine.yaml", overrides)

    return write_and_load


def test_own_hyperparameters_are_searched_like_others(load):
    study = load()
    assert load(dump_study(study)) == study
    assert set(study.space.varied) == {
        "architecture", "dropout", "own.depth", "own.rate", "own.kind"
    }  # fmt: skip
    assert study.own_functions == ["mine:net"]
    assert study.space.active("dropout", {"own.kind": "b"})
    assert not study.space.active("dropout", {"own.kind": "a"})
    first = study.baseline_params()
    assert first == {"architecture": "compact", "own.rate": pytest.approx(0.1), "own.kind": "a"}
    assert TrialConfig.from_params(first).own == {"rate": first["own.rate"], "kind": "a"}


def test_they_can_be_set_on_the_command_line(load):
    overrides = ["space.own.depth.high=9", "space.own.kind=b", "space.own.new=true"]
    space = load(overrides=overrides).space
    assert space["own.depth"].high == 9
    assert space["own.kind"].value == "b"
    assert space["own.new"].value is True


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["space.own.bad-name=1"], "'bad-name' is no name"),
        (["space.own.x=.inf"], "no finite number"),
        (["space.own=3"], "--set space.own=3, space.own: expected names of your own"),
        (["space.own.depth.hihg=3"], r"space.own.depth.hihg: 'hihg' is no key"),
        (["space.own.rate.low=2"], r"space.own.rate: low 2 is above high 1"),
        (["space.architecture=compact", "space.own.depth=1"], "nothing reads them"),
        (["space.architecture=a/b:c"], "is no architecture"),
        (["space.architecture=../x:c"], "is no architecture"),
        (["space.loss=mse"], "'mse' is no loss"),
    ],
)
def test_what_is_wrong_is_told(load, overrides, message):
    with pytest.raises(ConfigError, match=message):
        load(overrides=overrides)


def test_seeds_of_earlier_searches_stay():
    assert trial_seed(1, TrialConfig()) == 4570575868629012888
    own = [TrialConfig.from_params({"own.depth": depth}) for depth in (1, 2)]
    seeds = {trial_seed(1, config) for config in (TrialConfig(), TrialConfig(loss="a:b"), *own)}
    assert len(seeds) == 4
    assert len({*own, TrialConfig.from_params({"own.depth": 1})}) == 2, "they can be compared"


def test_a_configuration_comes_back_from_its_hyperparameters():
    config = TrialConfig.from_params({"own.b": 1.5, "own.a": "x", "dropout": 0.3})
    assert TrialConfig.from_params(config.hyperparameters()) == config
    assert TrialConfig.model_validate(config.model_dump()) == config
    with pytest.raises(KeyError, match=r"no own hyperparameter c in this .* .known: a, b"):
        config.own["c"]
    with pytest.raises(ValidationError):
        TrialConfig.from_params({"own.b": [1]})


def test_sources_are_kept_and_read_back_by_digest(tmp_path):
    own = OwnCode({"mine": OwnModule("mine", "x = 1\n", tmp_path / "mine.py")})
    keep(tmp_path / "kept", own)
    described = own.described()
    read = read_kept(tmp_path / "kept", ["mine:net"], described, allowed=True)
    assert read.modules["mine"].source == "x = 1\n"
    with pytest.raises(ResultsError, match="add --own-code"):
        read_kept(tmp_path / "kept", ["mine:net"], described, allowed=False)
    assert read_kept(tmp_path / "kept", [], described, allowed=False) is None
    other = OwnCode({"mine": OwnModule("mine", "x = 2\n", tmp_path / "mine.py")}).described()
    assert [name for name, _, _ in changed_modules(described, other)] == ["mine"]
    assert not changed_modules(described, described)
    with pytest.raises(ResultsError, match="is missing"):
        read_kept(tmp_path / "kept", ["mine:net"], other, allowed=True)
    kept_file(tmp_path / "kept", "mine", described["mine"]["digest"]).write_text("x = 3\n")
    with pytest.raises(ResultsError, match="is not the code that was run"):
        read_kept(tmp_path / "kept", ["mine:net"], described, allowed=True)


@pytest.mark.parametrize(
    "described", [{}, 3, {"mine": 3}, {"mine": {"digest": "../../x"}}, {"mine": {"digest": 3}}]
)
def test_a_record_from_others_leads_nowhere_else(tmp_path, described):
    with pytest.raises(ResultsError, match="do not tell which code mine was"):
        read_kept(tmp_path, ["mine:net"], described, allowed=True)
