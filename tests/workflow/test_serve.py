"""Winners that cannot be served, reported before Ray starts."""

import pytest

pytest.importorskip("starlette")

from handsigns.config.hyperparameters import TrialConfig
from handsigns.errors import ResultsError
from handsigns.results.paths import SearchPaths
from handsigns.workflow.serve import serve
from tests.support.winners import random_network, save_winner


def test_a_winner_that_cannot_be_loaded_is_reported(tmp_path, monkeypatch):
    def start(*_):
        raise AssertionError("Ray was started")

    monkeypatch.setattr("handsigns.cluster.session.ray_session", start)
    paths = SearchPaths(tmp_path / "mine")
    paths.root.mkdir()
    config = TrialConfig(channel_width=4)
    save_winner(paths.winner, config, random_network(config))
    (paths.winner / "model.safetensors").write_bytes(b"{")
    with pytest.raises(ResultsError, match=r"model\.safetensors is damaged"):
        serve(paths, 0)
