import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handsigns.config.load import dump_study, load_study
from handsigns.config.presets import resolve_space_path, shipped_spaces
from handsigns.config.search import StudyConfig
from handsigns.config.yaml_tree import read_document, write_tree
from handsigns.errors import ConfigError

SPACE = "space:\n  learning_rate: {type: log_uniform, low: 1e-4, high: 1e-2}\n"


@pytest.fixture
def load(tmp_path):
    def write_and_load(text, overrides=(), options=None):
        path = tmp_path / "mine.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_study(path, overrides, options)

    return write_and_load


@pytest.mark.parametrize("name", shipped_spaces())
def test_every_preset_loads_and_survives_a_round_trip(name, load):
    study = load_study(shipped_spaces()[name])
    assert load(dump_study(study)) == study
    assert study.description


def test_the_menu_has_what_the_readme_names():
    menu = {"quick", "default", "full", "cs230_learning_rate", "gpu", "cluster"}
    assert set(shipped_spaces()) == menu


def test_the_courses_experiment():
    study = load_study(shipped_spaces()["cs230_learning_rate"])
    assert study.space.grid()["learning_rate"] == [1e-2, 1e-3, 1e-4]
    assert (study.budget.trials, study.budget.max_epochs) == (3, 10)
    assert study.space["dropout"].value == 0.8


def test_numbers_are_read_as_people_write_them(load):
    study = load(SPACE + "budget: {time_budget: 1h30m}\n")
    assert study.space["learning_rate"].low == 1e-4
    assert study.budget.time_budget == 5400


def test_defaults_follow_from_other_settings(load):
    study = load(SPACE + "budget: {max_epochs: 90}\nobjective: {metric: val_accuracy}\n")
    assert study.objective.direction == "maximize"
    assert (study.scheduler.grace_period, study.scheduler.reduction_factor) == (15, 3.0)
    assert study.searcher.startup_trials == 10
    grid = load("space: {batch_size: {type: choice, values: [8, 16]}}\nsearcher: {name: grid}\n")
    assert grid.budget.trials == 2


def test_an_override_and_a_flag_win_over_the_file(load):
    study = load(
        SPACE + "budget: {trials: 5}\n",
        ["space.learning_rate.low=1e-3", "space.dropout=0.3", "scheduler.name=median"],
        {"budget.trials": 7, "budget.time_budget": "20m"},
    )
    assert study.space["learning_rate"].low == 1e-3
    assert study.space["dropout"].value == 0.3
    assert study.budget.trials == 7
    assert study.budget.time_budget == 1200
    assert study.scheduler.name == "median"


def test_another_scheduler_or_searcher_comes_with_its_own_defaults(load):
    text = SPACE + (
        "scheduler: {name: asha, grace_period: 4, reduction_factor: 2}\n"
        "searcher: {name: tpe, startup_trials: 3}\n"
    )
    study = load(text, ["scheduler.name=none", "searcher.name=random"])
    assert (study.scheduler.name, study.scheduler.grace_period) == ("none", None)
    assert (study.searcher.name, study.searcher.startup_trials) == ("random", None)
    study = load(text, ["scheduler.grace_period=2", "scheduler.name=median"])
    assert (study.scheduler.grace_period, study.scheduler.reduction_factor) == (2, None)
    study = load(text, ["scheduler.name=asha"])
    assert study.scheduler.reduction_factor == 2
    study = load(text, ["scheduler.name=none"], {"budget.max_epochs": 2})
    assert (study.scheduler.name, study.scheduler.grace_period) == ("none", None)


def test_a_whole_parameter_can_be_given_as_an_override(load):
    study = load(SPACE, ["space.batch_size={type: choice, values: [8, 16]}"])
    assert study.space["batch_size"].choices == (8, 16)


WRONG = {
    "unknown hyperparameter": (
        "space:\n  droput: 0.3\n",
        "line 2, space.droput: 'droput' is no hyperparameter; did you mean dropout?",
    ),
    "unknown key": (SPACE + "budgt: 1\n", "line 3, budgt: 'budgt' is no key; did you mean budget?"),
    "unknown key in a range": (
        "space:\n  dropout: {type: uniform, low: 0, high: 0.5, hihg: 1}\n",
        "line 2, space.dropout.hihg: 'hihg' is no key; did you mean high?",
    ),
    "wrong type of value": (
        SPACE + "budget:\n  trials: many\n",
        "line 4, budget.trials: expected a whole number, got 'many'",
    ),
    "a number in quotes": (
        "space: {dropout: {type: uniform, low: '0.1', high: 0.5}}",
        "line 1, space.dropout.low: expected a number, got '0.1'",
    ),
    "true is no number": (
        SPACE + "budget: {trials: true}",
        "line 3, budget.trials: expected a whole number, got True",
    ),
    "low above high": (
        "space:\n  dropout: {type: uniform, low: 0.5, high: 0.1}\n",
        "line 2, space.dropout: low 0.5 is above high 0.1; swap them",
    ),
    "low equals high": (
        "space: {dropout: {type: uniform, low: 0.5, high: 0.5}}",
        "space.dropout: low and high are both 0.5; write the value alone to fix it",
    ),
    "log of zero": (
        "space:\n  learning_rate: {type: log_uniform, low: 0, high: 0.1}\n",
        "line 2, space.learning_rate: low is 0; a logarithmic range needs low above 0",
    ),
    "not a number": (
        "space: {dropout: {type: uniform, low: .nan, high: 0.5}}",
        "space.dropout.low: nan is no finite number",
    ),
    "infinite": (
        "space: {dropout: {type: uniform, low: 0, high: .inf}}",
        "space.dropout.high: inf is no finite number",
    ),
    "huge": (
        f"space: {{dropout: {{type: uniform, low: 0, high: {'9' * 5000}}}}}",
        "is no plain value",
    ),
    "outside what the hyperparameter can be": (
        "space: {dropout: {type: uniform, low: 0.1, high: 1.5}}",
        "space.dropout.high: 1.5 is out of bounds; it must be below 1",
    ),
    "fixed outside": ("space: {batch_size: 0}", "space.batch_size: 0 is out of bounds"),
    "a range for a whole number": (
        "space: {batch_size: {type: uniform, low: 8, high: 64}}",
        "space.batch_size: batch_size is a whole number; use type integer",
    ),
    "unknown choice": (
        "space: {optimizer: {type: choice, values: [adma, sgd]}}",
        "space.optimizer.values: 'adma' is no value; did you mean adam?",
    ),
    "choice twice": (
        "space: {batch_size: {type: choice, values: [8, 8]}}",
        "space.batch_size: 8 is listed twice",
    ),
    "no choice": (
        "space: {batch_size: {type: choice, values: []}}",
        "space.batch_size.values: needs at least one value",
    ),
    "unknown architecture": (
        "space: {architecture: compct}",
        "'compct' is no architecture; did you mean compact?",
    ),
    "unknown type": (
        "space: {dropout: {type: unifrom, low: 0, high: 0.5}}",
        "space.dropout.type: 'unifrom' is no type; did you mean uniform?",
    ),
    "no type": (
        "space: {dropout: {low: 0, high: 0.5}}",
        "space.dropout: has no type; give one of: uniform, log_uniform, integer, choice, fixed",
    ),
    "missing end": ("space: {dropout: {type: uniform, low: 0}}", "space.dropout.high: is missing"),
    "step too large": (
        "space: {batch_size: {type: integer, low: 8, high: 16, step: 9}}",
        "step 9 does not fit between 8 and 16",
    ),
    "log and step": (
        "space: {batch_size: {type: integer, low: 8, high: 64, step: 8, log: true}}",
        "log and step exclude each other",
    ),
    "unknown parent": (
        "space: {momentum: {type: uniform, low: 0.1, high: 0.9, when: {optimiser: sgd}}}",
        "space.momentum.when.optimiser: 'optimiser' is no hyperparameter of this space",
    ),
    "parent never so": (
        "space: {optimizer: adam, momentum: {type: fixed, value: 0.8, when: {optimizer: sgd}}}",
        "'sgd' is no value of optimizer",
    ),
    "circle": (
        "space:\n"
        "  dropout: {type: choice, values: [0.1, 0.2], when: {batch_size: 8}}\n"
        "  batch_size: {type: choice, values: [8, 16], when: {dropout: 0.1}}\n",
        "the conditions of dropout, batch_size go round in a circle",
    ),
    "no space": ("seed: 1\n", "space: is missing; it says what is searched"),
    "empty space": ("space:\n", "line 1, space: must name at least one hyperparameter"),
    "section no mapping": (SPACE + "budget: 7\n", "line 3, budget: expected keys"),
    "grid over a continuous range": (
        SPACE + "searcher: {name: grid}\n",
        "line 2, space.learning_rate: a grid needs values to list, and this is a continuous range",
    ),
    "cmaes over a choice": (
        "space: {batch_size: {type: choice, values: [8, 16]}}\nsearcher: {name: cmaes}\n",
        "space.batch_size: cmaes cannot search a choice; use searcher tpe",
    ),
    "grace period above the epochs": (
        SPACE + "budget: {max_epochs: 5}\nscheduler: {grace_period: 6}\n",
        "line 4, scheduler.grace_period: 6 is above budget.max_epochs, which is 5",
    ),
    "rungs where there are none": (
        SPACE + "scheduler: {name: median, reduction_factor: 3}\n",
        "scheduler.reduction_factor: median has no rungs; leave it out",
    ),
    "direction against the metric": (
        SPACE + "objective: {metric: val_accuracy, direction: minimize}\n",
        "objective.direction: minimize contradicts val_accuracy",
    ),
    "duration": (
        SPACE + "budget: {time_budget: soon}\n",
        "budget.time_budget: 'soon' is no duration above 0; write 90s, 20m, 1h30m or seconds",
    ),
    "fraction of a GPU above one": (
        SPACE + "resources: {gpus_per_trial: 1.5}\n",
        "gpus_per_trial is 1.5; above 1 it must be a whole number",
    ),
    "duplicate key": (
        "space:\n  dropout: 0.1\n  dropout: 0.2\n",
        "line 3: space.dropout stands twice; the first is at line 2",
    ),
    "key no text": ("space: {1: 2}", "line 1: 1 is no name for a key"),
    "syntax": ("space: {dropout: [", "is no valid YAML: line 1, column"),
    "tab": ("space:\n\tdropout: 1\n", "is no valid YAML: line 2, column 1"),
    "empty file": ("", "is empty; a search needs at least a space: section"),
    "list": ("- 1\n", "is no mapping; begin with a key such as 'space:'"),
    "not UTF-8": (b"space: {\xff\xfe}", "is no UTF-8 text (byte 8)"),
    "alias": ("a: &x [1]\nb: *x\n", "line 1: anchors (&) and aliases (*) are not supported"),
    "nesting": ("a: " + "[" * 500 + "]" * 500, "line 1: nested deeper than 20 levels"),
    "python tag": ("space: !!python/object/apply:os.system ['true']", "space: must name"),
    "binary": (b"\x00\x01\x02", "is no valid YAML"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_a_user_reads(case, load):
    text, message = WRONG[case]
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert message in str(caught.value)
    assert "mine.yaml" in str(caught.value)


def test_all_problems_are_told_at_once(load):
    with pytest.raises(ConfigError) as caught:
        load(
            "space:\n  droput: 1\n  dropout: {type: uniform, low: 1, high: 0}\n"
            "budget: {trials: 0}\nscheduler: {name: asah}\n",
            ["nonsense"],
            {"seed": -1},
        )
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("mine.yaml has 6 problems:")
    assert len(lines) == 7
    assert "  --set nonsense: give a key and a value: --set budget.trials=20" in lines
    assert "  --seed -1, seed: -1 is out of bounds; it must be at least 0" in lines


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("space.learning_rate.low=0", "--set space.learning_rate.low=0, space.learning_rate: lo"),
        ("space..low=0", "'space..low' is no dotted key such as budget.trials"),
        ("seed.low=0", "--set seed.low=0"),
        ("budget.trials=[", "it is no valid YAML value"),
        ("budget.trials=*a", "it is no valid YAML value"),
        ("budget.trials=", "expected a whole number, got ''"),
    ],
)
def test_a_wrong_override_is_named(load, override, message):
    with pytest.raises(ConfigError) as caught:
        load(SPACE + "seed: 5\n", [override])
    assert message in str(caught.value)


def test_a_range_end_of_a_fixed_value_is_refused(load):
    with pytest.raises(ConfigError, match=r"space\.dropout is the single value 0\.3; set space"):
        load("space: {dropout: 0.3}", ["space.dropout.low=0.1"])


def test_missing_files(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read: No such file"):
        load_study(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="is a folder"):
        load_study(tmp_path)
    large = tmp_path / "large.yaml"
    large.write_text("# " + "x" * 2**20)
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        load_study(large)


def test_a_space_is_found_by_path_or_name(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(SPACE)
    assert resolve_space_path(str(path)) == path
    assert resolve_space_path("quick") == shipped_spaces()["quick"]
    for wrong in ("qick", "\0", "x" * 5000):
        with pytest.raises(ConfigError):
            resolve_space_path(wrong)
    with pytest.raises(ConfigError, match="no search space qick; name a YAML file, or one of: clu"):
        resolve_space_path("qick")


def test_the_baseline_is_the_recipe_nearest_in_the_space(load):
    study = load(
        "space:\n  learning_rate: {type: log_uniform, low: 1e-2, high: 1e-1}\n"
        "  batch_size: {type: choice, values: [8, 64]}\n"
        "  channel_width: {type: integer, low: 4, high: 12, step: 4}\n"
        "  optimizer: {type: choice, values: [adamw, sgd]}\n"
        "  momentum: {type: uniform, low: 0.8, high: 0.9, when: {optimizer: sgd}}\n"
    )
    assert study.baseline_params() == {
        "learning_rate": 1e-2,
        "batch_size": 8,
        "channel_width": 12,
        "optimizer": "adamw",
    }


def test_sizes_of_spaces(load):
    assert load(SPACE).space.size() is None
    counted = load(
        "space:\n  optimizer: {type: choice, values: [adamw, sgd]}\n"
        "  momentum: {type: choice, values: [0.8, 0.9], when: {optimizer: sgd}}\n"
        "  dropout: {type: uniform, low: 0.0, high: 0.5, step: 0.25}\n"
    )
    assert counted.space.size() == (1 + 2) * 3


ranges = st.tuples(st.floats(1e-5, 0.4), st.floats(0.5, 0.9)).map(
    lambda ends: {"type": "uniform", "low": ends[0], "high": ends[1]}
)
spaces = st.fixed_dictionaries(
    {"dropout": ranges},
    optional={
        "learning_rate": ranges.map(lambda r: r | {"type": "log_uniform"}),
        "batch_size": st.lists(st.integers(2, 99), min_size=1, unique=True).map(
            lambda values: {"type": "choice", "values": values}
        ),
        "momentum": st.floats(0.1, 0.9),
        "optimizer": st.sampled_from(["adam", "sgd"]),
    },
)


@pytest.mark.parametrize("text", ["1e3", "0E0", "-.5e1", "no", "null", "2020-01-01", "5_0"])
def test_text_that_looks_like_something_else_stays_text(tmp_path, text):
    path = tmp_path / "tree.yaml"
    path.write_text(write_tree({"classes": [text]}), encoding="utf-8")
    assert read_document(path).values == {"classes": [text]}


@given(
    spaces,
    st.integers(1, 99),
    st.one_of(st.none(), st.floats(0.1, 1e6), st.integers(1, 10**6)),
    st.integers(0, 2**32 - 1),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
)
@settings(max_examples=60)
def test_a_study_survives_a_round_trip(tmp_path_factory, space, trials, seconds, seed, text):
    path = tmp_path_factory.mktemp("round") / "s.yaml"
    budget = {"trials": trials} | ({"time_budget": seconds} if seconds else {})
    fields = {"description": text, "space": space, "budget": budget, "seed": seed}
    path.write_text(json.dumps(fields), encoding="utf-8")  # YAML in which all texts are quoted
    study = load_study(path)
    path.write_text(dump_study(study), encoding="utf-8")
    assert load_study(path) == study


pieces = st.sampled_from(
    ["space:", "\n  ", "dropout: ", "{type: uniform, low: 0", ", high: 1", "}", "[", "]", "&a ",
     "*a", "!!python/name:os ", "? ", "- ", "1e999", "'", "|\n", "budget: ", "\t", "\0", "é"]
)  # fmt: skip


@given(st.one_of(st.lists(pieces).map("".join), st.text(), st.binary()))
@settings(max_examples=300)
def test_any_file_loads_or_is_refused_with_a_message(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "s.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    try:
        assert isinstance(load_study(path), StudyConfig)
    except ConfigError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is right


@given(st.lists(st.one_of(st.text(), pieces).map(lambda v: f"budget.trials={v}"), max_size=3))
@settings(max_examples=150)
def test_whatever_an_override_says_it_is_taken_or_refused(overrides):
    try:
        load_study(Path(shipped_spaces()["quick"]), overrides)
    except ConfigError as error:
        assert "--set" in str(error)  # noqa: PT017 - either outcome is right


WHOLE = {
    "description": "all there is",
    "space": {
        "learning_rate": {"type": "log_uniform", "low": 3e-4, "high": 3e-2},
        "optimizer": {"type": "choice", "values": ["adamw", "sgd"]},
        "momentum": {"type": "uniform", "low": 0.8, "high": 0.98, "when": {"optimizer": "sgd"}},
        "channel_width": {"type": "integer", "low": 8, "high": 24, "step": 4},
        "dropout": 0.2,
    },
    "objective": {"metric": "val_loss", "direction": "minimize"},
    "budget": {"trials": 60, "max_epochs": 36, "time_budget": "15m", "patience": 20},
    "scheduler": {"name": "asha", "grace_period": 4, "reduction_factor": 3},
    "searcher": {"name": "tpe", "startup_trials": 5},
    "resources": {"cpus_per_trial": 1, "gpus_per_trial": "auto"},
    "faults": {"retries": 3, "report_timeout": "auto"},
    "seed": 1,
}


def places(tree, path=()):
    yield path
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from places(value, (*path, key))


def put(tree, path, value):
    if not path:
        return value
    return {**tree, path[0]: put(tree[path[0]], path[1:], value)}


plain = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(10**400), 10**400),
    st.floats(), st.text(max_size=8), st.sampled_from(["auto", "1h", "1e999", "sgd", "asha"]),
    st.dates(), st.binary(max_size=4),
)  # fmt: skip
trees = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.lists(st.tuples(st.sampled_from(sorted(places(WHOLE))), trees), min_size=1, max_size=3))
@settings(max_examples=400)
def test_whatever_stands_in_any_place_is_taken_or_refused(tmp_path_factory, changes):
    import yaml

    tree = WHOLE
    for path, value in changes:
        try:
            tree = put(tree, path, value)
        except (KeyError, TypeError):
            continue  # an earlier change has taken the place away
    path = tmp_path_factory.mktemp("mutant") / "s.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8", errors="replace")
    try:
        study = load_study(path)
    except ConfigError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is right
        return
    path.write_text(dump_study(study), encoding="utf-8")
    assert load_study(path) == study, "what was taken survives a round trip"


def test_tracking_is_off_and_takes_tools(load):
    assert load(SPACE).tracking.tools == ()
    study = load(SPACE + "tracking: {tensorboard: true, mlflow: http://localhost:5000}\n")
    assert study.tracking.tools == ("tensorboard", "mlflow")
    assert load(dump_study(study)) == study


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{wandb: 1}", "tracking.wandb: expected true or false, got 1"),
        ("{mlflow: 5000}", "5000 is neither true nor false nor the address of a server"),
        ("{mlflow: http://a:b@host}", "put them into MLFLOW_TRACKING_USERNAME"),
        ("{mflow: true}", "did you mean mlflow?"),
    ],
)
def test_tracking_that_cannot_be(load, section, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(f"{SPACE}tracking: {section}\n")
