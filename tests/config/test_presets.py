"""What a user means by the name of a search space."""

import pytest

from handsigns.config.load import load_study
from handsigns.config.presets import resolve_space_path, shipped_spaces
from handsigns.errors import ConfigError


@pytest.mark.parametrize("make", ["mkdir", "touch"])
def test_a_preset_is_found_whatever_has_its_name(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)
    getattr(tmp_path / "full", make)()
    assert resolve_space_path("full") == shipped_spaces()["full"]


def test_a_file_is_meant_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").touch()
    (tmp_path / "mine.yaml").touch()
    assert resolve_space_path("./full").samefile(tmp_path / "full")
    assert resolve_space_path("mine.yaml").name == "mine.yaml"
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="folder is a folder; name a YAML file in it"):
        resolve_space_path("folder")


@pytest.mark.parametrize("epochs", [1, 2, 5])
@pytest.mark.parametrize("name", sorted(shipped_spaces()))
def test_every_preset_takes_any_number_of_epochs(name, epochs):
    notes = []
    path = shipped_spaces()[name]
    study = load_study(path, options={"budget.max_epochs": epochs}, notify=notes.append)
    assert study.budget.max_epochs == epochs
    grace = load_study(path).scheduler.grace_period
    if grace is not None and grace > epochs:
        assert f"adapted to --max-epochs {epochs}: the file's grace period of {grace}" in notes[0]
    else:
        assert notes == []


def test_a_grace_period_that_was_asked_for_stays():
    options = {"budget.max_epochs": 3}
    with pytest.raises(ConfigError, match="5 is above budget"):
        load_study(shipped_spaces()["quick"], ["scheduler.grace_period=5"], options)
