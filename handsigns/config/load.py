"""Loading of a search-space file as a `SearchConfig`, reporting all problems at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from handsigns.config.hyperparameters import CUSTOM_PREFIX
from handsigns.config.parameters import Fixed
from handsigns.config.problems import Problem
from handsigns.config.search import SearchConfig
from handsigns.config.sections import Reevaluation
from handsigns.config.space import Space
from handsigns.config.validate import SECTIONS, validate_search_config
from handsigns.config.yaml_document import (
    Document,
    KeyPath,
    dump_yaml,
    load_yaml_document,
    parse_yaml_value,
)
from handsigns.console.format import format_duration, pluralize
from handsigns.errors import ConfigError

_NAME_KEYS = (("scheduler", "name"), ("searcher", "name"))


def load_search_config(
    path: Path,
    overrides: Sequence[str] = (),
    options: Mapping[str, object] | None = None,
    notify: Callable[[str], None] | None = None,
) -> SearchConfig:
    """Load and validate a search space.

    Settings of the file that conflict with the overrides or options are adapted.

    Args:
        path: the YAML file.
        overrides: settings as given to ``--set``: ``dotted.key=value``.
        options: values by dotted key, from command-line flags named like the key's last part.
        notify: called with a note about each adaptation.

    Raises:
        ConfigError: lists every problem with its line or flag, the key, and the remedy.
    """
    document = load_yaml_document(path)
    problems = [Problem((), message, location) for location, message in document.problems]
    for key, value in (options or {}).items():
        label = f"--{key.rsplit('.', 1)[-1].replace('_', '-')} {value}"
        problems += _apply_override(document, key, value, label)
    for text in overrides:
        key, equals, value = text.partition("=")
        label = f"--set {text}"
        if not equals:
            problems.append(Problem((), "give a key and a value: --set budget.trials=20", label))
            continue
        try:
            problems += _apply_override(document, key, parse_yaml_value(value), label)
        except ValueError as error:
            problems.append(Problem(tuple(key.split(".")), str(error), label))
    for note in _drop_unreachable_rungs(document):
        if notify is not None:
            notify(note)
    config, found = validate_search_config(document.values)
    problems += found
    if config is None or problems:
        raise ConfigError(_format_problems(path, problems, document))
    return config


def reevaluation(config: SearchConfig, wanted: Mapping[str, object]) -> Reevaluation:
    """Return the search's re-evaluation settings, updated with command-line values.

    Args:
        config: the search.
        wanted: values by name; ``top`` falls back to its default if the search disables
            re-evaluation.

    Raises:
        ConfigError: a value is invalid.
    """
    settings = config.reevaluation.model_dump()
    if not settings["top"]:
        del settings["top"]
    if wanted.get("top") == 0:
        raise ConfigError("--top: 0 re-evaluates no trial; it must be at least 1")
    try:
        return Reevaluation.model_validate(settings | dict(wanted))
    except ValidationError as error:
        first = error.errors()[0]
        flag = "--" + str(first["loc"][0]).replace("_", "-") if first["loc"] else "--folds"
        raise ConfigError(f"{flag}: {first['msg'].removeprefix('Value error, ')}") from error


def dump_search_config(config: SearchConfig) -> str:
    """Return YAML that `load_search_config` loads as the same search."""
    fields: dict[str, Any] = {"description": config.description} if config.description else {}
    fields["space"] = _space_to_dict(config.space)
    fields |= {name: getattr(config, name).model_dump(exclude_none=True) for name in SECTIONS}
    for section in ("budget", "reevaluation"):
        seconds = fields[section].get("time_budget")
        if seconds is not None and seconds == int(seconds):
            fields[section]["time_budget"] = format_duration(seconds)
    if not fields["limits"]:
        del fields["limits"]
    fields |= {"baseline": config.baseline, "seed": config.seed}
    if config.storage is not None:
        fields["storage"] = config.storage
    return dump_yaml(fields)


def _space_to_dict(space: Space) -> dict[str, Any]:
    fields = {
        name: _parameter_to_dict(p)
        for name, p in space.items()
        if not name.startswith(CUSTOM_PREFIX)
    }
    custom = {
        name.removeprefix(CUSTOM_PREFIX): _parameter_to_dict(p)
        for name, p in space.items()
        if name.startswith(CUSTOM_PREFIX)
    }
    return fields | {"custom": custom} if custom else fields


def _parameter_to_dict(parameter: Any) -> Any:
    if isinstance(parameter, Fixed) and not parameter.when:
        return parameter.value
    fields = parameter.model_dump(exclude_none=True, by_alias=True)
    kind = {"type": fields.pop("type")}
    if parameter.when:
        fields["when"] = {name: list(values) for name, values in parameter.when.items()}
    if "values" in fields:
        fields["values"] = list(fields["values"])
    return kind | fields


def _apply_override(document: Document, key: str, value: object, label: str) -> list[Problem]:
    """Set a value in the document and record its source."""
    path = tuple(key.strip().split("."))
    if not all(path):
        return [Problem((), f"{key!r} is not a dotted key such as budget.trials", label)]
    node = document.values
    for depth, part in enumerate(path[:-1], 1):
        if node.get(part) is None:  # also a section that the file leaves empty
            node[part] = {}
        child = node[part]
        if not isinstance(child, dict):
            above = ".".join(path[:depth])
            message = f"{above} has the fixed value {child!r}; set {above} as a whole"
            return [Problem(path, message, label)]
        node = child
    if path in _NAME_KEYS and value != node.get("name", _default_name(path[0])):
        # The file's settings are for the scheduler or searcher named there, not for another one.
        # Those given on the command line stay.
        for other in [
            k for k in node if document.locations.get((*path[:-1], k), "").startswith("line")
        ]:
            del node[other]
            del document.locations[(*path[:-1], other)]
    node[path[-1]] = value
    for known in [p for p in document.locations if p[: len(path)] == path]:
        del document.locations[known]
    document.locations[path] = label
    return []


def _default_name(section: str) -> object:
    return SECTIONS[section].model_fields["name"].default


def _drop_unreachable_rungs(document: Document) -> Iterator[str]:
    """Drop the file's grace period if a flag lowers the epochs below it; yield a note.

    The file's rungs were chosen for the file's number of epochs.
    """
    epochs, grace = ("budget", "max_epochs"), ("scheduler", "grace_period")
    if not document.locations.get(epochs, "").startswith("--") or not _from_file(document, grace):
        return
    limit, period = (document.values[section][key] for section, key in (epochs, grace))
    if isinstance(limit, int) and isinstance(period, int) and period > limit:
        del document.values["scheduler"]["grace_period"]
        yield (
            f"early stopping is adapted to {document.locations[epochs]}: the file's grace period "
            f"of {pluralize(period, 'epoch')} is for longer trials"
        )


def _from_file(document: Document, path: KeyPath) -> bool:
    return document.locations.get(path, "").startswith("line")


def _format_problems(path: Path, problems: Sequence[Problem], document: Document) -> str:
    lines = [f"  {_format_location(p, document)}{p.message}" for p in problems]
    unique = list(dict.fromkeys(lines))
    count = "a problem" if len(unique) == 1 else f"{len(unique)} problems"
    return "\n".join([f"{path} has {count}:", *unique])


def _format_location(problem: Problem, document: Document) -> str:
    key = ".".join(problem.path)
    location = problem.location or _nearest_location(problem.path, document)
    return "".join(f"{part}, " for part in (location, key) if part)[:-2] + ": "


def _nearest_location(path: KeyPath, document: Document) -> str:
    """Return the location of a flag that set part of the key, of the key, or of its parent."""
    for other, location in document.locations.items():
        if other[: len(path)] == path and location.startswith("--"):
            return location
    while path and path not in document.locations:
        path = path[:-1]
    return document.locations.get(path, "")
