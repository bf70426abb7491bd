"""Checking a search space's values: every problem, in words that say what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from handsigns.config import search as sections
from handsigns.config.hyperparameters import HYPERPARAMETERS, OWN, TrialConfig
from handsigns.config.search import (
    DIRECTIONS,
    GRACE_SHARE,
    StudyConfig,
    disagreements,
    space_path,
)
from handsigns.config.space import (
    TYPES,
    Choice,
    Fixed,
    Integer,
    LogUniform,
    Parameter,
    Space,
    Uniform,
)

Path_ = tuple[str, ...]

_PLAIN = ("description", "baseline", "seed", "storage")
"""Keys of a search space that have a value and no keys of their own."""

SECTIONS: dict[str, type[BaseModel]] = {
    "objective": sections.Objective,
    "budget": sections.Budget,
    "scheduler": sections.Scheduler,
    "searcher": sections.Searcher,
    "resources": sections.Resources,
    "faults": sections.Faults,
    "tracking": sections.Tracking,
    "reevaluation": sections.Reevaluation,
}


@dataclass(frozen=True)
class Problem:
    """Something wrong: the key's path, what to do, and a place if it is not the key's own."""

    path: Path_
    message: str
    place: str = ""


def check_study(values: Mapping[str, Any]) -> tuple[StudyConfig | None, list[Problem]]:
    """A resolved study, or None and what is wrong with the values."""
    known = list(StudyConfig.model_fields)
    problems = _unknown_keys((), values, known)
    space = None
    if "space" not in values:
        problems.append(Problem(("space",), "is missing; it says what is searched"))
    else:
        space, found = check_space(values["space"])
        problems += found
    fields: dict[str, Any] = {}
    for name, model in SECTIONS.items():
        raw = values.get(name)
        section, found = _section(name, model, {} if raw is None else raw)
        problems += found
        fields[name] = section
    if problems or space is None:
        plain = {k: v for k, v in values.items() if k in _PLAIN}
        return None, problems + _validate((), StudyConfig, plain | {"space": Space(())})[1]
    fields |= {k: values[k] for k in _PLAIN if k in values}
    study, problems = _validate((), StudyConfig, _resolved(space, fields, values))
    if study is None:
        return None, problems
    return study, [Problem(path, message) for path, message in disagreements(study)]


def check_space(values: Any) -> tuple[Space | None, list[Problem]]:
    """The parameters in the order in which they are drawn, or what is wrong with them."""
    if not isinstance(values, Mapping) or not values:
        message = f"must name at least one hyperparameter, got {_shown(values)}"
        return None, [Problem(("space",), message)]
    problems = _unknown_keys(("space",), values, TrialConfig.model_fields, "hyperparameter")
    own = values.get("own", {})
    if not isinstance(own, Mapping):
        message = f"expected names of your own with their values, got {_shown(own)}"
        problems.append(Problem(("space", "own"), message))
    parameters: dict[str, Parameter] = {}
    for name, raw in _flat(values).items():
        if name in HYPERPARAMETERS or name.startswith(OWN):
            parameter, found = _parameter(name, raw)
            problems += found
            if parameter is not None:
                parameters[name] = parameter
    if problems:
        return None, problems
    return _ordered(parameters)


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by hyperparameter; those under ``own`` as ``own.NAME``."""
    flat = {name: value for name, value in values.items() if name in HYPERPARAMETERS}
    own = values.get("own")
    if isinstance(own, Mapping):
        flat |= {f"{OWN}{name}": value for name, value in own.items()}
    return flat


def _parameter(name: str, raw: Any) -> tuple[Parameter | None, list[Problem]]:
    path = space_path(name)
    if not isinstance(raw, Mapping):
        raw = {"type": "fixed", "value": raw}
    kind = raw.get("type")
    if not isinstance(kind, str) or kind not in TYPES:
        if kind is None:
            message = f"has no type; give one of: {', '.join(TYPES)}"
            return None, [Problem(path, message)]
        return None, [Problem((*path, "type"), _unknown(kind, TYPES, "type"))]
    model = TYPES[kind]
    names = [field.alias or key for key, field in model.model_fields.items()]
    problems = _unknown_keys(path, raw, names)
    known = {key: value for key, value in raw.items() if key in names}
    if isinstance(known.get("when"), Mapping):
        known["when"] = _conditions(known["when"])
    parameter, found = _validate(path, model, known)
    problems += found
    if parameter is not None:
        problems += _limits(name, parameter)
    return parameter, problems


def _conditions(when: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Values by the hyperparameter that must have one; ``own.NAME`` may be written as a mapping."""
    own = when.get("own")
    nested = {f"{OWN}{k}": v for k, v in own.items()} if isinstance(own, Mapping) else {}
    flat = {k: v for k, v in when.items() if v is not own or not nested} | nested
    return {k: v if isinstance(v, list) else [v] for k, v in flat.items()}


def _limits(name: str, parameter: Parameter) -> list[Problem]:
    """Values outside what the hyperparameter can be."""
    path = space_path(name)
    kind = None if name.startswith(OWN) else TrialConfig.model_fields[name].annotation
    if isinstance(parameter, (Uniform, LogUniform)):
        if kind is int:
            return [Problem(path, f"{name} is a whole number; use type integer")]
        ends = {"low": parameter.low, "high": parameter.high}
    elif isinstance(parameter, Integer):
        ends = {"low": parameter.low, "high": parameter.high}
    elif isinstance(parameter, Choice):
        return [p for v in parameter.choices for p in _limit((*path, "values"), name, v)]
    else:
        return _limit(path, name, parameter.value)
    return [p for key, value in ends.items() for p in _limit((*path, key), name, value)]


def _limit(path: Path_, name: str, value: Any) -> list[Problem]:
    own = {"own": {name.removeprefix(OWN): value}}
    _, found = _validate((), TrialConfig, own if name.startswith(OWN) else {name: value})
    return [Problem(path, problem.message) for problem in found]


def _ordered(parameters: dict[str, Parameter]) -> tuple[Space | None, list[Problem]]:
    """Parents before children; a parent that is unknown, or a circle, is a problem."""
    problems = []
    for name, parameter in parameters.items():
        for parent, wanted in (parameter.when or {}).items():
            problems += _condition(name, parent, wanted, parameters)
    ordered: dict[str, Parameter] = {}
    while not problems and len(ordered) < len(parameters):
        ready = [
            name
            for name, parameter in parameters.items()
            if name not in ordered and all(parent in ordered for parent in parameter.when or {})
        ]
        if not ready:
            circle = ", ".join(name for name in parameters if name not in ordered)
            message = f"the conditions of {circle} go round in a circle"
            problems.append(Problem(("space",), message))
        ordered |= {name: parameters[name] for name in ready}
    return (None, problems) if problems else (Space(tuple(ordered.items())), [])


def _condition(
    name: str, parent: str, wanted: Iterable[Any], parameters: Mapping[str, Parameter]
) -> list[Problem]:
    path = (*space_path(name), "when", parent)
    if parent not in parameters:
        return [Problem(path, _unknown(parent, parameters, "hyperparameter of this space"))]
    of = parameters[parent]
    if not isinstance(of, (Choice, Fixed)):
        return [Problem(path, f"{parent} is a range; a condition needs one with listed values")]
    values = of.values()
    return [
        Problem(path, _unknown(value, values, f"value of {parent}"))
        for value in wanted
        if value not in values
    ]


def _section(name: str, model: type[BaseModel], raw: Any) -> tuple[Any, list[Problem]]:
    if not isinstance(raw, Mapping):
        keys = ", ".join(model.model_fields)
        return None, [Problem((name,), f"expected keys ({keys}), got {_shown(raw)}")]
    problems = _unknown_keys((name,), raw, model.model_fields)
    known = {key: value for key, value in raw.items() if key in model.model_fields}
    section, found = _validate((name,), model, known)
    return section, problems + found


def _resolved(space: Space, fields: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults that depend on other settings."""
    budget, rule, searcher = fields["budget"], fields["scheduler"], fields["searcher"]
    objective = fields["objective"]
    if "direction" not in (values.get("objective") or {}):
        direction = DIRECTIONS[objective.metric]
        objective = objective.model_copy(update={"direction": direction})
    size = space.size()
    if searcher.name == "grid" and size and "trials" not in (values.get("budget") or {}):
        budget = budget.model_copy(update={"trials": size})
    if rule.grace_period is None and rule.name != "none":
        grace = max(1, round(budget.max_epochs / GRACE_SHARE))
        rule = rule.model_copy(update={"grace_period": grace})
    if rule.reduction_factor is None and rule.name in ("asha", "hyperband"):
        rule = rule.model_copy(update={"reduction_factor": 3.0})
    if searcher.startup_trials is None and searcher.name in ("tpe", "cmaes", "gp"):
        searcher = searcher.model_copy(update={"startup_trials": 10})
    resolved = {"budget": budget, "scheduler": rule, "searcher": searcher, "objective": objective}
    return fields | resolved | {"space": space}


def _validate(
    path: Path_, model: type[BaseModel], values: Mapping[str, Any]
) -> tuple[Any, list[Problem]]:
    try:
        return model.model_validate(dict(values)), []
    except ValidationError as error:
        found: dict[Path_, str] = {}
        for detail in error.errors():
            # What follows the key in pydantic's location are union members and list positions.
            key = tuple(str(part) for part in detail["loc"][:1])
            found.setdefault((*path, *key), _in_words(detail))
        return None, [Problem(where, message) for where, message in found.items()]


def _in_words(detail: Mapping[str, Any]) -> str:
    kind, value = detail["type"], _shown(detail["input"])
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
        return _unknown(detail["input"], known, "value")
    if kind == "value_error":
        return str(limits["error"])
    if kind == "finite_number":
        return f"{value} is no finite number"
    if kind == "too_short":
        return "needs at least one value"
    words = {"int": "a whole number", "float": "a number", "bool": "true or false"}
    words |= {"string": "text", "tuple": "a list", "dict": "a mapping"}
    expected = words.get(kind.split("_")[0])
    return f"expected {expected}, got {value}" if expected else f"{value}: {detail['msg']}"


def _unknown_keys(
    path: Path_, values: Mapping[str, Any], known: Iterable[str], what: str = "key"
) -> list[Problem]:
    names = list(known)
    return [Problem((*path, key), _unknown(key, names, what)) for key in values if key not in names]


def _unknown(value: Any, known: Iterable[Any], what: str) -> str:
    names = [str(name) for name in known]
    near = difflib.get_close_matches(str(value)[:100], names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ";"
    return f"{_shown(value)} is no {what}{hint} (known: {', '.join(names)})".replace("; (", " (")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
