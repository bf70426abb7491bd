"""Validation of a search space: reports every problem with its remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from handsigns.config.conflicts import conflicts, space_key_path
from handsigns.config.hyperparameters import CUSTOM_PREFIX, HYPERPARAMETERS, TrialConfig
from handsigns.config.parameters import (
    PARAMETER_TYPES,
    Choice,
    Fixed,
    Integer,
    Parameter,
)
from handsigns.config.problems import (
    Problem,
    truncated_repr,
    unknown_keys,
    unknown_message,
    validate_model,
)
from handsigns.config.search import SearchConfig
from handsigns.config.sections import (
    GRACE_PERIOD_DIVISOR,
    PROMOTION_GRACE_PERIOD_DIVISOR,
    PROMOTION_REDUCTION_FACTOR,
    REDUCTION_FACTOR,
)
from handsigns.config.space import Space
from handsigns.config.yaml_document import KeyPath

SECTIONS: dict[str, type[BaseModel]] = {
    name: field.annotation
    for name, field in SearchConfig.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}
_SCALAR_KEYS = SearchConfig.model_fields.keys() - SECTIONS.keys() - {"space"}
"""Top-level keys that hold a scalar rather than a section."""


def validate_search_config(values: Mapping[str, Any]) -> tuple[SearchConfig | None, list[Problem]]:
    """Return the search with all defaults resolved, or None and the problems found."""
    problems = unknown_keys((), values, SearchConfig.model_fields)
    space = None
    if "space" not in values:
        problems.append(Problem(("space",), "is missing; it defines what is searched"))
    else:
        space, found = validate_search_space(values["space"])
        problems += found
    fields: dict[str, Any] = {}
    for name, model in SECTIONS.items():
        raw = values.get(name)
        section, found = _section(name, model, {} if raw is None else raw)
        problems += found
        fields[name] = section
    if problems or space is None:
        plain = {k: v for k, v in values.items() if k in _SCALAR_KEYS}
        return None, problems + validate_model((), SearchConfig, plain | {"space": Space({})})[1]
    fields |= {k: values[k] for k in _SCALAR_KEYS if k in values}
    config, problems = validate_model((), SearchConfig, _with_defaults(space, fields, values))
    if config is None:
        return None, problems
    return config, conflicts(config)


def validate_search_space(values: Any) -> tuple[Space | None, list[Problem]]:
    """Return the parameters in sampling order, or None and the problems found."""
    if not isinstance(values, Mapping) or values in ({}, {"custom": {}}):
        message = f"must name at least one hyperparameter, got {truncated_repr(values)}"
        return None, [Problem(("space",), message)]
    problems = unknown_keys(("space",), values, TrialConfig.model_fields, "hyperparameter")
    custom = values.get("custom", {})
    if not isinstance(custom, Mapping):
        message = f"expected a mapping of names to values, got {truncated_repr(custom)}"
        problems.append(Problem(("space", "custom"), message))
    parameters: dict[str, Parameter] = {}
    for name, raw in _flatten(values).items():
        if name in HYPERPARAMETERS or name.startswith(CUSTOM_PREFIX):
            parameter, found = _parameter(name, raw)
            problems += found
            if parameter is not None:
                parameters[name] = parameter
    if problems:
        return None, problems
    return _topological_order(parameters)


def _flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values by hyperparameter, with those under ``custom`` as ``custom.NAME``."""
    flat = {name: value for name, value in values.items() if name in HYPERPARAMETERS}
    custom = values.get("custom")
    if isinstance(custom, Mapping):
        flat |= {f"{CUSTOM_PREFIX}{name}": value for name, value in custom.items()}
    return flat


def _parameter(name: str, raw: Any) -> tuple[Parameter | None, list[Problem]]:
    path = space_key_path(name)
    if isinstance(raw, list):
        message = f"is a list; use {{type: choice, values: {truncated_repr(raw)}}}"
        return None, [Problem(path, message)]
    if not isinstance(raw, Mapping):
        raw = {"type": "fixed", "value": raw}
    kind = raw.get("type")
    if not isinstance(kind, str) or kind not in PARAMETER_TYPES:
        if kind is None:
            message = f"has no type; give one of: {', '.join(PARAMETER_TYPES)}"
            return None, [Problem(path, message)]
        return None, [Problem((*path, "type"), unknown_message(kind, PARAMETER_TYPES, "type"))]
    model = PARAMETER_TYPES[kind]
    names = [field.alias or key for key, field in model.model_fields.items()]
    problems = unknown_keys(path, raw, names)
    known = {key: value for key, value in raw.items() if key in names}
    if isinstance(known.get("when"), Mapping):
        known["when"] = _conditions(known["when"])
    parameter, found = validate_model(path, model, known)
    problems += found
    if parameter is not None:
        problems += _check_limits(name, parameter)
    return parameter, problems


def _conditions(when: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the allowed values by hyperparameter; accepts ``custom`` as a nested mapping."""
    custom = when.get("custom")
    nested = (
        {f"{CUSTOM_PREFIX}{k}": v for k, v in custom.items()} if isinstance(custom, Mapping) else {}
    )
    flat = {k: v for k, v in when.items() if v is not custom or not nested} | nested
    return {k: v if isinstance(v, list) else [v] for k, v in flat.items()}


def _check_limits(name: str, parameter: Parameter) -> list[Problem]:
    """Return the values that are outside the hyperparameter's bounds."""
    path = space_key_path(name)
    kind = None if name.startswith(CUSTOM_PREFIX) else TrialConfig.model_fields[name].annotation
    if isinstance(parameter, Choice):
        return [p for v in parameter.choices for p in _check_value((*path, "values"), name, v)]
    if isinstance(parameter, Fixed):
        return _check_value(path, name, parameter.value)
    if kind is int and not isinstance(parameter, Integer):
        return [Problem(path, f"{name} must be a whole number; use type integer")]
    bounds = {"low": parameter.low, "high": parameter.high}
    return [p for key, value in bounds.items() for p in _check_value((*path, key), name, value)]


def _check_value(path: KeyPath, name: str, value: Any) -> list[Problem]:
    custom = {"custom": {name.removeprefix(CUSTOM_PREFIX): value}}
    _, found = validate_model(
        (), TrialConfig, custom if name.startswith(CUSTOM_PREFIX) else {name: value}
    )
    return [Problem(path, problem.message) for problem in found]


def _topological_order(parameters: dict[str, Parameter]) -> tuple[Space | None, list[Problem]]:
    """Sort parameters after those that they depend on; report unknown parents and cycles."""
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
            cycle = ", ".join(name for name in parameters if name not in ordered)
            message = f"the conditions of {cycle} form a cycle; remove one"
            problems.append(Problem(("space",), message))
        ordered |= {name: parameters[name] for name in ready}
    return (None, problems) if problems else (Space(ordered), [])


def _condition(
    name: str, parent: str, wanted: Iterable[Any], parameters: Mapping[str, Parameter]
) -> list[Problem]:
    path = (*space_key_path(name), "when", parent)
    if parent not in parameters:
        return [Problem(path, unknown_message(parent, parameters, "hyperparameter of this space"))]
    parameter = parameters[parent]
    if not isinstance(parameter, (Choice, Fixed)):
        return [Problem(path, f"{parent} is a range; a condition needs a choice or a fixed value")]
    values = parameter.values()
    return [
        Problem(path, unknown_message(value, values, f"value of {parent}"))
        for value in wanted
        if value not in values
    ]


def _section(name: str, model: type[BaseModel], raw: Any) -> tuple[Any, list[Problem]]:
    if not isinstance(raw, Mapping):
        keys = ", ".join(model.model_fields)
        return None, [Problem((name,), f"expected keys ({keys}), got {truncated_repr(raw)}")]
    problems = unknown_keys((name,), raw, model.model_fields)
    known = {key: value for key, value in raw.items() if key in model.model_fields}
    section, found = validate_model((name,), model, known)
    return section, problems + found


def _with_defaults(
    space: Space, fields: dict[str, Any], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Fill in the defaults that depend on other settings."""
    budget, scheduler, searcher = fields["budget"], fields["scheduler"], fields["searcher"]
    size = space.size()
    if searcher.name == "grid" and size and "trials" not in (values.get("budget") or {}):
        budget = budget.model_copy(update={"trials": size})
    promotes = scheduler.name == "asha_promotion"
    if scheduler.grace_period is None and scheduler.name != "none":
        divisor = PROMOTION_GRACE_PERIOD_DIVISOR if promotes else GRACE_PERIOD_DIVISOR
        grace = max(1, round(budget.max_epochs / divisor))
        scheduler = scheduler.model_copy(update={"grace_period": grace})
    if scheduler.reduction_factor is None and scheduler.has_rungs:
        factor = PROMOTION_REDUCTION_FACTOR if promotes else REDUCTION_FACTOR
        scheduler = scheduler.model_copy(update={"reduction_factor": factor})
    if searcher.startup_trials is None and searcher.uses_results:
        searcher = searcher.model_copy(update={"startup_trials": 10})
    resolved = {"budget": budget, "scheduler": scheduler, "searcher": searcher}
    return fields | resolved | {"space": space}
