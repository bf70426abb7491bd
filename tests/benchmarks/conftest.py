import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def program(monkeypatch):
    """Imports a program of the folder, as one of its scripts would."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module
