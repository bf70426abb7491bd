"""Subpackages that share their name with a function of the Python API."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any


class CallablePackage(ModuleType):
    """A package such as `handsigns.report` that, when it is called, is the API's function.

    Importing a package binds it in the one around it, in the place of a function of its name.
    """

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call the function of this package's name in `handsigns.api`."""
        _, _, name = self.__name__.rpartition(".")
        return getattr(importlib.import_module("handsigns.api"), name)(*arguments, **options)
