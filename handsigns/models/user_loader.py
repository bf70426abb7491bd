"""Running a user's own functions: the module from its kept source, errors told with file and line.

Only code that the user allowed gets here, as `OwnCode`.
"""

from __future__ import annotations

import importlib.util
import linecache
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from handsigns.config.user_code import OwnCode, OwnModule, find_file, not_allowed, read_module
from handsigns.errors import ConfigError


def find_own_code(names: list[str], folders: list[Path]) -> OwnCode:
    """Read the user's modules, from the first of the folders that has them or as installed.

    Raises:
        ConfigError: one is nowhere.
    """
    return OwnCode({name: _find(name, folders) for name in names})


def own_function(name: str, own: OwnCode | None) -> Callable[..., Any]:
    """The function that ``module:function`` names.

    Raises:
        ConfigError: it may not be run, fails as it is loaded, or has no such function.
    """
    module_name, _, function_name = name.partition(":")
    if own is None or module_name not in own.modules:
        raise ConfigError(not_allowed([name], [f"the module {module_name}"]))
    module = own.modules[module_name]
    function = getattr(_loaded(module), function_name, None)
    if not callable(function):
        raise ConfigError(f"{module.file} has no function {function_name}, which {name} names")
    return function  # type: ignore[no-any-return]


def where(function: Callable[..., Any]) -> str:
    """File and line of a function, for messages."""
    code = getattr(function, "__code__", None) or getattr(
        getattr(function, "__init__", None), "__code__", None
    )
    return f"{code.co_filename}, line {code.co_firstlineno}" if code else repr(function)


@contextmanager
def told(name: str) -> Iterator[None]:
    """Whatever the user's code raises within this becomes a `ConfigError` with its own traceback.

    Args:
        name: what is being run, for the user.
    """
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)[1:]
        theirs = [frame for frame in frames if frame.filename in _files()]
        at = f"{theirs[-1].filename}, line {theirs[-1].lineno}: " if theirs else ""
        message = f"{at}{name} failed: {type(error).__name__}: {error}"
        raise ConfigError("\n".join([message, *_lines(theirs)])) from error


def _lines(frames: list[traceback.FrameSummary]) -> list[str]:
    return "".join(traceback.format_list(frames)).rstrip("\n").split("\n") if frames else []


def _find(name: str, folders: list[Path]) -> OwnModule:
    path = find_file(name, folders)
    if path is None:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            spec = None
        path = Path(spec.origin) if spec and spec.origin and spec.has_location else None
    if path is None or path.suffix != ".py":
        looked = ", ".join(dict.fromkeys(str(folder.resolve()) for folder in folders))
        raise ConfigError(
            f"no module {name}: there is no {name.replace('.', '/')}.py in {looked}, and none is "
            f"installed"
        )
    return read_module(name, path)


def _loaded(module: OwnModule) -> ModuleType:
    """The module, run once in a process; under a name of its own, so that it hides no other."""
    name = _module_name(module)
    if name in sys.modules:
        return sys.modules[name]
    file = str(module.file)
    lines = module.source.splitlines(keepends=True)
    # Tracebacks show the lines that were run, whatever the file holds by then, if it is here.
    linecache.cache[file] = (len(module.source), None, lines, file)
    loaded = ModuleType(name)
    loaded.__file__ = file
    loaded.__package__ = module.name.rpartition(".")[0]  # for what it imports relative to itself
    sys.modules[name] = loaded
    try:
        # A module that draws random numbers as it is loaded must not change what a trial draws.
        with told(module.name), torch.random.fork_rng(devices=[]):
            exec(compile(module.source, file, "exec"), loaded.__dict__)
    except ConfigError:
        del sys.modules[name]
        raise
    return loaded


def _module_name(module: OwnModule) -> str:
    return f"{_PREFIX}{module.digest[:16]}_{module.name}"


_PREFIX = "handsigns_own_"


def _files() -> set[str]:
    loaded = [m for name, m in list(sys.modules.items()) if name.startswith(_PREFIX)]
    return {str(module.__file__) for module in loaded}
