import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def program(monkeypatch):
    """Return a function that imports a benchmark program, as another one of its folder would."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module
