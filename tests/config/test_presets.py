"""Resolution of search-space names and adaptation of presets."""

import pytest

from handsigns.config.load import load_search_config
from handsigns.config.presets import list_presets, resolve_search_space
from handsigns.errors import ConfigError


@pytest.mark.parametrize("create", ["mkdir", "touch"])
def test_preset_takes_precedence_over_a_file_of_its_name(tmp_path, monkeypatch, create):
    monkeypatch.chdir(tmp_path)
    getattr(tmp_path / "full", create)()
    assert resolve_search_space("full") == list_presets()["full"]


def test_path_names_a_file_rather_than_a_preset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").touch()
    (tmp_path / "mine.yaml").touch()
    assert resolve_search_space("./full").samefile(tmp_path / "full")
    assert resolve_search_space("mine.yaml").name == "mine.yaml"
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="folder is a folder; name a YAML file in it"):
        resolve_search_space("folder")


@pytest.mark.parametrize("epochs", [1, 2, 5])
@pytest.mark.parametrize("name", sorted(list_presets()))
def test_every_preset_adapts_to_any_number_of_epochs(name, epochs):
    notes = []
    path = list_presets()[name]
    config = load_search_config(path, options={"budget.max_epochs": epochs}, notify=notes.append)
    assert config.budget.max_epochs == epochs
    grace = load_search_config(path).scheduler.grace_period
    if grace is not None and grace > epochs:
        assert f"adapted to --max-epochs {epochs}: the file's grace period of {grace}" in notes[0]
    else:
        assert notes == []


def test_explicit_grace_period_is_not_adapted():
    options = {"budget.max_epochs": 3}
    with pytest.raises(ConfigError, match="5 is above budget"):
        load_search_config(list_presets()["quick"], ["scheduler.grace_period=5"], options)
