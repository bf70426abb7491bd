"""Loading of user code from its recorded source, with errors that name file and line.

Only code that the user trusts gets here, as `UserCode`.
"""

from __future__ import annotations

import importlib.util
import linecache
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from handsigns.config.user_code import (
    UserCode,
    UserModule,
    find_module_file,
    not_trusted_message,
    read_module,
)
from handsigns.console.sanitize import printable
from handsigns.data.naming import is_utf8
from handsigns.errors import ConfigError

_RELATIVE_IMPORT = re.compile(r"^from\s+\.", re.MULTILINE)


def find_user_code(names: list[str], folders: list[Path]) -> UserCode:
    """Read the user's modules, from the first folder that has them or from installed packages.

    Raises:
        ConfigError: a module is not found, or its path is not UTF-8.
    """
    return UserCode({name: _find_module(name, folders) for name in names})


def load_user_function(name: str, user_code: UserCode | None) -> Callable[..., Any]:
    """Load the function that ``module:function`` names.

    Raises:
        ConfigError: the module is not trusted, fails to load, or has no such function.
    """
    module_name, _, function_name = name.partition(":")
    if user_code is None or module_name not in user_code.modules:
        raise ConfigError(not_trusted_message([name], [f"the module {module_name}"]))
    module = user_code.modules[module_name]
    function = getattr(_load_module(module), function_name, None)
    if not callable(function):
        raise ConfigError(f"{module.file} has no function {function_name} (required by {name})")
    return function  # type: ignore[no-any-return]


def source_location(function: Callable[..., Any]) -> str:
    """Return the file and line of a function, for messages."""
    code = getattr(function, "__code__", None) or getattr(
        getattr(function, "__init__", None), "__code__", None
    )
    return f"{code.co_filename}, line {code.co_firstlineno}" if code else repr(function)


@contextmanager
def error_context(name: str) -> Iterator[None]:
    """Turn exceptions of user code into `ConfigError`, with the traceback of that code only.

    Args:
        name: description of what is run, for the message.
    """
    try:
        yield
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:  # as of an ArgumentParser in the module
        frames = traceback.extract_tb(error.__traceback__)[1:]
        user_frames = [frame for frame in frames if frame.filename in _user_files()]
        last = user_frames[-1] if user_frames else None
        location = f"{last.filename}, line {last.lineno}: " if last else ""
        message = f"{location}{name} failed: {type(error).__name__}: {error}"
        raise ConfigError("\n".join([message, *_format_frames(user_frames)])) from error


def _format_frames(frames: list[traceback.FrameSummary]) -> list[str]:
    return "".join(traceback.format_list(frames)).rstrip("\n").split("\n") if frames else []


def _find_module(name: str, folders: list[Path]) -> UserModule:
    path = find_module_file(name, folders) or _installed_file(name)
    if path is None or path.suffix != ".py":
        searched = ", ".join(dict.fromkeys(str(folder.resolve()) for folder in folders))
        raise ConfigError(
            f"module {name} not found: no {name.replace('.', '/')}.py in {searched}, and it is "
            f"not installed"
        )
    location = str(path.resolve())
    if not is_utf8(location):  # it is recorded in JSON
        raise ConfigError(f"{printable(location)}: the path is not UTF-8; rename it")
    module = read_module(name, path)
    # It would run with the parent of the package as its own package.
    if path.stem != name.rpartition(".")[2] and _RELATIVE_IMPORT.search(module.source):
        raise ConfigError(
            f"{path} has relative imports, which work only in modules of {name}; name the module "
            f"that defines the function, such as {name}.nets:build"
        )
    return module


def _installed_file(name: str) -> Path | None:
    """Return the file of an installed module, for which the packages it lies in are imported."""
    with error_context(f"import of {name.rpartition('.')[0]}"):
        try:
            spec = importlib.util.find_spec(name)
        except ModuleNotFoundError as error:
            if not f"{name}.".startswith(f"{error.name}."):
                raise
            return None
        except ValueError:
            if name not in sys.modules:
                raise
            return None  # a module from no file, such as __main__
    return Path(spec.origin) if spec and spec.origin and spec.has_location else None


def _load_module(module: UserModule) -> ModuleType:
    """Execute a module once per process, under a unique name so that it shadows no other."""
    name = _module_name(module)
    if name in sys.modules:
        return sys.modules[name]
    file = str(module.file)
    lines = module.source.splitlines(keepends=True)
    # Tracebacks show the lines that were run, even if the file has changed or is missing here.
    linecache.cache[file] = (len(module.source), None, lines, file)
    loaded = ModuleType(name)
    loaded.__file__ = file
    loaded.__package__ = module.name.rpartition(".")[0]  # for relative imports
    sys.modules[name] = loaded
    try:
        # Random numbers drawn during import must not change a trial's random state.
        with error_context(module.name), torch.random.fork_rng(devices=[]):
            exec(compile(module.source, file, "exec"), loaded.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return loaded


def _module_name(module: UserModule) -> str:
    return f"{_MODULE_PREFIX}{module.digest[:16]}_{module.name}"


_MODULE_PREFIX = "handsigns_user_"


def _user_files() -> set[str]:
    loaded = [m for name, m in list(sys.modules.items()) if name.startswith(_MODULE_PREFIX)]
    return {str(module.__file__) for module in loaded}
