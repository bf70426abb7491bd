"""Problems with settings, and the messages that report them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from handsigns.config.yaml_document import KeyPath


@dataclass(frozen=True)
class Problem:
    """Problem with a setting: path of its key, message, and location if not the key's line."""

    path: KeyPath
    message: str
    location: str = ""


def validate_model(
    path: KeyPath, model: type[BaseModel], values: Mapping[str, Any]
) -> tuple[Any, list[Problem]]:
    """Validate a section; return it, or None and a problem for each key."""
    try:
        return model.model_validate(dict(values)), []
    except ValidationError as error:
        found: dict[KeyPath, str] = {}
        for detail in error.errors():
            # In pydantic's location, the key is followed by union members and list positions.
            key = tuple(str(part) for part in detail["loc"][:1])
            found.setdefault((*path, *key), _error_message(detail))
        return None, [Problem(location, message) for location, message in found.items()]


def _error_message(detail: Mapping[str, Any]) -> str:
    kind, value = detail["type"], truncated_repr(detail["input"])
    limits = detail.get("ctx", {})
    bounds = {
        "greater_than": "above {gt}",
        "greater_than_equal": "at least {ge}",
        "less_than": "below {lt}",
        "less_than_equal": "at most {le}",
    }
    if kind in bounds:
        return f"{value} is out of bounds; it must be {bounds[kind].format(**limits)}"
    if kind == "missing":
        return "is missing"
    if kind == "literal_error":
        known = [word.strip("' ") for word in limits["expected"].replace(" or ", ", ").split(",")]
        return unknown_message(detail["input"], known, "value")
    if kind == "value_error":
        return str(limits["error"])
    if kind == "finite_number":
        return f"{value} is not a finite number"
    if kind == "too_short":
        return "needs at least one value"
    names = {"int_type": "a whole number", "float_type": "a number", "bool_type": "true or false"}
    names |= {"string_type": "text", "tuple_type": "a list", "dict_type": "a mapping"}
    expected = names.get(kind)
    return f"expected {expected}, got {value}" if expected else f"{value}: {detail['msg']}"


def unknown_keys(
    path: KeyPath, values: Mapping[str, Any], known: Iterable[str], noun: str = "key"
) -> list[Problem]:
    """Return a problem for each key that is not known."""
    names = list(known)
    return [
        Problem((*path, key), unknown_message(key, names, noun))
        for key in values
        if key not in names
    ]


def unknown_message(value: Any, known: Iterable[Any], noun: str) -> str:
    """Return the message for a value that is not one of those known."""
    names = [str(name) for name in known]
    near = difflib.get_close_matches(str(value)[:100], names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{truncated_repr(value)} is not a {noun}{hint} (known: {', '.join(names)})"


def truncated_repr(value: Any) -> str:
    """Return the repr of a value, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
