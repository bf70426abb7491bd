"""handsigns: distributed hyperparameter search for image classifiers.

What it offers to Python is in `handsigns.api` and can be used from here: `handsigns.search(…)`,
`load_results`, `load_winner`, `predict`, `reevaluate`, `retrain` and `test`. It is loaded at first
use.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

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

__version__ = "0.1.0"

__all__ = [
    "load_results",
    "load_winner",
    "predict",
    "reevaluate",
    "retrain",
    "search",
    "test",
]


class CallablePackage(ModuleType):
    """`handsigns.search`: the package of that name and, when it is called, `api.search`.

    Python makes a package an attribute of the one around it as soon as it is imported, so that a
    function of the same name would be there only until then.
    """

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return importlib.import_module("handsigns.api").search(*arguments, **options)


def __getattr__(name: str) -> Any:
    if name == "search":
        return importlib.import_module("handsigns.search")
    if name in __all__:
        return getattr(importlib.import_module("handsigns.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
