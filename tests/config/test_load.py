import itertools
import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from handsigns.config.load import dump_search_config, load_search_config
from handsigns.config.presets import list_presets, resolve_search_space
from handsigns.config.search import SearchConfig
from handsigns.config.sections import Objective
from handsigns.config.yaml_document import dump_yaml, load_yaml_document
from handsigns.errors import ConfigError
from handsigns.workflow.new_search import explicit_settings

SPACE = "space:\n  learning_rate: {type: log_uniform, low: 1e-4, high: 1e-2}\n"


@pytest.fixture
def load(tmp_path):
    def write_and_load(text, overrides=(), options=None):
        path = tmp_path / "mine.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_search_config(path, overrides, options)

    return write_and_load


@pytest.mark.parametrize("name", list_presets())
def test_every_preset_loads_and_survives_a_round_trip(name, load):
    config = load_search_config(list_presets()[name])
    assert load(dump_search_config(config)) == config
    assert config.description


def test_presets_are_these():
    expected = {"quick", "default", "full", "cs230_learning_rate", "gpu", "cluster"}
    assert set(list_presets()) == expected


def test_cs230_preset_is_the_original_experiment():
    config = load_search_config(list_presets()["cs230_learning_rate"])
    assert config.space.grid()["learning_rate"] == [1e-2, 1e-3, 1e-4]
    assert (config.budget.trials, config.budget.max_epochs) == (3, 10)
    assert config.space["dropout"].value == 0.8


def test_scientific_notation_and_durations_are_parsed(load):
    config = load(SPACE + "budget: {time_budget: 1h30m}\n")
    assert config.space["learning_rate"].low == 1e-4
    assert config.budget.time_budget == 5400


def test_defaults_depend_on_other_settings(load):
    config = load(SPACE + "budget: {max_epochs: 90}\nobjective: {metric: val_accuracy}\n")
    assert config.objective.direction == "maximize"
    assert (config.scheduler.grace_period, config.scheduler.reduction_factor) == (8, 2.0)
    stopping = load(SPACE + "budget: {max_epochs: 90}\nscheduler: {name: asha}\n")
    assert stopping.scheduler.grace_period == 15
    assert stopping.scheduler.reduction_factor == 3.0
    assert config.searcher.startup_trials == 10
    grid = load("space: {batch_size: {type: choice, values: [8, 16]}}\nsearcher: {name: grid}\n")
    assert grid.budget.trials == 2


def test_overrides_and_flags_take_precedence_over_the_file(load):
    config = load(
        SPACE + "budget: {trials: 5}\n",
        ["space.learning_rate.low=1e-3", "space.dropout=0.3", "scheduler.name=median"],
        {"budget.trials": 7, "budget.time_budget": "20m"},
    )
    assert config.space["learning_rate"].low == 1e-3
    assert config.space["dropout"].value == 0.3
    assert config.budget.trials == 7
    assert config.budget.time_budget == 1200
    assert config.scheduler.name == "median"


def test_a_section_left_empty_can_be_overridden(load):
    assert load(f"{SPACE}budget:\n", options={"budget.trials": 5}).budget.trials == 5


def test_overriding_scheduler_or_searcher_resets_its_settings(load):
    text = SPACE + (
        "scheduler: {name: asha, grace_period: 4, reduction_factor: 2}\n"
        "searcher: {name: tpe, startup_trials: 3}\n"
    )
    config = load(text, ["scheduler.name=none", "searcher.name=random"])
    assert (config.scheduler.name, config.scheduler.grace_period) == ("none", None)
    assert (config.searcher.name, config.searcher.startup_trials) == ("random", None)
    config = load(text, ["scheduler.grace_period=2", "scheduler.name=median"])
    assert (config.scheduler.grace_period, config.scheduler.reduction_factor) == (2, None)
    config = load(text, ["scheduler.name=asha"])
    assert config.scheduler.reduction_factor == 2
    config = load(text, ["scheduler.name=none"], {"budget.max_epochs": 2})
    assert (config.scheduler.name, config.scheduler.grace_period) == ("none", None)


def test_naming_the_default_explicitly_keeps_the_files_settings(load):
    text = SPACE + "scheduler: {grace_period: 2}\nsearcher: {startup_trials: 30}\n"
    config = load(text, ["scheduler.name=asha_promotion", "searcher.name=tpe"])
    assert (config.scheduler.grace_period, config.searcher.startup_trials) == (2, 30)
    assert load(text, ["searcher.name=gp"]).searcher.startup_trials == 10


def test_override_can_replace_a_whole_parameter(load):
    config = load(SPACE, ["space.batch_size={type: choice, values: [8, 16]}"])
    assert config.space["batch_size"].choices == (8, 16)


INVALID = {
    "unknown hyperparameter": (
        "space:\n  droput: 0.3\n",
        "line 2, space.droput: 'droput' is not a hyperparameter; did you mean dropout?",
    ),
    "unknown key": (
        SPACE + "budgt: 1\n",
        "line 3, budgt: 'budgt' is not a key; did you mean budget?",
    ),
    "unknown key in a range": (
        "space:\n  dropout: {type: uniform, low: 0, high: 0.5, hihg: 1}\n",
        "line 2, space.dropout.hihg: 'hihg' is not a key; did you mean high?",
    ),
    "wrong type of value": (
        SPACE + "budget:\n  trials: many\n",
        "line 4, budget.trials: expected a whole number, got 'many'",
    ),
    "quoted number": (
        "space: {dropout: {type: uniform, low: '0.1', high: 0.5}}",
        "line 1, space.dropout.low: expected a number, got '0.1'",
    ),
    "boolean for a number": (
        SPACE + "budget: {trials: true}",
        "line 3, budget.trials: expected a whole number, got True",
    ),
    "number for a boolean": (
        SPACE + "baseline: 1\n",
        "line 3, baseline: expected true or false, got 1",
    ),
    "text for a boolean": (
        "space: {batch_size: {type: integer, low: 8, high: 64, log: 'yes'}}",
        "line 1, space.batch_size.log: expected true or false, got 'yes'",
    ),
    "list without a type": (
        "space: {learning_rate: [1e-3, 1e-2]}",
        "space.learning_rate: is a list; use {type: choice, values: [0.001, 0.01]}",
    ),
    "no value": (
        "space: {optimizer: null}",
        "space.optimizer.value: expected a number, text, true or false, got None",
    ),
    "no value among choices": (
        "space: {optimizer: {type: choice, values: [null, adam]}}",
        "space.optimizer.values: expected a number, text, true or false, got None",
    ),
    "accelerator with a space": (
        SPACE + "resources: {accelerator_type: A100 80GB}\n",
        "resources.accelerator_type: 'A100 80GB': String should match pattern",
    ),
    "empty text": (
        SPACE + "data: {group_by: ''}\n",
        "data.group_by: '': String should have at least 1 character",
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
        "space.dropout.low: nan is not a finite number",
    ),
    "infinite": (
        "space: {dropout: {type: uniform, low: 0, high: .inf}}",
        "space.dropout.high: inf is not a finite number",
    ),
    "huge": (
        f"space: {{dropout: {{type: uniform, low: 0, high: {'9' * 5000}}}}}",
        "is not a plain value",
    ),
    "out of the hyperparameter's bounds": (
        "space: {dropout: {type: uniform, low: 0.1, high: 1.5}}",
        "space.dropout.high: 1.5 is out of bounds; it must be below 1",
    ),
    "infinite fixed value": (
        "space: {gradient_clip: .inf}",
        "line 1, space.gradient_clip: inf is not a finite number",
    ),
    "infinite choice": (
        "space: {gradient_clip: {type: choice, values: [0, 1e400]}}",
        "space.gradient_clip.values: inf is not a finite number",
    ),
    "fixed value out of bounds": ("space: {batch_size: 0}", "space.batch_size: 0 is out of bounds"),
    "continuous range for a whole number": (
        "space: {batch_size: {type: uniform, low: 8, high: 64}}",
        "space.batch_size: batch_size must be a whole number; use type integer",
    ),
    "unknown choice": (
        "space: {optimizer: {type: choice, values: [adma, sgd]}}",
        "space.optimizer.values: 'adma' is not a value; did you mean adam?",
    ),
    "duplicate choice": (
        "space: {batch_size: {type: choice, values: [8, 8]}}",
        "space.batch_size: 8 is listed twice",
    ),
    "empty choice": (
        "space: {batch_size: {type: choice, values: []}}",
        "space.batch_size.values: needs at least one value",
    ),
    "unknown architecture": (
        "space: {architecture: compct}",
        "'compct' is not an architecture; did you mean compact?",
    ),
    "unknown type": (
        "space: {dropout: {type: unifrom, low: 0, high: 0.5}}",
        "space.dropout.type: 'unifrom' is not a type; did you mean uniform?",
    ),
    "no type": (
        "space: {dropout: {low: 0, high: 0.5}}",
        "space.dropout: has no type; give one of: uniform, log_uniform, integer, choice, fixed",
    ),
    "missing bound": (
        "space: {dropout: {type: uniform, low: 0}}",
        "space.dropout.high: is missing",
    ),
    "range that overflows": (
        "space: {custom: {x: {type: uniform, low: -1e308, high: 1e308}}}",
        "space.custom.x: the difference of low -1e+308 and high 1e+308 is not a finite number",
    ),
    "step too large": (
        "space: {batch_size: {type: integer, low: 8, high: 16, step: 9}}",
        "step 9 does not fit between 8 and 16",
    ),
    "log and step": (
        "space: {batch_size: {type: integer, low: 8, high: 64, step: 8, log: true}}",
        "log and step are mutually exclusive",
    ),
    "unknown parent": (
        "space: {momentum: {type: uniform, low: 0.1, high: 0.9, when: {optimiser: sgd}}}",
        "space.momentum.when.optimiser: 'optimiser' is not a hyperparameter of this space",
    ),
    "impossible condition": (
        "space: {optimizer: adam, momentum: {type: fixed, value: 0.8, when: {optimizer: sgd}}}",
        "'sgd' is not a value of optimizer",
    ),
    "cyclic conditions": (
        "space:\n"
        "  dropout: {type: choice, values: [0.1, 0.2], when: {batch_size: 8}}\n"
        "  batch_size: {type: choice, values: [8, 16], when: {dropout: 0.1}}\n",
        "the conditions of dropout, batch_size form a cycle",
    ),
    "no space": ("seed: 1\n", "space: is missing; it defines what is searched"),
    "empty space": ("space:\n", "line 1, space: must name at least one hyperparameter"),
    "space without hyperparameters": (
        "space: {custom: {}}",
        "line 1, space: must name at least one hyperparameter, got {'custom': {}}",
    ),
    "section is not a mapping": (SPACE + "budget: 7\n", "line 3, budget: expected keys"),
    "grid over a continuous range": (
        SPACE + "searcher: {name: grid}\n",
        "line 2, space.learning_rate: a grid needs discrete values, at most 10000, and this range "
        "has more; use type choice, give a larger step, or use another searcher",
    ),
    "grid with too many conditional combinations": (
        "space:\n  architecture: mine:net\n  custom:\n"
        + "".join(f"    a{i}: {{type: choice, values: [0, 1]}}\n" for i in range(17))
        + "    b: {type: fixed, value: 1, when: {custom: {"
        + ", ".join(f"a{i}: 0" for i in range(17))
        + "}}}\nsearcher: {name: grid}\n",
        "space: its conditions depend on too many combinations of values to count them; remove",
    ),
    "grid of too many configurations": (
        "space:\n"
        "  batch_size: {type: integer, low: 2, high: 2001}\n"
        "  channel_width: {type: integer, low: 1, high: 512}\n"
        "searcher: {name: grid}\n",
        "budget.trials: the grid has 1024000 configurations, of which at most 1000000 are tried",
    ),
    "duration with a colon": (
        SPACE + "budget: {time_budget: 1:30}\n",
        "budget.time_budget: '1:30' is not a positive duration; write 90s, 20m, 1h30m or seconds",
    ),
    "integer with a leading zero": (
        SPACE + "budget: {trials: 010}\n",
        "line 3, budget.trials: ",
    ),
    "cmaes over a choice": (
        "space: {batch_size: {type: choice, values: [8, 16]}}\nsearcher: {name: cmaes}\n",
        "space.batch_size: cmaes cannot search a choice; use searcher tpe",
    ),
    "qmc over a conditional parameter": (
        "space:\n"
        "  optimizer: {type: choice, values: [adamw, sgd]}\n"
        "  momentum: {type: uniform, low: 0.5, high: 0.9, when: {optimizer: sgd}}\n"
        "searcher: {name: qmc}\n",
        "line 3, space.momentum: qmc cannot search a conditional parameter; use searcher tpe",
    ),
    "grace period above the epochs": (
        SPACE + "budget: {max_epochs: 5}\nscheduler: {grace_period: 6}\n",
        "line 4, scheduler.grace_period: 6 is above budget.max_epochs, which is 5",
    ),
    "reduction factor without rungs": (
        SPACE + "scheduler: {name: median, reduction_factor: 3}\n",
        "scheduler.reduction_factor: median has no rungs; omit it",
    ),
    "direction against the metric": (
        SPACE + "objective: {metric: val_accuracy, direction: minimize}\n",
        "objective.direction: minimize contradicts val_accuracy",
    ),
    "duration": (
        SPACE + "budget: {time_budget: soon}\n",
        "budget.time_budget: 'soon' is not a positive duration; write 90s, 20m, 1h30m or seconds",
    ),
    "fraction of a GPU above one": (
        SPACE + "resources: {gpus_per_trial: 1.5}\n",
        "gpus_per_trial is 1.5; above 1 it must be a whole number",
    ),
    "unknown MPS setting": (
        SPACE + "resources: {mps: maybe}\n",
        "line 3, resources.mps: 'maybe' is not a value (known: auto, on, off)",
    ),
    "duplicate key": (
        "space:\n  dropout: 0.1\n  dropout: 0.2\n",
        "line 3: duplicate key space.dropout; the first is at line 2",
    ),
    "key is not text": ("space: {1: 2}", "line 1: 1 is not a valid key; keys must be text"),
    "syntax": ("space: {dropout: [", "is not valid YAML: line 1, column"),
    "escape beyond Unicode": (
        SPACE + 'description: "\\UFFFFFFFF"\n',
        "is not valid YAML: an escape (\\U) names no character, the last being U+10FFFF",
    ),
    "tab": ("space:\n\tdropout: 1\n", "is not valid YAML: line 2, column 1"),
    "empty file": ("", "is empty; a search needs at least a space: section"),
    "list": ("- 1\n", "is not a mapping; start with a key such as 'space:'"),
    "not UTF-8": (b"space: {\xff\xfe}", "is not UTF-8 text (byte 8)"),
    "alias": ("a: &x [1]\nb: *x\n", "line 1: anchors (&) and aliases (*) are not supported"),
    "nesting": ("a: " + "[" * 500 + "]" * 500, "line 1: nested deeper than 20 levels"),
    "surrogate": (
        'space: {custom: {x: {type: choice, values: ["a", "\\ud800"]}}}',
        "line 1: '\\ud800' (tag:yaml.org,2002:str) is not a plain value",
    ),
    "control character in the storage": (
        SPACE + 'storage: "/mnt/a\\0"\n',
        "line 3, storage: storage '/mnt/a\\x00' contains control characters",
    ),
    "python tag": ("space: !!python/object/apply:os.system ['true']", "space: must name"),
    "binary": (b"\x00\x01\x02", "is not valid YAML"),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_files_are_rejected_with_location_and_remedy(case, load):
    text, message = INVALID[case]
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert message in str(caught.value)
    assert "mine.yaml" in str(caught.value)


def test_characters_that_json_writes_as_surrogate_pairs_load(load):
    assert load(SPACE + r'description: "\ud83d\ude00"').description == "😀"


def test_all_problems_are_reported_at_once(load):
    with pytest.raises(ConfigError) as caught:
        load(
            "space:\n  droput: 1\n  dropout: {type: uniform, low: 1, high: 0}\n"
            "budget: {trials: 0}\nscheduler: {name: asah}\n",
            ["trials"],
            {"seed": -1},
        )
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("mine.yaml has 6 problems:")
    assert len(lines) == 7
    assert "  --set trials: give a key and a value: --set budget.trials=20" in lines
    assert "  --seed -1, seed: -1 is out of bounds; it must be at least 0" in lines


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("space.learning_rate.low=0", "--set space.learning_rate.low=0, space.learning_rate: lo"),
        ("space..low=0", "'space..low' is not a dotted key such as budget.trials"),
        ("seed.low=0", "--set seed.low=0"),
        ("budget.trials=[", "it is not a valid YAML value"),
        (r'description="\UFFFFFFFF"', "it is not a valid YAML value"),
        (r'description="\U00110000"', "it is not a valid YAML value"),
        ("budget.trials=*a", "it is not a valid YAML value"),
        ("budget.trials=", "expected a whole number, got ''"),
        ("baseline=!!bool maybe", "'maybe' (tag:yaml.org,2002:bool) is not a plain value"),
        ("seed=!!int", "'' (tag:yaml.org,2002:int) is not a plain value"),
        ("seed=!!timestamp x", "'x' (tag:yaml.org,2002:timestamp) is not a plain value"),
        ("seed=!!float 1" + ":1" * 200, " (tag:yaml.org,2002:float) is not a plain value"),
    ],
)
def test_invalid_override_is_named(load, override, message):
    with pytest.raises(ConfigError) as caught:
        load(SPACE + "seed: 5\n", [override])
    assert message in str(caught.value)


def test_bound_of_a_fixed_value_is_rejected(load):
    with pytest.raises(ConfigError, match=r"space\.dropout has the fixed value 0\.3; set space"):
        load("space: {dropout: 0.3}", ["space.dropout.low=0.1"])


def test_missing_and_unsuitable_files_are_rejected(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read: No such file"):
        load_search_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="is a folder"):
        load_search_config(tmp_path)
    large = tmp_path / "large.yaml"
    large.write_text("# " + "x" * 2**20)
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        load_search_config(large)


def test_search_space_is_found_by_path_or_preset_name(tmp_path):
    path = tmp_path / "custom.yaml"
    path.write_text(SPACE)
    assert resolve_search_space(str(path)) == path
    assert resolve_search_space("quick") == list_presets()["quick"]
    for wrong in ("qick", "\0", "x" * 5000):
        with pytest.raises(ConfigError):
            resolve_search_space(wrong)
    with pytest.raises(ConfigError, match="no search space qick; name a YAML file, or one of: clu"):
        resolve_search_space("qick")


def test_baseline_is_the_nearest_configuration_to_the_recipe(load):
    config = load(
        "space:\n  learning_rate: {type: log_uniform, low: 1e-2, high: 1e-1}\n"
        "  batch_size: {type: choice, values: [8, 64]}\n"
        "  channel_width: {type: integer, low: 4, high: 12, step: 4}\n"
        "  optimizer: {type: choice, values: [adamw, sgd]}\n"
        "  momentum: {type: uniform, low: 0.8, high: 0.9, when: {optimizer: sgd}}\n"
    )
    assert config.baseline_params() == {
        "learning_rate": 1e-2,
        "batch_size": 8,
        "channel_width": 12,
        "optimizer": "adamw",
    }


def test_baseline_and_maxima_of_fine_steps_lie_on_the_grid(load):
    space = load(
        "space:\n  architecture: mine:net\n  custom:\n"
        "    n: {type: integer, low: 1, high: 99999, step: 9}\n"
        "    x: {type: uniform, low: 0.1, high: 1.1, step: 3e-5}\n"
    ).space
    middle, top = space.nearest_params({}), space.largest_params({})
    assert (middle["custom.n"], top["custom.n"]) == (49996, 99991)
    assert (middle["custom.x"], top["custom.x"]) == pytest.approx((0.60001, 1.09999), abs=1e-9)


def test_space_size_respects_conditions(load):
    assert load(SPACE).space.size() is None
    conditional = load(
        "space:\n  optimizer: {type: choice, values: [adamw, sgd]}\n"
        "  momentum: {type: choice, values: [0.8, 0.9], when: {optimizer: sgd}}\n"
        "  dropout: {type: uniform, low: 0.0, high: 0.5, step: 0.25}\n"
    )
    assert conditional.space.size() == (1 + 2) * 3


def test_a_large_conditional_grid_is_tried_as_a_whole(load):
    grid = load(
        "space:\n  optimizer: {type: choice, values: [adamw, sgd]}\n"
        "  momentum: {type: choice, values: [0.8, 0.9], when: {optimizer: sgd}}\n"
        "  batch_size: {type: integer, low: 2, high: 501}\n"
        "  channel_width: {type: integer, low: 1, high: 100}\n"
        "searcher: {name: grid}\n"
    )
    assert grid.budget.trials == (1 + 2) * 500 * 100


def test_the_grid_lists_no_combinations_of_inactive_parameters(load):
    conditional = "{type: uniform, low: 0, high: 0.5, step: 1e-4, when: {optimizer: sgd}}\n"
    space = load(
        "space:\n  optimizer: {type: choice, values: [adamw, sgd]}\n"
        f"  momentum: {conditional}  dropout: {conditional}"
        "  batch_size: {type: choice, values: [8, 16]}\n"
    ).space
    points = list(itertools.islice(space.grid_params(), 3))
    assert [len(params) for params in points] == [2, 2, 4]


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


@pytest.mark.parametrize("text", ["1e3", "0E0", "-.5e1", "no", "null", "2020-01-01", "5_0", "0002"])
def test_text_that_looks_like_another_type_stays_text(tmp_path, text):
    path = tmp_path / "tree.yaml"
    path.write_text(dump_yaml({"classes": [text]}), encoding="utf-8")
    assert load_yaml_document(path).values == {"classes": [text]}
    assert yaml.safe_load(path.read_bytes()) == {"classes": [text]}


@pytest.mark.parametrize("inline", [False, True])
def test_text_of_several_lines_survives_a_round_trip(tmp_path, inline):
    path = tmp_path / "tree.yaml"
    text = "a\x85b\u2028c\u2029d\ne\tf " * 20
    path.write_text(dump_yaml({"classes": [text, "\x85"]}, inline=inline), encoding="utf-8")
    assert load_yaml_document(path).values == {"classes": [text, "\x85"]}


@given(
    spaces,
    st.integers(1, 99),
    st.one_of(st.none(), st.floats(0.1, 1e6), st.integers(1, 10**6)),
    st.integers(0, 2**32 - 1),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
)
@settings(max_examples=60)
def test_search_config_survives_a_round_trip(tmp_path_factory, space, trials, seconds, seed, text):
    path = tmp_path_factory.mktemp("round") / "s.yaml"
    budget = {"trials": trials} | ({"time_budget": seconds} if seconds else {})
    fields = {"description": text, "space": space, "budget": budget, "seed": seed}
    path.write_text(json.dumps(fields), encoding="utf-8")  # YAML in which all texts are quoted
    config = load_search_config(path)
    path.write_text(dump_search_config(config), encoding="utf-8")
    assert load_search_config(path) == config


def test_an_empty_condition_is_none(load):
    assert (
        load("space: {dropout: {type: fixed, value: 0.1, when: {}}}").space["dropout"].when is None
    )


fragments = st.sampled_from(
    ["space:", "\n  ", "dropout: ", "{type: uniform, low: 0", ", high: 1", "}", "[", "]", "&a ",
     "*a", "!!python/name:os ", "? ", "- ", "1e999", "'", "|\n", "budget: ", "\t", "\0", "é"]
)  # fmt: skip


@given(st.one_of(st.lists(fragments).map("".join), st.text(), st.binary()))
@settings(max_examples=300)
def test_any_file_loads_or_raises_a_config_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "s.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    try:
        assert isinstance(load_search_config(path), SearchConfig)
    except ConfigError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is correct


@given(st.lists(st.one_of(st.text(), fragments).map(lambda v: f"budget.trials={v}"), max_size=3))
@settings(max_examples=150)
def test_any_override_is_accepted_or_rejected_by_name(overrides):
    try:
        load_search_config(Path(list_presets()["quick"]), overrides)
    except ConfigError as error:
        assert "--set" in str(error)  # noqa: PT017 - either outcome is correct


FULL_CONFIG = {
    "description": "all sections",
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
    "resources": {"cpus_per_trial": 1, "gpus_per_trial": "auto", "mps": "on"},
    "fault_tolerance": {"max_retries": 3, "report_timeout": "auto"},
    "seed": 1,
}


def key_paths(tree, path=()):
    yield path
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from key_paths(value, (*path, key))


def replace_at(tree, path, value):
    if not path:
        return value
    return {**tree, path[0]: replace_at(tree[path[0]], path[1:], value)}


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(10**400), 10**400),
    st.floats(), st.text(max_size=8), st.sampled_from(["auto", "1h", "1e999", "sgd", "asha"]),
    st.dates(), st.binary(max_size=4),
)  # fmt: skip
trees = st.recursive(
    scalars,
    lambda children: st.one_of(
        st.lists(children, max_size=3), st.dictionaries(st.text(max_size=6), children, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(key_paths(FULL_CONFIG))), trees), min_size=1, max_size=3
    )
)
@settings(max_examples=400)
def test_any_value_at_any_key_is_accepted_or_rejected(tmp_path_factory, changes):
    import yaml

    tree = FULL_CONFIG
    for path, value in changes:
        try:
            tree = replace_at(tree, path, value)
        except (KeyError, TypeError):
            continue  # an earlier change removed this key
    path = tmp_path_factory.mktemp("mutant") / "s.yaml"
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8", errors="replace")
    try:
        config = load_search_config(path)
    except ConfigError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is correct
        return
    path.write_text(dump_search_config(config), encoding="utf-8")
    assert load_search_config(path) == config, "an accepted file survives a round trip"


def test_mps_on_and_off_are_words_not_booleans(load):
    assert load(SPACE).resources.mps == "auto"
    for mps in ("on", "off"):
        config = load(SPACE + f"resources: {{mps: {mps}}}\n")
        assert config.resources.mps == mps
        assert load(dump_search_config(config)) == config
        assert load(SPACE, [f"resources.mps={mps}"]) == config


def test_tracking_is_off_by_default(load):
    assert load(SPACE).tracking.enabled == ()
    config = load(SPACE + "tracking: {tensorboard: true, mlflow: http://localhost:5000}\n")
    assert config.tracking.enabled == ("tensorboard", "mlflow")
    assert load(dump_search_config(config)) == config


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{wandb: 1}", "tracking.wandb: expected true or false, got 1"),
        ("{mlflow: 5000}", "5000 is neither true nor false nor the address of a server"),
        ("{mlflow: http://a:b@host}", "set MLFLOW_TRACKING_USERNAME"),
        ("{mlflow: 'postgresql://a:b/c@host/runs'}", "set MLFLOW_TRACKING_USERNAME"),
        ("{mlflow: 'postgresql://db/runs?user=me&password=b'}", "set MLFLOW_TRACKING_USERNAME"),
        ("{mlflow: 'mssql://db/runs?odbc_connect=UID%3Dme%3BPWD%3Db'}", "PGPASSWORD"),
        ("{mflow: true}", "did you mean mlflow?"),
    ],
)
def test_invalid_tracking_is_rejected(load, section, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(f"{SPACE}tracking: {section}\n")


@pytest.mark.parametrize(
    "address", ["postgresql+psycopg2://host/db", "sqlite:////home/me@corp/mlflow.db"]
)
def test_addresses_with_digits_or_at_signs_are_accepted(load, address):
    assert load(f"{SPACE}tracking: {{mlflow: '{address}'}}\n").tracking.mlflow == address


@pytest.mark.parametrize("pattern", ["folder", "groups.csv", "[ab]+", r"^(\w+)_\d", "007", "a: b"])
def test_group_by_is_taken_as_it_stands(tmp_path, pattern):
    file = tmp_path / "space.yaml"
    file.write_text("space: {dropout: 0.1}\n")
    config = load_search_config(file, options=explicit_settings({"group_by": pattern}))
    assert config.data.group_by == pattern
    file.write_text(dump_search_config(config))
    assert load_search_config(file).data.group_by == pattern


def test_an_option_is_reported_as_it_was_given(load):
    with pytest.raises(ConfigError, match="--storage ftp://x, storage: "):
        load(SPACE, options=explicit_settings({"storage": "ftp://x"}))


@pytest.mark.parametrize("folder", ["/mnt/runs #2", "/mnt/a: b", "/mnt/Übung 😀"])
def test_storage_is_taken_as_it_stands(load, folder):
    assert load(SPACE, options=explicit_settings({"storage": folder})).storage == folder


def test_the_direction_of_an_objective_follows_from_its_metric():
    assert Objective().minimize
    assert not Objective(metric="val_accuracy").minimize
