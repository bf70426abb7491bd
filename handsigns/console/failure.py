"""Why a trial failed, in a line: the exception, and where in the user's own code it was raised."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_FRAME = re.compile(r'^\s*File "(?P<file>.+)", line (?P<line>\d+)(?:, in (?P<function>.+))?$')
_INSTALLED = re.compile(r"[/\\](site-packages|dist-packages|lib[/\\]python[\d.]+)[/\\]|^<")
_LONGEST = 240


@dataclass(frozen=True)
class Failure:
    """Why something failed.

    Attributes:
        error: the exception and its message, on one line.
        location: file, line and function of the innermost frame that is neither of this package nor
            of an installed one; empty where there is none.
    """

    error: str
    location: str

    def __str__(self) -> str:
        return f"{self.error} (at {self.location})" if self.location else self.error


def failure_of(text: str) -> Failure:
    """Return the cause of a failure from its traceback, or from whatever is recorded of it."""
    lines = text.strip().splitlines()
    frames = [(number, match) for number, line in enumerate(lines) if (match := _FRAME.match(line))]
    if frames:
        # The source line and its markers are indented; what follows them is the exception.
        after = lines[frames[-1][0] + 1 :]
        message = next((line for line in after if line and not line[0].isspace()), lines[-1])
    else:
        message = "; ".join(line.strip() for line in lines if not line.startswith("Traceback"))
    own = [match for _, match in frames if not _foreign(match["file"])]
    return Failure(_shortened(message.strip() or "no reason is known"), _location(own))


def failures(errors: Iterable[tuple[str, str]]) -> list[tuple[Failure, list[str]]]:
    """Group the trials that failed in the same way.

    Args:
        errors: id and recorded error of each.

    Returns:
        each failure with the ids of its trials.
    """
    found: dict[Failure, list[str]] = {}
    for trial_id, text in errors:
        found.setdefault(failure_of(text), []).append(trial_id)
    return list(found.items())


def _location(frames: list[re.Match[str]]) -> str:
    if not frames:
        return ""
    last = frames[-1]
    inside = f", in {last['function']}" if last["function"] else ""
    return f"{last['file']}, line {last['line']}{inside}"


def _foreign(file: str) -> bool:
    """Whether a file is of an installed package or of this one, which may be a checkout elsewhere
    on another node.
    """
    if _INSTALLED.search(file):
        return True
    _, separator, inside = file.replace("\\", "/").rpartition(f"/{_PACKAGE.name}/")
    return bool(separator) and (_PACKAGE / inside).is_file()


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
