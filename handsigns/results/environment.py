"""Environment of a result: package versions, hardware, and revision of the code."""

from __future__ import annotations

import itertools
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from handsigns.config.user_code import UserCode, changed_modules
from handsigns.io.digest import hasher

PACKAGES = ("handsigns", "torch", "torchvision", "ray", "optuna", "pandas", "numpy", "pillow")
_REPRODUCIBILITY_PACKAGES = ("torch", "torchvision", "ray", "optuna", "numpy")
"""Packages whose version may change a search's decisions or metrics."""
_HASHED_CODE = (
    *("config", "data", "models", "policy", "stats", "training", "tuning"),
    *("io/digest.py", "metrics.py", "results/networks.py", "results/statistics.py"),
    *("results/trial.py", "results/warm_start.py"),
)
"""Packages and modules that affect a search's decisions or metrics."""
PACKAGE_DIR = Path(__file__).resolve().parents[1]
"""Folder of the handsigns package."""


def copy_package(folder: Path) -> Path:
    """Copy the handsigns package, without bytecode, into a folder; return the copy."""
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(PACKAGE_DIR, folder / PACKAGE_DIR.name, ignore=ignored))


def describe_environment(user_code: UserCode | None = None) -> dict[str, Any]:
    """Return the environment, ready for JSON.

    Python and package versions, digest of the code that affects results, hardware (memory in
    bytes), git revision, and user code.
    """
    return ({"user_code": user_code.code_metadata()} if user_code else {}) | {
        "python": platform.python_version(),
        "packages": {name: package_version(name) for name in PACKAGES},
        "code": _code_digest(),
        "platform": platform.platform(),
        "processor": processor_name(),
        "cpus": os.cpu_count(),
        "memory_bytes": _memory(),
        "git": _git(PACKAGE_DIR.parent),
    }


def code_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Describe how versions and code differ between two environments."""
    names = ("python", *(f"packages.{name}" for name in _REPRODUCIBILITY_PACKAGES))
    changes = [
        _describe_change(name.rpartition(".")[2], _lookup(then, name), _lookup(now, name))
        for name in names
    ]
    if then.get("code") != now.get("code"):
        changes.append(_describe_change("handsigns' code", _revision(then), _revision(now)))
    modules = changed_modules(recorded_user_code(then), recorded_user_code(now))
    changes += [
        _describe_change(f"your {name}", before[:12], after[:12]) for name, before, after in modules
    ]
    return [change for change in changes if change]


def recorded_user_code(environment: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an environment's user code in the form of `UserCode.code_metadata`."""
    code_metadata = environment.get("user_code")
    return code_metadata if isinstance(code_metadata, Mapping) else {}


def machine_changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Describe how the machines of two environments differ."""
    names = ("processor", "platform", "cpus")
    changes = [_describe_change(name, then.get(name), now.get(name)) for name in names]
    return [change for change in changes if change]


def _describe_change(name: str, then: object, now: object) -> str:
    return "" if then == now else f"{name} was {then}, now {now}"


def _lookup(environment: Mapping[str, Any], name: str) -> Any:
    section, dot, key = name.partition(".")
    return environment.get(section, {}).get(key) if dot else environment.get(section)


def _revision(environment: Mapping[str, Any]) -> str:
    """Return the code's digest and, if known, its revision."""
    git = environment.get("git")
    return f"{str(environment.get('code'))[:12]}" + (
        f" (revision {git['revision'][:12]}{'' if git['clean'] else ', edited'})" if git else ""
    )


def _code_digest() -> str:
    """Return a digest of the code that affects results, comments included."""
    digest = hasher()
    for path in itertools.chain.from_iterable(map(_source_files, _HASHED_CODE)):
        digest.update(f"{path.relative_to(PACKAGE_DIR).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _source_files(name: str) -> list[Path]:
    """Return the sorted files of a package, or the file of a module."""
    path = PACKAGE_DIR / name
    return [path] if path.suffix == ".py" else sorted(path.rglob("*.py"))


def package_version(package: str) -> str | None:
    """Return the installed version of a package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processor_name() -> str:
    """Return the model name of this machine's processor."""
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
    """Return the code's revision and whether it is clean; None outside a checkout."""
    if not (folder / ".git").exists() or shutil.which("git") is None:
        return None
    revision = _run_git(folder, "rev-parse", "HEAD")
    changes = _run_git(folder, "status", "--porcelain")
    return {"revision": revision, "clean": changes == ""} if revision else None


def _run_git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        completed = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return completed.stdout.strip()
