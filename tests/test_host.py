"""How many CPUs a process is told it has."""

import os

import pytest

from handsigns.host import available_cpus


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("150000 100000\n", 2), ("50000 100000\n", 1), ("max 100000\n", 4), ("?", 4), (None, 4)],
)
def test_no_more_than_the_container_may_use(quota, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2, 4, 6})
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    assert available_cpus(tmp_path / "cpu.max") == expected
