"""Tests of the patches of Ray's private API: they are undone, and optional but for security."""

import os

import pytest

from handsigns.cluster import ray_compat
from handsigns.cluster.isolation import environment
from handsigns.errors import ResourceError


@pytest.fixture
def controller():
    return pytest.importorskip("ray.tune.execution.tune_controller")


def test_patches_are_undone_on_exit(controller):
    original = controller._ObjectCache
    with ray_compat.warm_actor_pool(lambda: 2):
        pool = controller._ObjectCache(may_keep_one=False)
        assert [pool.cache_object("cpu", actor) for actor in "abc"] == [True, True, False]
    assert controller._ObjectCache is original
    assert not original(may_keep_one=False).cache_object("cpu", "a"), "Tune itself keeps none"


def test_a_missing_attribute_is_logged_and_skipped(controller, monkeypatch, caplog):
    monkeypatch.delattr(controller, "_ObjectCache")
    with ray_compat.warm_actor_pool(lambda: 2):
        assert not hasattr(controller, "_ObjectCache")
    assert (
        "this version of Ray has no ray.tune.execution.tune_controller._ObjectCache" in caplog.text
    )


def test_a_ray_that_would_listen_on_the_network_is_refused(monkeypatch):
    constants = pytest.importorskip("ray._private.ray_constants")
    monkeypatch.delattr(constants, "ENABLE_RAY_CLUSTER")
    with (
        pytest.raises(ResourceError, match=r"would accept connections .* pip install 'ray"),
        ray_compat.bind_to_loopback(),
    ):
        pass


def test_the_environment_is_restored(monkeypatch):
    monkeypatch.setenv("HANDSIGNS_A", "before")
    monkeypatch.setenv("HANDSIGNS_B", "kept")
    monkeypatch.delenv("HANDSIGNS_C", raising=False)
    with environment({"HANDSIGNS_A": "within", "HANDSIGNS_B": None, "HANDSIGNS_C": "new"}):
        assert os.environ["HANDSIGNS_A"] == "within"
        assert "HANDSIGNS_B" not in os.environ
        os.environ["HANDSIGNS_D"] = "set by a library"
    values = {name: os.environ.get(f"HANDSIGNS_{name}") for name in "ABCD"}
    assert values == {"A": "before", "B": "kept", "C": None, "D": None}
