"""Reading YAML into plain values that remember their lines; no file can run code or explode."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from handsigns.errors import ConfigError

Path_ = tuple[str, ...]
Tree = dict[str, Any]

_LARGEST_BYTES = 2**20
_DEEPEST = 20


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as people expect it: 1e-4 is a number, a date is text."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if not tag.endswith(("float", "timestamp"))
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"[-+]?(?:\d[\d_]*\.[\d_]*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+"
        r"|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$"
    ),
    list("-+.0123456789"),
)


class _Dumper(yaml.SafeDumper):
    """Quotes what the loader would take for something else than text, such as 1e3."""


_Dumper.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def write_tree(tree: Tree, *, inline: bool = False) -> str:
    """YAML that `read_document` reads back as the same values.

    Args:
        inline: in a single line, in braces.
    """
    text: str = yaml.dump(
        tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True,
        default_flow_style=inline, width=10_000 if inline else 80,
    )  # fmt: skip
    return text


@dataclass
class Document:
    """A file's values, where each key stands, and what is wrong with its form.

    Attributes:
        values: mappings, lists and scalars.
        places: what to call a key's place (``line 4``), by its path.
        problems: (place, message) of keys that are not text, doubled, or hold no plain value.
    """

    values: Tree = field(default_factory=dict)
    places: dict[Path_, str] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)


def read_document(path: Path) -> Document:
    """Read a YAML file whose top level is a mapping.

    Raises:
        ConfigError: it cannot be read, is no YAML, or has aliases, tags or too many levels.
    """
    text = _read_text(path)
    try:
        _refuse_the_dangerous(path, text)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{path} is no valid YAML: {place}{error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path} is no valid YAML: {error}") from error
    if node is None:
        raise ConfigError(f"{path} is empty; a search needs at least a space: section")
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{path} is no mapping; begin with a key such as 'space:'")
    document = Document()
    document.values = _mapping(node, (), document)
    return document


def read_value(text: str) -> Any:
    """A value given on the command line, as YAML would read it.

    Raises:
        ValueError: it is no plain value.
    """
    try:
        _refuse_the_dangerous(Path("value"), text)
        node = yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, ConfigError) as error:
        raise ValueError("it is no valid YAML value") from error
    document = Document()
    value = "" if node is None else _value(node, (), document)
    if document.problems:
        raise ValueError(document.problems[0][1])
    return value


def _read_text(path: Path) -> str:
    try:
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; name a search-space file in it")
        if path.stat().st_size > _LARGEST_BYTES:
            raise ConfigError(f"{path} is larger than 1 MiB; is it a search space?")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is no UTF-8 text (byte {error.start}); save it as such"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path} cannot be read: {reason}") from error


def _refuse_the_dangerous(path: Path, text: str) -> None:
    """Aliases, which can make a small file huge, and nesting deeper than anything sensible."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            line = _line_number(event)
            raise ConfigError(
                f"{path}, line {line}: anchors (&) and aliases (*) are not supported; write the "
                f"value out"
            )
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            line = _line_number(event)
            raise ConfigError(f"{path}, line {line}: nested deeper than {_DEEPEST} levels")


def _line_number(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _value(node: yaml.Node, path: Path_, document: Document) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, path, document) for item in node.value]
    try:
        return _Loader("").construct_object(node)
    except (yaml.YAMLError, ValueError):
        shown = str(node.value)[:40]
        document.problems.append((_line(node), f"{shown!r} ({node.tag}) is no plain value"))
        return None


def _mapping(node: yaml.MappingNode, path: Path_, document: Document) -> Tree:
    values: Tree = {}
    for key_node, value_node in node.value:
        if not (isinstance(key_node, yaml.ScalarNode) and key_node.tag.endswith(":str")):
            shown = str(key_node.value)[:40]
            document.problems.append((_line(key_node), f"{shown} is no name for a key"))
            continue
        key = key_node.value
        here = (*path, key)
        if key in values:
            message = f"{'.'.join(here)} stands twice; the first is at {document.places[here]}"
            document.problems.append((_line(key_node), message))
            continue
        document.places[here] = _line(key_node)
        values[key] = _value(value_node, here, document)
    return values


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"
