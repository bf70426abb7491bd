"""Custom hyperparameters and user functions in a search space."""

import pytest
from pydantic import ValidationError

from handsigns.config.hyperparameters import TrialConfig, trial_seed
from handsigns.config.load import dump_search_config, load_search_config
from handsigns.config.user_code import (
    UserCode,
    UserModule,
    changed_modules,
    load_saved_user_code,
    read_module,
    save_user_code,
    saved_module_path,
)
from handsigns.errors import ConfigError, ResultsError

SPACE = """
space:
  architecture: {type: choice, values: [compact, "mine:net"]}
  dropout: {type: uniform, low: 0.1, high: 0.5, when: {custom.kind: b}}
  custom:
    depth: {type: integer, low: 1, high: 5, when: {architecture: "mine:net"}}
    rate: {type: log_uniform, low: 0.01, high: 1.0}
    kind: {type: choice, values: [a, b]}
"""


@pytest.fixture
def load(tmp_path):
    def write_and_load(text=SPACE, overrides=()):
        (tmp_path / "mine.yaml").write_text(text)
        return load_search_config(tmp_path / "mine.yaml", overrides)

    return write_and_load


def test_custom_hyperparameters_are_searched_like_others(load):
    config = load()
    assert load(dump_search_config(config)) == config
    assert set(config.space.searched_names) == {
        "architecture", "dropout", "custom.depth", "custom.rate", "custom.kind"
    }  # fmt: skip
    assert config.user_functions == ["mine:net"]
    assert config.space.is_active("dropout", {"custom.kind": "b"})
    assert not config.space.is_active("dropout", {"custom.kind": "a"})
    baseline = config.baseline_params()
    assert baseline == {
        "architecture": "compact",
        "custom.rate": pytest.approx(0.1),
        "custom.kind": "a",
    }
    expected = {"rate": baseline["custom.rate"], "kind": "a"}
    assert TrialConfig.from_params(baseline).custom == expected


def test_custom_hyperparameters_can_be_set_on_the_command_line(load):
    overrides = ["space.custom.depth.high=9", "space.custom.kind=b", "space.custom.new=true"]
    space = load(overrides=overrides).space
    assert space["custom.depth"].high == 9
    assert space["custom.kind"].value == "b"
    assert space["custom.new"].value is True


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["space.custom.bad-name=1"], "'bad-name' is not a valid name"),
        (["space.custom.x=.inf"], "not a finite number"),
        (["space.custom=3"], "--set space.custom=3, space.custom: expected a mapping of names"),
        (["space.custom.depth.hihg=3"], r"space.custom.depth.hihg: 'hihg' is not a key"),
        (["space.custom.rate.low=2"], r"space.custom.rate: low 2 is above high 1"),
        (["space.architecture=compact", "space.custom.depth=1"], "nothing uses them"),
        (["space.architecture=a/b:c"], "is not an architecture"),
        (["space.architecture=../x:c"], "is not an architecture"),
        (["space.loss=mse"], "'mse' is not a loss"),
        (
            ["space.loss=a:b", "space.class_weights=balanced"],
            "class_weights: balanced weighs the classes in cross-entropy, but not in a:b; omit it",
        ),
        (
            [
                "space.loss={type: choice, values: [cross_entropy, a:b]}",
                "space.class_weights={type: choice, values: [none, balanced]}",
            ],
            r"but not in a:b; add when: \{loss: cross_entropy\}",
        ),
    ],
)
def test_invalid_settings_are_reported(load, overrides, message):
    with pytest.raises(ConfigError, match=message):
        load(overrides=overrides)


def test_seeds_of_earlier_versions_are_stable():
    assert trial_seed(1, TrialConfig()) == 4570575868629012888
    custom = [TrialConfig.from_params({"custom.depth": depth}) for depth in (1, 2)]
    seeds = {trial_seed(1, config) for config in (TrialConfig(), TrialConfig(loss="a:b"), *custom)}
    assert len(seeds) == 4
    assert len({*custom, TrialConfig.from_params({"custom.depth": 1})}) == 2, (
        "configurations are hashable"
    )


def test_configuration_round_trips_through_its_hyperparameters():
    config = TrialConfig.from_params({"custom.b": 1.5, "custom.a": "x", "dropout": 0.3})
    assert TrialConfig.from_params(config.hyperparameters()) == config
    assert TrialConfig.model_validate(config.model_dump()) == config
    with pytest.raises(KeyError, match=r"no custom hyperparameter c in this .* .known: a, b"):
        config.custom["c"]
    with pytest.raises(ValidationError):
        TrialConfig.from_params({"custom.b": [1]})


def test_sources_are_saved_and_loaded_by_digest(tmp_path):
    user_code = UserCode({"mine": UserModule("mine", "x = 1\n", tmp_path / "mine.py")})
    save_user_code(tmp_path / "saved", user_code)
    code_metadata = user_code.code_metadata()
    loaded = load_saved_user_code(tmp_path / "saved", ["mine:net"], code_metadata, trusted=True)
    assert loaded.modules["mine"].source == "x = 1\n"
    with pytest.raises(ResultsError, match="add --trust-user-code"):
        load_saved_user_code(tmp_path / "saved", ["mine:net"], code_metadata, trusted=False)
    assert load_saved_user_code(tmp_path / "saved", [], code_metadata, trusted=False) is None
    changed = UserCode(
        {"mine": UserModule("mine", "x = 2\n", tmp_path / "mine.py")}
    ).code_metadata()
    assert [name for name, _, _ in changed_modules(code_metadata, changed)] == ["mine"]
    assert not changed_modules(code_metadata, code_metadata)
    with pytest.raises(ResultsError, match="is missing"):
        load_saved_user_code(tmp_path / "saved", ["mine:net"], changed, trusted=True)
    digest = code_metadata["mine"]["digest"]
    saved_module_path(tmp_path / "saved", "mine", digest).write_text("x = 3\n")
    with pytest.raises(ResultsError, match="differs from the code that was run"):
        load_saved_user_code(tmp_path / "saved", ["mine:net"], code_metadata, trusted=True)


def test_a_byte_order_mark_is_not_part_of_a_module(tmp_path):
    (tmp_path / "mine.py").write_text("x = 1\n", encoding="utf-8-sig")
    assert read_module("mine", tmp_path / "mine.py").source == "x = 1\n"


@pytest.mark.parametrize(
    "code_metadata", [{}, 3, {"mine": 3}, {"mine": {"digest": "../../x"}}, {"mine": {"digest": 3}}]
)
def test_malicious_code_metadata_is_rejected(tmp_path, code_metadata):
    with pytest.raises(ResultsError, match="do not record which version of mine was used"):
        load_saved_user_code(tmp_path, ["mine:net"], code_metadata, trusted=True)
