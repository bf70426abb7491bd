"""Start and stop of the service, without Ray."""

import contextlib
import signal

import pytest

pytest.importorskip("starlette")

from handsigns.config.hyperparameters import TrialConfig
from handsigns.errors import ResultsError
from handsigns.results.paths import SearchPaths
from handsigns.workflow.serve import serve
from tests.support.winners import random_network, save_winner


@pytest.fixture
def served_winner(tmp_path, monkeypatch):
    """Paths of a winner, for which a context manager that does nothing stands in for Ray Serve."""
    monkeypatch.setattr("handsigns.winner.serve.served", lambda *_, **__: contextlib.nullcontext())
    paths = SearchPaths(tmp_path / "mine")
    paths.root.mkdir()
    config = TrialConfig(channel_width=4)
    save_winner(paths.winner, config, random_network(config))
    return paths


def test_ctrl_c_interrupts_the_start_of_ray(served_winner, monkeypatch):
    @contextlib.contextmanager
    def hang(*_):
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the start goes on")
        yield

    monkeypatch.setattr("handsigns.cluster.session.ray_session", hang)
    with pytest.raises(KeyboardInterrupt):
        serve(served_winner, 0)


def test_sigterm_stops_the_service_although_ray_handles_it(served_winner, monkeypatch, capfd):
    @contextlib.contextmanager
    def start(*_):
        previous = signal.signal(signal.SIGTERM, lambda *_: pytest.fail("Ray's handler"))
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        yield
        signal.signal(signal.SIGTERM, previous)

    monkeypatch.setattr("handsigns.cluster.session.ray_session", start)
    previous = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM))
    serve(served_winner, 0)
    signal.signal(signal.SIGALRM, previous)
    assert capfd.readouterr().out.endswith("stopped\n")


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
