"""Limits on the network: what a search prints and refuses, and measuring on a device."""

import csv
import subprocess
import sys

import pytest

from handsigns.cli import main
from handsigns.config.hyperparameters import TrialConfig
from handsigns.data.splits import DataInfo
from handsigns.errors import ConfigError
from handsigns.results.networks import Network, read_latency_table, write_latency_table
from handsigns.winner import onnx_graph
from handsigns.workflow import latency
from handsigns.workflow.limits import limit_space

INFO = DataInfo("x", "f", ("a", "b", "c"), 16, {"train": (1, 1, 1)})
SPACE = {
    "learning_rate": {"type": "log_uniform", "low": 1e-3, "high": 3e-2},
    "channel_width": {"type": "integer", "low": 4, "high": 16, "step": 4},
}


@pytest.fixture
def small_space(workspace, tmp_path, monkeypatch):
    """Path of a search space of four networks for the images of the workspace."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HANDSIGNS_CACHE", workspace.environment["HANDSIGNS_CACHE"])
    (tmp_path / "bands").symlink_to(workspace.root / "bands")
    path = tmp_path / "small.yaml"
    path.write_text(f"space: {SPACE}\nbudget: {{trials: 4}}\n")
    return path


def network(width, image_size=16):
    return Network.of(TrialConfig(channel_width=width), image_size, 3)


def search(*options):
    return main(["search", "small.yaml", "--data", "bands", "--size", "16", "--dry-run", *options])


@pytest.mark.usefixtures("small_space")
def test_a_dry_run_prints_the_share_and_what_excludes_most(capsys):
    assert search("--set", "limits.parameters=40k", "--set", "limits.model_bytes=1 MB") == 0
    printed, notes = capsys.readouterr()
    assert "% of 1024 sampled configurations are within them; parameters excludes most" in printed
    assert "the first trial has channel_width 8 instead of 16" in notes
    assert "limits:\n  parameters: 40000\n  model_bytes: 1000000\n" in printed


@pytest.mark.usefixtures("small_space")
def test_a_search_with_nothing_left_does_not_start(capsys):
    assert search("--set", "limits.parameters=5k") == 2
    error = capsys.readouterr().err
    assert "none of 1024 sampled configurations is within them (exceeded: parameters 1024)" in error
    assert "The smallest network has 6,375 parameters, 42.0 kB" in error


def test_networks_that_a_table_lacks_are_not_started(make_search_config, tmp_path, capsys):
    table = tmp_path / "device.csv"
    config = make_search_config(SPACE, limits={"latency_ms": 2, "latency_table": str(table)})
    networks = {network(width): width / 5 for width in (4, 8)}
    write_latency_table(table, networks)
    space, latencies = limit_space(config, INFO, None)
    assert latencies == networks
    lacks = "device.csv lacks 2 networks of 4, such as compact with channel_width 12"
    assert lacks in capsys.readouterr().err
    assert {params["channel_width"] for params in space.excluded} == {12, 16}
    write_latency_table(table, {network(4, image_size=64): 1.0})
    with pytest.raises(
        ConfigError, match=r"lacks 4 networks of 4.*: python -m handsigns latency SPACE"
    ):
        limit_space(config, INFO, None)


def test_a_resumed_search_uses_the_latencies_of_its_start(make_search_config, tmp_path):
    config = make_search_config(SPACE, limits={"latency_ms": 2, "latency_table": "gone.csv"})
    saved = tmp_path / "latencies.csv"
    write_latency_table(saved, {network(8): 1.0})
    space, _ = limit_space(config, INFO, None, saved)
    assert {params["channel_width"] for params in space.excluded} == {4, 12, 16}


WIDE_SPACE = {"channel_width": {"type": "integer", "low": 4, "high": 200}}


def test_a_table_may_have_many_networks(make_search_config, tmp_path):
    table = tmp_path / "device.csv"
    limits = {"latency_ms": 2, "latency_table": str(table)}
    write_latency_table(table, {network(width): width / 5 for width in range(4, 201)})
    space, _ = limit_space(make_search_config(WIDE_SPACE, limits=limits), INFO, None)
    assert {params["channel_width"] for params in space.included} == set(range(4, 11))


def test_too_many_networks_to_measure_are_refused(make_search_config):
    pytest.importorskip("onnxruntime")
    config = make_search_config(WIDE_SPACE, limits={"latency_ms": 2})
    with pytest.raises(ConfigError, match=r"has 197 networks, more than 64.*give .* a step"):
        limit_space(config, INFO, None)


@pytest.mark.usefixtures("small_space")
def test_only_limits_that_are_set_are_to_be_removed(monkeypatch, capsys):
    monkeypatch.setattr(onnx_graph, "_PACKAGES", ("no_such_package",))
    assert search("--set", "limits.latency_ms=2") == 2
    assert "or remove limits.latency_ms" in capsys.readouterr().err
    assert main(["latency", "small.yaml", "--data", "bands", "--size", "16"]) == 2
    error = capsys.readouterr().err
    assert error.strip().endswith("ONNX needs no_such_package: pip install 'handsigns[onnx]'")


@pytest.mark.usefixtures("small_space")
def test_without_a_network_within_the_limits_nothing_is_exported(tmp_path, capsys):
    command = ["latency", "small.yaml", "--data", "bands", "--size", "16"]
    assert main([*command, "--set", "limits.parameters=5k", "--export", "networks"]) == 2
    assert "no network of the space is within its limits" in capsys.readouterr().err
    assert not (tmp_path / "networks").exists()


@pytest.mark.usefixtures("small_space")
def test_a_missing_folder_is_noticed_before_anything_is_measured(monkeypatch, capsys):
    monkeypatch.setattr(latency, "measure_networks", None)
    command = ["latency", "small.yaml", "--data", "bands", "--size", "16", "--out", "no/device.csv"]
    assert main(command) == 2
    assert "no folder no for device.csv; create it first" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("small_space")
def test_an_interrupted_export_leaves_nothing(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("handsigns.workflow.networks.shutil.copyfile", interrupt)
    before = set(tmp_path.iterdir())
    command = ["latency", "small.yaml", "--data", "bands", "--size", "16"]
    command += ["--set", "limits.parameters=10k", "--export", "networks"]
    assert main(command) == 130
    assert set(tmp_path.iterdir()) == before


@pytest.mark.slow
@pytest.mark.usefixtures("small_space")
def test_the_printed_option_can_be_pasted(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    (tmp_path / "my tables").mkdir()
    command = ["latency", "small.yaml", "--data", "bands", "--size", "16"]
    command += ["--set", "limits.parameters=10k", "--out", "my tables/device.csv"]
    assert main(command) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.endswith("--set 'limits.latency_table=my tables/device.csv'")


@pytest.mark.slow
@pytest.mark.usefixtures("small_space")
def test_exported_networks_are_measured_without_handsigns(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    command = ["latency", "small.yaml", "--data", "bands", "--size", "16"]
    command += ["--set", "limits.parameters=10k"]
    assert main([*command, "--export", "networks"]) == 0
    assert "python networks/measure.py --out device.csv" in capsys.readouterr().out
    subprocess.run(
        [sys.executable, "-I", "networks/measure.py", "--out", "device.csv"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    assert list(read_latency_table(tmp_path / "device.csv")) == [network(4)]
    with (tmp_path / "device.csv").open() as file:
        assert [row["file"] for row in csv.DictReader(file)] == ["network000.onnx"]
    assert main([*command, "--export", "networks"]) == 2
    assert "networks exists and is not an empty folder" in capsys.readouterr().err
    assert main([*command, "--out", "device.csv"]) == 2
    assert "device.csv exists already" in capsys.readouterr().err
