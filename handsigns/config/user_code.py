"""User code named in a search space as ``module:function``: lookup, storage and digests.

Nothing is executed here. A `UserCode` represents the user's consent to execute it: commands create
one if ``--trust-user-code`` is given, and whatever runs a user function requires it.
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

_USER_FUNCTION = re.compile(r"(?!.{200})[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{32}")
_MAX_BYTES = 2**20


@dataclass(frozen=True)
class UserModule:
    """Module of user code.

    Attributes:
        name: name used in the search space.
        source: source text, which is what runs, even if the file changes later.
        file: path it was read from.
    """

    name: str
    source: str
    file: Path

    @property
    def digest(self) -> str:
        """Digest of the source."""
        return digest(self.source)


@dataclass(frozen=True)
class UserCode:
    """Modules that the user trusts, by their names in the search space."""

    modules: Mapping[str, UserModule]

    def code_metadata(self) -> dict[str, dict[str, str]]:
        """Return digest and file of each module, ready for JSON."""
        return {
            name: {"digest": module.digest, "file": str(module.file.resolve())}
            for name, module in self.modules.items()
        }


def is_user_function(value: object) -> bool:
    """Return whether a value is ``module:function`` or ``package.module:function``."""
    return isinstance(value, str) and _USER_FUNCTION.fullmatch(value) is not None


def user_functions(values: Iterable[object]) -> list[str]:
    """Return the values of a configuration or space that name user functions, each once."""
    return list(dict.fromkeys(str(value) for value in values if is_user_function(value)))


def module_names(functions: Iterable[str]) -> list[str]:
    """Return the module names of functions such as ``module:function``, each once."""
    return list(dict.fromkeys(function.partition(":")[0] for function in functions))


def not_trusted_message(functions: Sequence[str], files: Sequence[str]) -> str:
    """Return the message that running these user functions requires ``--trust-user-code``."""
    return (
        f"{', '.join(functions)} would run the code in {', '.join(files)} with all your "
        f"permissions. Review it, and if you trust it, add --trust-user-code"
    )


def find_module_file(name: str, folders: Iterable[Path]) -> Path | None:
    """Return the module's file in the first of the folders that has it; None if none has."""
    for folder in folders:
        path = folder / f"{name.replace('.', '/')}.py"
        if path.is_file():
            return path
    return None


def read_module(name: str, path: Path) -> UserModule:
    """Read a module's source.

    Raises:
        ConfigError: the file cannot be read, or is too large for a module.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"{path} is larger than 1 MiB; is it a module?")
        return UserModule(name, path.read_text(encoding="utf-8-sig"), path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def saved_module_path(folder: Path, name: str, digest: str) -> Path:
    """Return the path of a module version's source in a results folder."""
    return folder / f"{name}-{digest[:16]}.py"


def save_user_code(folder: Path, user_code: UserCode | None) -> None:
    """Save the sources in a results folder, beside earlier versions."""
    for name, module in user_code.modules.items() if user_code else ():
        path = saved_module_path(folder, name, module.digest)
        if not path.exists():
            folder.mkdir(exist_ok=True)
            write_text(path, module.source)


def load_saved_user_code(
    folder: Path, functions: Sequence[str], code_metadata: object, *, trusted: bool
) -> UserCode | None:
    """Load the saved versions of the modules that produced the results; None without functions.

    Args:
        folder: folder of the saved sources.
        functions: user functions that will run.
        code_metadata: recorded `UserCode.code_metadata`.
        trusted: whether ``--trust-user-code`` is given.

    Raises:
        ResultsError: the code is not trusted, missing or damaged.
    """
    if not functions:
        return None
    digests = {name: recorded_digest(code_metadata, name) for name in module_names(functions)}
    paths = {name: saved_module_path(folder, name, digest) for name, digest in digests.items()}
    if not trusted:
        raise ResultsError(not_trusted_message(functions, [str(path) for path in paths.values()]))
    modules = {}
    for name, path in paths.items():
        if not path.is_file():
            raise ResultsError(f"{path}, the source of {name}, is missing; restore it from a copy")
        modules[name] = read_module(name, path)
        if modules[name].digest != digests[name]:
            raise ResultsError(f"{path} differs from the code that was run; restore it from a copy")
    return UserCode(modules)


def recorded_digest(code_metadata: object, name: str) -> str:
    """Return a module's recorded digest.

    Raises:
        ResultsError: no valid digest is recorded.
    """
    digest = _metadata_of(code_metadata, name).get("digest")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise ResultsError(f"these results do not record which version of {name} was used")
    return digest


def recorded_file(code_metadata: object, name: str) -> Path | None:
    """Return the recorded path of a module's file; None if there is none."""
    file = _metadata_of(code_metadata, name).get("file")
    return Path(file) if isinstance(file, str) and "\0" not in file else None


def changed_modules(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return (name, old digest, new digest) of each module whose source changed."""
    known = [name for name in new if _metadata_of(old, name)]
    digests = [(name, recorded_digest(old, name), recorded_digest(new, name)) for name in known]
    return [(name, before, after) for name, before, after in digests if before != after]


def _metadata_of(code_metadata: object, name: str) -> Mapping[str, Any]:
    entry = code_metadata.get(name) if isinstance(code_metadata, Mapping) else None
    return entry if isinstance(entry, Mapping) else {}
