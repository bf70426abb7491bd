"""MkDocs hook: generate the reference from the code, so that it cannot disagree with it.

The line `<!-- generated: NAME -->` of a page is replaced by what the function of that name returns.
A field or option without a description fails the build.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import itertools
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from unittest import mock

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from handsigns.cli.parser import make_parser
from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.parameters import PARAMETER_TYPES
from handsigns.config.presets import list_presets
from handsigns.config.quantity import parse_bytes, parse_count, parse_milliseconds
from handsigns.config.search import SearchConfig
from handsigns.config.validate import SECTIONS

_TYPE_NAMES = {int: "integer", float: "number", bool: "boolean", str: "string"}
_QUANTITIES = {
    parse_count: "count (a number, or `200k`, `1.5M`)",
    parse_bytes: "size (bytes, or `500 kB`, `1 MB`)",
    parse_milliseconds: "time (milliseconds, or `5ms`)",
}
_USAGE_WIDTH = "88"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in the generated parts of a page."""
    return re.sub(
        r"^<!-- generated: (\w+) -->$",
        lambda match: GENERATORS[match[1]](),
        markdown,
        flags=re.MULTILINE,
    )


def hyperparameters() -> str:
    """Return a table of all hyperparameters with type, default and meaning."""
    return _field_table(TrialConfig)


def parameter_types() -> str:
    """Return a section for each parameter type of a search space."""
    return "\n\n".join(
        f"### {name}\n\n{_summary(model)}\n\n{_field_table(model, leave_out=('type',))}"
        for name, model in PARAMETER_TYPES.items()
    )


def sections() -> str:
    """Return the top-level keys of a search-space file, and a section for each of its sections."""
    parts = [f"### Top level\n\n{_field_table(SearchConfig, leave_out=SECTIONS)}"]
    for name, model in SECTIONS.items():
        parts.append(f"### {name}\n\n{_summary(model)}\n\n{_field_table(model)}")
    return "\n\n".join(parts)


def presets() -> str:
    """Return a table of the presets with budgets."""
    rows = []
    for name, path in list_presets().items():
        preset = yaml.safe_load(path.read_text())
        budget = ", ".join(f"{key} {value}" for key, value in preset["budget"].items())
        rows.append((f"`{name}`", preset["description"], budget))
    return _table(("preset", "what it searches", "budget"), rows)


def commands() -> str:
    """Return a section for each command: summary, usage, options, example."""
    with (
        mock.patch.object(sys, "argv", ["handsigns"]),
        mock.patch.dict(os.environ, COLUMNS=_USAGE_WIDTH),
    ):
        parser = make_parser()
        (choices,) = (
            action.choices for action in parser._actions
            if isinstance(action, argparse._SubParsersAction)
        )  # fmt: skip
        return "\n\n".join(_command(name, command) for name, command in choices.items())


GENERATORS = {
    generate.__name__: generate
    for generate in (hyperparameters, parameter_types, sections, presets, commands)
}


def _command(name: str, parser: argparse.ArgumentParser) -> str:
    usage = parser.format_usage().removeprefix("usage: ")
    usage = usage.replace("\n" + " " * len("usage: "), "\n")
    example = (parser.epilog or "").removeprefix("example:\n").strip()
    options = [
        (f"`{_option(action)}`", _expanded(action, parser))
        for group in parser._action_groups
        for action in group._group_actions
        if not isinstance(action, argparse._HelpAction)
    ]
    return (
        f"## {name}\n\n{parser.description}\n\n```text\n{usage}```\n\n"
        f"{_table(('argument', 'meaning'), options)}\n\nExample:\n\n```sh\n{example}\n```"
    )


def _option(action: argparse.Action) -> str:
    value = action.metavar or action.dest.upper()
    if action.choices:
        value = "{" + ",".join(action.choices) + "}"
    takes_value = action.nargs != 0
    return " ".join([*action.option_strings, *([str(value)] if takes_value else [])])


def _expanded(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    text = parser._get_formatter()._expand_help(action) if action.help else ""
    if not text and not action.choices:
        raise PluginError(f"{parser.prog}: no help for {_option(action)}")
    return text


def _field_table(model: type[BaseModel], leave_out: Iterable[str] = ()) -> str:
    """Return a table of a model's fields.

    Raises:
        PluginError: a field has no docstring.
    """
    descriptions = dict(_field_docstrings(model))
    rows = []
    for name, field in model.model_fields.items():
        if name in leave_out:
            continue
        if name not in descriptions:
            raise PluginError(f"{model.__module__}.{model.__name__}.{name} has no docstring")
        kind = _describe_type(field.annotation, field.metadata) or "mapping"
        rows.append((f"`{field.alias or name}`", kind, _default(field), descriptions[name]))
    return _table(("key", "type", "default", "meaning"), rows)


def _summary(model: type[BaseModel]) -> str:
    return (inspect.getdoc(model) or "").replace("``", "`")


def _field_docstrings(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Yield the fields of a model and its bases with the string that follows each."""
    for cls in reversed(model.__mro__):
        if cls is BaseModel or not issubclass(cls, BaseModel):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        assert isinstance(definition, ast.ClassDef)
        for field, text in itertools.pairwise(definition.body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                yield field.target.id, " ".join(str(text.value.value).split())


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is None:
        return "none"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    if isinstance(field.default, int | float) or (isinstance(field.default, str) and field.default):
        return f"`{field.default}`"
    return "empty"


def _describe_type(annotation: Any, metadata: Iterable[object] = ()) -> str:
    """Return the type of a field in words, with its limits."""
    constraints = list(_flatten(metadata))
    origin = get_origin(annotation)
    if origin is Annotated:
        base, *more = get_args(annotation)
        return _describe_type(base, [*constraints, *more])
    if origin in (Union, UnionType):
        kinds = [_describe_type(part, constraints) for part in get_args(annotation)]
        return " or ".join(dict.fromkeys(kind for kind in kinds if kind))
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if origin is tuple:
        return "list of values"
    if annotation is NoneType:
        return ""
    for constraint in constraints:
        if isinstance(constraint, BeforeValidator) and constraint.func in _QUANTITIES:
            return _QUANTITIES[constraint.func]
    if annotation is float and any(isinstance(c, BeforeValidator) for c in constraints):
        return "duration (seconds, or `90s`, `15m`, `1h30m`)"
    return f"{_TYPE_NAMES.get(annotation, 'mapping')}{_limits(constraints)}"


def _flatten(metadata: Iterable[object]) -> Iterator[object]:
    for item in metadata:
        if isinstance(item, FieldInfo):
            yield from _flatten(item.metadata)
        else:
            yield item


def _limits(constraints: Iterable[object]) -> str:
    """Return the bounds as an interval, or as a comparison where there is one."""
    bounds = {
        sign: f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"
        for sign, attribute in (("≥", "ge"), (">", "gt"), ("≤", "le"), ("<", "lt"))
        for constraint in constraints
        if (limit := getattr(constraint, attribute, None)) is not None
    }
    if len(bounds) < 2:
        return "".join(f" {sign} {limit}" for sign, limit in bounds.items())
    (low_sign, low), (high_sign, high) = bounds.items()
    return f" in {'[' if low_sign == '≥' else '('}{low}, {high}{']' if high_sign == '≤' else ')'}"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *(map(_cell, row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Return a text as a cell: a page that it names is linked, and no markup is HTML."""
    text = text.replace("``", "`").replace("|", "\\|")
    text = re.sub(r"docs/([\w/-]+\.md)", r"[docs/\1](../\1)", text)
    parts = re.split(r"(`[^`]*`)", text)
    parts[::2] = [part.replace("<", "&lt;").replace("*", r"\*") for part in parts[::2]]
    return "".join(parts)
