import pytest
import yaml

from handsigns.config.validate import validate_search_config
from handsigns.reporting.range_edges import as_yaml, find_edges
from tests.support.records import make_search_config

SPACE = {
    "learning_rate": {"type": "log_uniform", "low": 1e-4, "high": 1e-2},
    "dropout": {"type": "uniform", "low": 0.0, "high": 0.4},
    "channel_width": {"type": "integer", "low": 8, "high": 24, "step": 4},
    "batch_size": {"type": "choice", "values": [16, 32]},
    "weight_decay": 0.01,
}
INNER = {"learning_rate": 1e-3, "dropout": 0.2, "channel_width": 16, "batch_size": 32}


def edges_of(**params):
    config, _ = validate_search_config({"space": SPACE})
    return find_edges(config.space, INNER | params)


def test_a_winner_inside_all_ranges_has_no_edges():
    assert edges_of() == []


@pytest.mark.parametrize(
    ("params", "side", "next_range"),
    [
        ({"learning_rate": 9.5e-3}, "upper", {"low": 1e-4, "high": 0.1}),
        ({"learning_rate": 1.1e-4}, "lower", {"low": 1e-5, "high": 1e-2}),
        ({"dropout": 0.39}, "upper", {"low": 0.0, "high": 0.6}),
        ({"channel_width": 24}, "upper", {"low": 8, "high": 32, "step": 4}),
    ],
)
def test_next_range_is_extended_by_half(params, side, next_range):
    (edge,) = edges_of(**params)
    assert edge.side == side
    assert {k: v for k, v in edge.next_range.items() if k != "type"} == next_range


def test_ranges_do_not_exceed_the_hyperparameters_limits():
    assert edges_of(dropout=0.0) == []


@pytest.mark.parametrize(
    ("name", "low", "high", "step", "value", "next_range"),
    [
        ("channel_width", 8, 64, 8, 8, None),
        ("channel_width", 10, 66, 8, 10, (2, 66)),
        ("channel_width", 480, 508, 4, 508, (480, 512)),
        ("dropout", 0.1, 0.7, 0.2, 0.1, None),
        ("dropout", 0.3, 0.7, 0.1, 0.3, (0.1, 0.7)),
        ("dropout", 0.3, 0.8, 0.1, 0.8, (0.3, 0.9)),
        ("dropout", 0.15, 0.45, 0.05, 0.15, (0.0, 0.45)),
        ("dropout", 0.5, 0.9, 0.1, 0.9, None),
        ("scale", 1e-5, 4e-5, 1e-5, 1e-5, (0.0, 4e-5)),
    ],
)
def test_next_range_stays_on_the_steps(name, low, high, step, value, next_range):
    kind = "integer" if isinstance(low, int) else "uniform"
    space = {name: {"type": kind, "low": low, "high": high, "step": step}}
    config, _ = validate_search_config({"space": space})
    found = [edge.next_range for edge in find_edges(config.space, {name: value})]
    assert [(r["low"], r["high"]) for r in found] == ([next_range] if next_range else [])


@pytest.mark.parametrize("kind", ["integer", "uniform"])
def test_next_range_has_the_type_and_step_of_the_range(kind):
    depth = {"type": kind, "low": 5, "high": 30, "step": 1}
    space = make_search_config({"custom": {"depth": depth}}).space
    (edge,) = find_edges(space, {"custom.depth": 30})
    assert make_search_config({"custom": {"depth": edge.next_range}}).space == (
        make_search_config({"custom": {"depth": depth | {"high": 43}}}).space
    )


@pytest.mark.parametrize(
    ("name", "low", "high", "value", "next_range"),
    [
        ("momentum", 0.8, 0.95, 0.95, (0.8, 0.975)),
        ("momentum", 0.99, 0.999, 0.99, (0.9855, 0.999)),
        ("learning_rate", 1e-3, 1e-2, 1e-3, (5e-4, 1e-2)),
        ("dropout", 0.1, 0.3, 0.1, (0.0, 0.3)),
    ],
)
def test_next_range_is_valid_and_wider(name, low, high, value, next_range):
    space = make_search_config({name: {"type": "uniform", "low": low, "high": high}}).space
    (edge,) = find_edges(space, {name: value})
    assert (edge.next_range["low"], edge.next_range["high"]) == next_range


@pytest.mark.parametrize(("low", "next_low"), [(1, None), (2, 1)])
def test_logarithmic_integers_are_extended_down_to_one(low, next_low):
    depth = {"type": "integer", "low": low, "high": 100, "log": True}
    config, _ = validate_search_config({"space": {"custom": {"depth": depth}}})
    edges = find_edges(config.space, {"custom.depth": low})
    assert [edge.next_range["low"] for edge in edges] == ([next_low] if next_low else [])


def test_yaml_fragment_is_a_valid_space():
    edges = edges_of(learning_rate=9.9e-3, dropout=0.4, channel_width=8)
    fragment = yaml.safe_load(as_yaml(edges))
    config, problems = validate_search_config(fragment)
    assert not problems
    assert config.space["channel_width"].low < 8
    assert config.space["learning_rate"].high == pytest.approx(0.1)


def test_yaml_fragment_nests_custom_ranges_and_keeps_conditions():
    space = {
        "loss": {"type": "choice", "values": ["cross_entropy", "mine:loss"]},
        "dropout": {"type": "uniform", "low": 0.0, "high": 0.4, "when": {"loss": "mine:loss"}},
        "custom": {
            "depth": {"type": "integer", "low": 1, "high": 9, "when": {"loss": "mine:loss"}}
        },
    }
    config, _ = validate_search_config({"space": space})
    params = {"loss": "mine:loss", "dropout": 0.4, "custom.depth": 9}
    fragment = yaml.safe_load(as_yaml(find_edges(config.space, params)))
    extended = {"space": space | fragment["space"]}
    config, problems = validate_search_config(extended)
    assert not problems
    assert config.space["custom.depth"].high == 13
    for name in ("dropout", "custom.depth"):
        assert config.space[name].when == {"loss": ("mine:loss",)}
