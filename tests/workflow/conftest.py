from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from handsigns.results import store


@pytest.fixture
def count_openings(monkeypatch) -> Callable[[], int]:
    """Return a function that counts calls of `open_search` since its last call."""
    real, opened = store.open_search, []

    def counting(paths):
        opened.append(paths)
        return real(paths)

    for name, module in list(sys.modules.items()):
        if name.startswith("handsigns") and getattr(module, "open_search", None) is real:
            monkeypatch.setattr(module, "open_search", counting)

    def count() -> int:
        number = len(opened)
        opened.clear()
        return number

    return count
