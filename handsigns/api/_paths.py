"""Paths as users give them."""

from __future__ import annotations

from pathlib import Path

PathLike = str | Path


def as_path(path: PathLike | None) -> Path | None:
    """Return it as a path; None stays None."""
    return None if path is None else Path(path)
