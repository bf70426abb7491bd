"""What a result depends on beside its configuration: versions, hardware and the code's revision."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from handsigns.config.user_code import OwnCode, changed_modules
from handsigns.io.digest import hasher

PACKAGES = ("handsigns", "torch", "torchvision", "ray", "optuna", "pandas", "numpy", "pillow")
_DECIDING = ("torch", "torchvision", "ray", "optuna", "numpy")
"""Packages whose version may change what a search chooses, stops or measures."""
_DECIDING_LAYERS = ("config", "data", "models", "training", "policy", "tuning")
CODE = Path(__file__).resolve().parents[1]
"""The folder of this package."""


def describe_environment(own: OwnCode | None = None) -> dict[str, Any]:
    """Python and package versions, a digest of the code that decides a search, processor, memory in
    bytes, git revision, and what code of the user's own is run; ready for JSON.
    """
    return ({"own_code": own.described()} if own else {}) | {
        "python": platform.python_version(),
        "packages": {name: package_version(name) for name in PACKAGES},
        "code": _code_digest(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "memory_bytes": _memory(),
        "git": _git(CODE.parent),
    }


def changed_code(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two environments in versions and code, in words; none where nothing."""
    names = ("python", *(f"packages.{name}" for name in _DECIDING))
    changes = [_change(name.rpartition(".")[2], _at(then, name), _at(now, name)) for name in names]
    if then.get("code") != now.get("code"):
        changes.append(_change("handsigns' code", _revision(then), _revision(now)))
    modules = changed_modules(own_code(then), own_code(now))
    changes += [_change(f"your {name}", before[:12], after[:12]) for name, before, after in modules]
    return [change for change in changes if change]


def own_code(environment: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an environment tells of the user's own code, as `OwnCode.described`."""
    described = environment.get("own_code")
    return described if isinstance(described, Mapping) else {}


def changed_machine(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between the machines of two environments, in words."""
    names = ("processor", "platform", "cpus")
    changes = [_change(name, then.get(name), now.get(name)) for name in names]
    return [change for change in changes if change]


def _change(name: str, then: object, now: object) -> str:
    return "" if then == now else f"{name} was {then} and is {now}"


def _at(environment: Mapping[str, Any], name: str) -> Any:
    section, dot, key = name.partition(".")
    return environment.get(section, {}).get(key) if dot else environment.get(section)


def _revision(environment: Mapping[str, Any]) -> str:
    """The code's digest, and the revision where it is known."""
    git = environment.get("git")
    return f"{str(environment.get('code'))[:12]}" + (
        f" (revision {git['revision'][:12]}{'' if git['clean'] else ', edited'})" if git else ""
    )


def _code_digest() -> str:
    """Of the layers that decide what a search chooses and measures, comments and all."""
    digest = hasher()
    for path in sorted(p for layer in _DECIDING_LAYERS for p in (CODE / layer).rglob("*.py")):
        digest.update(f"{path.relative_to(CODE).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def package_version(package: str) -> str | None:
    """The version that is installed; None where none is."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _git(folder: Path) -> dict[str, Any] | None:
    """Revision of the code and whether it was clean; None where it is no checkout."""
    if not (folder / ".git").exists() or shutil.which("git") is None:
        return None
    revision = _run_git(folder, "rev-parse", "HEAD")
    changes = _run_git(folder, "status", "--porcelain")
    return {"revision": revision, "clean": changes == ""} if revision else None


def _run_git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
