"""JSON files: atomic writes, typed reads, and errors for files damaged or not readable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from handsigns.errors import ResultsError, UnreadableError
from handsigns.io.atomic import write_text

T = TypeVar("T")

RESTORE_REMEDY = "restore it from a copy"
"""Remedy for a file that cannot be regenerated."""


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically; NaN and infinity, which JSON lacks, raise ValueError."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def read_json(path: Path, kind: type[T], remedy: str = RESTORE_REMEDY) -> T:
    """Read a JSON file as a dataclass, or another type that pydantic supports.

    Args:
        path: the file.
        kind: type of the result.
        remedy: what the user can do if the file is damaged.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableError: the file cannot be read.
        ResultsError: the file is damaged; the message says where, and the remedy.
    """
    try:
        return parse_json(read_bytes(path), kind)
    except ValueError as error:
        raise corrupt_file_error(path, error, remedy) from error


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableError: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}") from error


def parse_json(content: bytes, kind: type[T]) -> T:
    """Parse JSON as a type that pydantic supports.

    Raises:
        ValueError: the content is not JSON, or does not match the type.
    """
    from pydantic import TypeAdapter  # import takes 0.1 s

    return TypeAdapter(kind).validate_json(content)


def corrupt_file_error(path: Path, error: Exception, remedy: str = RESTORE_REMEDY) -> ResultsError:
    """Return the error for a damaged file."""
    return ResultsError(f"{path} is damaged ({error}); {remedy}")
