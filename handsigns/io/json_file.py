"""JSON files: written whole, read into a type, and what to say where one is damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from handsigns.errors import ResultsError
from handsigns.io.atomic import write_text

T = TypeVar("T")

RESTORE = "restore it from a copy"
"""The remedy where a file cannot be made anew."""


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON, whole or not at all; NaN and infinity are refused, as JSON has none."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path, kind: type[T], remedy: str = RESTORE) -> T:
    """Read a JSON file as a dataclass, or another type that pydantic knows.

    Args:
        remedy: what the user can do where the file is damaged.

    Raises:
        FileNotFoundError: there is no file.
        ResultsError: it is damaged; says where, and the remedy.
    """
    try:
        return parse_json(path.read_bytes(), kind)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise damaged(path, error, remedy) from error


def parse_json(content: bytes, kind: type[T]) -> T:
    """Read JSON as a type that pydantic knows.

    Raises:
        ValueError: it is no JSON, or of another shape.
    """
    from pydantic import TypeAdapter  # takes a tenth of a second to load

    return TypeAdapter(kind).validate_json(content)


def damaged(path: Path, error: Exception, remedy: str = RESTORE) -> ResultsError:
    """Return the error for a file that cannot be used."""
    return ResultsError(f"{path} is damaged ({error}); {remedy}")
