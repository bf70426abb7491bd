"""Path arguments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

PathLike = str | Path


def as_path(path: PathLike | None) -> Path | None:
    """Convert a path argument to a `Path`; None stays None."""
    return None if path is None else Path(path)


def as_paths(paths: PathLike | Sequence[PathLike]) -> tuple[Path, ...]:
    """Convert an argument of one or more paths to a tuple."""
    return (Path(paths),) if isinstance(paths, str | Path) else tuple(map(Path, paths))
