"""handsigns: distributed hyperparameter search for image classifiers.

What it offers to Python is in `handsigns.api` and can be used from here: `handsigns.search(…)`,
`load_results`, `retrain`, `test`, `predict` and the others of `__all__`. It is loaded at first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from handsigns._version import __version__

if TYPE_CHECKING:
    from handsigns.api import (
        load_results,
        load_winner,
        predict,
        reevaluate,
        retrain,
        search,
        test,
    )

__all__ = [
    "__version__",
    "load_results",
    "load_winner",
    "predict",
    "reevaluate",
    "retrain",
    "search",
    "test",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("handsigns.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
