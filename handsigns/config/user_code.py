"""A user's own code, named in a search space as ``module:function``: found, kept, known by digest.

Nothing is run here. An `OwnCode` is the user's consent that it may be: commands make one where
``--own-code`` was given, and whatever would run such a function asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handsigns.errors import ConfigError, ResultsError
from handsigns.io.atomic import write_text
from handsigns.io.digest import digest

OWN_FUNCTION = re.compile(r"(?!.{200})[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
"""``module:function`` or ``package.module:function``."""

_DIGEST = re.compile(r"[0-9a-f]{32}")
_LARGEST_BYTES = 2**20


@dataclass(frozen=True)
class OwnModule:
    """A module of the user's.

    Attributes:
        name: as in a search space.
        source: its text; what is run is this, wherever the file is by then.
        file: where it was read.
    """

    name: str
    source: str
    file: Path

    @property
    def digest(self) -> str:
        """Of the source."""
        return digest(self.source)


@dataclass(frozen=True)
class OwnCode:
    """The modules that the user lets us run, by the names they have in the search space."""

    modules: Mapping[str, OwnModule]

    def described(self) -> dict[str, dict[str, str]]:
        """Digest and file of each module, ready for JSON."""
        return {
            name: {"digest": module.digest, "file": str(module.file.resolve())}
            for name, module in self.modules.items()
        }


def own_functions(values: Iterable[object]) -> list[str]:
    """Those of a configuration's values, or of a space's, that name a function of the user's."""
    found = [v for v in values if isinstance(v, str) and OWN_FUNCTION.fullmatch(v)]
    return list(dict.fromkeys(found))


def module_names(functions: Iterable[str]) -> list[str]:
    """The modules of functions such as ``module:function``, each once."""
    return list(dict.fromkeys(function.partition(":")[0] for function in functions))


def not_allowed(functions: Sequence[str], places: Sequence[str]) -> str:
    """What to tell a user who has not allowed these functions to be run."""
    return (
        f"{', '.join(functions)} would run the code of {', '.join(places)}, which can do whatever "
        f"you can. Look at it, and if you trust it, add --own-code"
    )


def find_file(name: str, folders: Iterable[Path]) -> Path | None:
    """The module's file in the first of the folders that has it."""
    for folder in folders:
        path = folder / f"{name.replace('.', '/')}.py"
        if path.is_file():
            return path
    return None


def read_module(name: str, path: Path) -> OwnModule:
    """Read a module's source.

    Raises:
        ConfigError: it cannot be read, or is no plain Python file.
    """
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise ConfigError(f"{path} is larger than 1 MiB; is it a module?")
        return OwnModule(name, path.read_text(encoding="utf-8"), path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def kept_file(folder: Path, name: str, digest: str) -> Path:
    """Where a module's source is kept in a folder of results; each version has its own."""
    return folder / f"{name}-{digest[:16]}.py"


def keep(folder: Path, own: OwnCode | None) -> None:
    """Keep the sources with the results, beside those of earlier versions."""
    for name, module in own.modules.items() if own else ():
        path = kept_file(folder, name, module.digest)
        if not path.exists():
            folder.mkdir(exist_ok=True)
            write_text(path, module.source)


def read_kept(
    folder: Path, functions: Sequence[str], described: object, *, allowed: bool
) -> OwnCode | None:
    """The modules that results were made with, as they were then.

    Args:
        folder: where they were kept.
        functions: those that are to be run; none needs no code.
        described: what `OwnCode.described` told then.
        allowed: whether the user lets them be run (``--own-code``).

    Raises:
        ResultsError: that was not allowed, or the code is missing or damaged.
    """
    if not functions:
        return None
    digests = {name: recorded_digest(described, name) for name in module_names(functions)}
    paths = {name: kept_file(folder, name, digest) for name, digest in digests.items()}
    if not allowed:
        raise ResultsError(not_allowed(functions, [str(path) for path in paths.values()]))
    modules = {}
    for name, path in paths.items():
        if not path.is_file():
            raise ResultsError(f"{path}, the code of {name}, is missing; restore it from a copy")
        modules[name] = read_module(name, path)
        if modules[name].digest != digests[name]:
            raise ResultsError(f"{path} is not the code that was run; restore it from a copy")
    return OwnCode(modules)


def recorded_digest(described: object, name: str) -> str:
    """A module's digest as it was recorded.

    Raises:
        ResultsError: there is none.
    """
    digest = _recorded(described, name).get("digest")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ResultsError(f"these results do not tell which code {name} was")
    return digest


def recorded_file(described: object, name: str) -> Path | None:
    """Where a module's file was; None where that was not recorded."""
    file = _recorded(described, name).get("file")
    return Path(file) if isinstance(file, str) and "\0" not in file else None


def changed_modules(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, earlier and present digest of each module of `now` that was another."""
    known = [name for name in now if _recorded(then, name)]
    pairs = [(name, recorded_digest(then, name), recorded_digest(now, name)) for name in known]
    return [(name, before, after) for name, before, after in pairs if before != after]


def _recorded(described: object, name: str) -> Mapping[str, Any]:
    entry = described.get(name) if isinstance(described, Mapping) else None
    return entry if isinstance(entry, Mapping) else {}
