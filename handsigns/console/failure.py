"""One-line cause of a trial's failure: the exception, and where in the user code it occurred."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_FRAME = re.compile(r'^\s*File "(?P<file>.+)", line (?P<line>\d+)(?:, in (?P<function>.+))?$')
_INSTALLED_PATH = re.compile(r"[/\\](site-packages|dist-packages|lib[/\\]python[\d.]+)[/\\]|^<")
_MAX_LENGTH = 240


@dataclass(frozen=True)
class Failure:
    """Cause of a failure.

    Attributes:
        error: the exception and its message, on one line.
        location: file, line and function of the innermost frame outside this package and installed
            ones; empty if there is none.
    """

    error: str
    location: str

    def __str__(self) -> str:
        return f"{self.error} (at {self.location})" if self.location else self.error


def parse_failure(text: str) -> Failure:
    """Return the cause of a failure from its traceback or another recorded error message."""
    lines = text.strip().splitlines()
    frames = [(number, match) for number, line in enumerate(lines) if (match := _FRAME.match(line))]
    if frames:
        # Source lines and their markers are indented; the first line that is not is the exception.
        after = lines[frames[-1][0] + 1 :]
        message = next((line for line in after if line and not line[0].isspace()), lines[-1])
    else:
        message = "; ".join(line.strip() for line in lines if not line.startswith("Traceback"))
    user_frames = [match for _, match in frames if not _is_library_file(match["file"])]
    return Failure(_truncate(message.strip() or "unknown reason"), _location(user_frames))


def group_failures(errors: Iterable[tuple[str, str]]) -> list[tuple[Failure, list[str]]]:
    """Group trials by the cause of their failure.

    Args:
        errors: (trial ID, recorded error) pairs.

    Returns:
        (failure, trial IDs) pairs.
    """
    found: dict[Failure, list[str]] = {}
    for trial_id, text in errors:
        found.setdefault(parse_failure(text), []).append(trial_id)
    return list(found.items())


def _location(frames: list[re.Match[str]]) -> str:
    if not frames:
        return ""
    last = frames[-1]
    inside = f", in {last['function']}" if last["function"] else ""
    return f"{last['file']}, line {last['line']}{inside}"


def _is_library_file(file: str) -> bool:
    """Return whether a file belongs to an installed package or to any checkout of this one.

    Another node may have its checkout at another path.
    """
    if _INSTALLED_PATH.search(file):
        return True
    _, separator, inside = file.replace("\\", "/").rpartition(f"/{_PACKAGE.name}/")
    return bool(separator) and (_PACKAGE / inside).is_file()


def _truncate(text: str) -> str:
    return text if len(text) <= _MAX_LENGTH else f"{text[: _MAX_LENGTH - 1]}…"
