"""What a result depends on beside its configuration: versions, hardware and the code's revision."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("handsigns", "torch", "torchvision", "ray", "optuna", "pandas", "numpy", "pillow")


def describe_environment() -> dict[str, Any]:
    """Python and package versions, processor, memory in bytes, git revision; ready for JSON."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "memory_bytes": _memory(),
        "git": _git(Path(__file__).resolve().parents[2]),
    }


def _version(package: str) -> str | None:
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
