"""Networks of configurations, and tables of their latency."""

import pytest

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.sections import Limits
from handsigns.errors import ConfigError
from handsigns.results.networks import (
    Network,
    NetworkProfile,
    exceeded_limits,
    read_latency_table,
    write_latency_table,
)
from handsigns.results.trial import TrialSpec
from tests.support.records import make_spec


def network(**params):
    return Network.of(TrialConfig.from_params(params), 64, 6)


def test_only_what_changes_the_graph_distinguishes_networks():
    assert network() == network(learning_rate=0.1, dropout=0.4, rotation=3.0)
    assert network(flip=0.0) == network(flip_tta=False)
    assert network(architecture="torchvision/resnet18") == network(
        architecture="torchvision/resnet18", channel_width=8
    )
    user_defined = {"architecture": "nets:tiny", "custom.depth": 3}
    others = [network(), network(channel_width=8), network(flip_tta=False),
              network(**user_defined), network(**user_defined | {"custom.depth": 4})]  # fmt: skip
    assert len(set(others)) == 5


def test_limits_are_inclusive_and_named():
    limits = Limits(parameters="1k", model_bytes="4 kB", latency_ms=5)
    assert exceeded_limits(limits, NetworkProfile(1000, 4000, 5.0)) == []
    assert exceeded_limits(limits, NetworkProfile(1001, 4000, 5.1)) == ["parameters", "latency_ms"]
    assert exceeded_limits(limits, NetworkProfile(1, 1)) == ["latency_ms"]


def test_a_latency_table_survives_a_round_trip(tmp_path):
    user_defined = network(architecture="nets:tiny", **{"custom.name": 'a,"b"'})
    table = {network(): 1.23456789, user_defined: 5.0}
    write_latency_table(tmp_path / "table.csv", table)
    assert read_latency_table(tmp_path / "table.csv") == table


def test_a_spreadsheet_may_have_saved_a_latency_table(tmp_path):
    path = tmp_path / "table.csv"
    table = {network(): 1.5, network(flip_tta=False): 1.0}
    write_latency_table(path, table)
    text = path.read_text().replace("True", "TRUE").replace("False", "FALSE")
    path.write_text(text, encoding="utf-8-sig", newline="\r\n")
    assert read_latency_table(path) == table


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1.5", "fast", "line 2: not a row of a latency table"),
        ("1.5", "-1.5", "latency_ms is -1.5"),
        ("latency_ms", "seconds", "column 'latency_ms' is missing"),
        ("True", "perhaps", "line 2.*flip_tta is perhaps"),
        ("compact", "c" * 200_000, "cannot be read: field larger than field limit"),
    ],
)
def test_a_damaged_latency_table_is_rejected_with_its_line(tmp_path, old, new, message):
    path = tmp_path / "table.csv"
    write_latency_table(path, {network(): 1.5})
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=message):
        read_latency_table(path)


def test_a_missing_latency_table_is_reported(tmp_path):
    with pytest.raises(ConfigError, match=r"limits\.latency_table: .*none\.csv cannot be read"):
        read_latency_table(tmp_path / "none.csv")


def test_a_specification_keeps_the_profile_of_its_network():
    spec = make_spec("0000")
    assert TrialSpec.from_dict(spec.to_dict()).network is None
    fields = spec.to_dict() | {"network": {"parameters": 9, "model_bytes": 36, "latency_ms": 1.5}}
    assert TrialSpec.from_dict(fields).network == NetworkProfile(9, 36, 1.5)
    del fields["network"]  # as in journals of earlier versions
    assert TrialSpec.from_dict(fields).network is None
