"""Errors on the start of a local Ray, without starting it."""

import os

import pytest

from handsigns.cluster.session import _start_local_ray
from handsigns.errors import ResourceError


def test_too_long_a_folder_is_refused_before_ray_starts(monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_TMPDIR", "/" + "long" * 30)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(ray, "shutdown", lambda: pytest.fail("an attempt was made"))
    with pytest.raises(ResourceError, match="too long a path"):
        _start_local_ray(2**20, dashboard=False)
