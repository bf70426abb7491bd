"""handsigns: distributed hyperparameter search for image classifiers.

The public functions of `handsigns.api` are exported here (`handsigns.search(…)`, `resume`,
`retrain`, `predict`, …; see `__all__`) and loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from handsigns._version import __version__

if TYPE_CHECKING:
    from handsigns.api import (
        check,
        compare,
        export,
        load_results,
        load_winner,
        plan,
        predict,
        reevaluate,
        replay,
        report,
        resume,
        retrain,
        search,
        suspects,
        test,
    )

__all__ = [
    "__version__",
    "check",
    "compare",
    "export",
    "load_results",
    "load_winner",
    "plan",
    "predict",
    "reevaluate",
    "replay",
    "report",
    "resume",
    "retrain",
    "search",
    "suspects",
    "test",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("handsigns.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
