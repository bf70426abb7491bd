"""From a search-space file to a `StudyConfig`, with every problem found told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from handsigns.config.hyperparameters import OWN
from handsigns.config.search import Reevaluation, StudyConfig
from handsigns.config.space import Fixed, Space
from handsigns.config.validate import SECTIONS, Problem, check_study
from handsigns.config.yaml_tree import Document, Path_, read_document, read_value, write_tree
from handsigns.console.format import counted, format_duration
from handsigns.errors import ConfigError

_NAMES = (("scheduler", "name"), ("searcher", "name"))


def load_study(
    path: Path,
    overrides: Sequence[str] = (),
    options: Mapping[str, object] | None = None,
    notify: Callable[[str], None] | None = None,
) -> StudyConfig:
    """Read and check a search space.

    Settings of the file that do not fit those given beside it are adapted.

    Args:
        path: of the YAML file.
        overrides: ``dotted.key=value`` each, as given to ``--set``.
        options: values by dotted key, as given by command-line flags named like the key's end.
        notify: told what was adapted.

    Raises:
        ConfigError: lists every problem with its line or flag, the key, and what to do.
    """
    document = read_document(path)
    problems = [Problem((), message, place) for place, message in document.problems]
    for key, value in (options or {}).items():
        label = f"--{key.rsplit('.', 1)[-1].replace('_', '-')} {value}"
        problems += _override(document, key, value, label)
    for text in overrides:
        key, equals, value = text.partition("=")
        label = f"--set {text}"
        if equals:
            problems += _override(document, key, value, label)
        else:
            problems.append(Problem((), "give a key and a value: --set budget.trials=20", label))
    for note in _adapt(document):
        if notify is not None:
            notify(note)
    study, found = check_study(document.values)
    problems += found
    if study is None or problems:
        raise ConfigError(_told(path, problems, document))
    return study


def reevaluation(study: StudyConfig, wanted: Mapping[str, object]) -> Reevaluation:
    """The study's settings for its re-evaluation, with others in their place.

    Args:
        wanted: values by name. Without ``top`` a study that asks for none takes the usual number.

    Raises:
        ConfigError: one cannot be.
    """
    settings = study.reevaluation.model_dump()
    if not settings["top"]:
        del settings["top"]
    if wanted.get("top") == 0:
        raise ConfigError("--top: 0 leaves nothing to measure; name at least 1")
    try:
        return Reevaluation.model_validate(settings | dict(wanted))
    except ValidationError as error:
        first = error.errors()[0]
        flag = "--" + str(first["loc"][0]).replace("_", "-") if first["loc"] else "--folds"
        raise ConfigError(f"{flag}: {first['msg'].removeprefix('Value error, ')}") from error


def dump_study(study: StudyConfig) -> str:
    """YAML that `load_study` reads back as the same study."""
    fields: dict[str, Any] = {"description": study.description} if study.description else {}
    fields["space"] = _space(study.space)
    fields |= {name: getattr(study, name).model_dump(exclude_none=True) for name in SECTIONS}
    for timed in ("budget", "reevaluation"):
        seconds = fields[timed].get("time_budget")
        if seconds is not None and seconds == int(seconds):
            fields[timed]["time_budget"] = format_duration(seconds)
    fields |= {"baseline": study.baseline, "seed": study.seed}
    if study.storage is not None:
        fields["storage"] = study.storage
    return write_tree(fields)


def _space(space: Space) -> dict[str, Any]:
    fields = {name: _plain(p) for name, p in space.items() if not name.startswith(OWN)}
    own = {name.removeprefix(OWN): _plain(p) for name, p in space.items() if name.startswith(OWN)}
    return fields | {"own": own} if own else fields


def _plain(parameter: Any) -> Any:
    if isinstance(parameter, Fixed) and not parameter.when:
        return parameter.value
    fields = parameter.model_dump(exclude_none=True, by_alias=True)
    kind = {"type": fields.pop("type")}
    if parameter.when:
        fields["when"] = {name: list(values) for name, values in parameter.when.items()}
    if "values" in fields:
        fields["values"] = list(fields["values"])
    return kind | fields


def _override(document: Document, key: str, value: object, label: str) -> list[Problem]:
    """Set a value in the document and remember where it came from."""
    path = tuple(key.strip().split("."))
    if not all(path):
        return [Problem((), f"{key!r} is no dotted key such as budget.trials", label)]
    try:
        value = read_value(value) if isinstance(value, str) else value
    except ValueError as error:
        return [Problem(path, str(error), label)]
    node = document.values
    for depth, part in enumerate(path[:-1], 1):
        child = node.setdefault(part, {})
        if not isinstance(child, dict):
            above = ".".join(path[:depth])
            message = f"{above} is the single value {child!r}; set {above} as a whole"
            return [Problem(path, message, label)]
        node = child
    if path in _NAMES and node.get("name") != value:
        # Another scheduler or searcher has settings of its own; the file's are for the one named
        # there. Those given on the command line too stay.
        for other in [
            k for k in node if document.places.get((*path[:-1], k), "").startswith("line")
        ]:
            del node[other]
            del document.places[(*path[:-1], other)]
    node[path[-1]] = value
    for known in [p for p in document.places if p[: len(path)] == path]:
        del document.places[known]
    document.places[path] = label
    return []


def _adapt(document: Document) -> Iterator[str]:
    """Leave out what the file sets and what a flag makes impossible: its rungs were chosen for its
    own epochs.
    """
    epochs, grace = ("budget", "max_epochs"), ("scheduler", "grace_period")
    if not document.places.get(epochs, "").startswith("--") or not _from_file(document, grace):
        return
    limit, period = (document.values[section][key] for section, key in (epochs, grace))
    if isinstance(limit, int) and isinstance(period, int) and period > limit:
        del document.values["scheduler"]["grace_period"]
        yield (
            f"early stopping is adapted to {document.places[epochs]}: the file's grace period of "
            f"{counted(period, 'epoch')} is for longer trials"
        )


def _from_file(document: Document, path: Path_) -> bool:
    return document.places.get(path, "").startswith("line")


def _told(path: Path, problems: Sequence[Problem], document: Document) -> str:
    lines = [f"  {_place(p, document)}{p.message}" for p in problems]
    unique = list(dict.fromkeys(lines))
    count = "a problem" if len(unique) == 1 else f"{len(unique)} problems"
    return "\n".join([f"{path} has {count}:", *unique])


def _place(problem: Problem, document: Document) -> str:
    key = ".".join(problem.path)
    place = problem.place or _nearest_place(problem.path, document)
    return "".join(f"{part}, " for part in (place, key) if part)[:-2] + ": "


def _nearest_place(path: Path_, document: Document) -> str:
    """The key's own place; that of a flag that changed a part of it; or of the key around it."""
    for known, place in document.places.items():
        if known[: len(path)] == path and place.startswith("--"):
            return place
    while path and path not in document.places:
        path = path[:-1]
    return document.places.get(path, "")
