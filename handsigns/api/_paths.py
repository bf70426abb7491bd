"""Path arguments."""

from __future__ import annotations

from pathlib import Path

PathLike = str | Path


def as_path(path: PathLike | None) -> Path | None:
    """Convert a path argument to a `Path`; None stays None."""
    return None if path is None else Path(path)
