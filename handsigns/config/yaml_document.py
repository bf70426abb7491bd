"""Safe YAML loading with line numbers: no code execution, aliases or deep nesting."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from handsigns.errors import ConfigError

KeyPath = tuple[str, ...]
"""Path of a key in a search-space file."""
Tree = dict[str, Any]

_MAX_BYTES = 2**20
_MAX_DEPTH = 20
_TAG_ERRORS = (yaml.YAMLError, ValueError, LookupError, AttributeError, OverflowError)
"""Errors that PyYAML raises for a value that does not suit its tag, such as ``!!bool maybe``."""


class _Loader(yaml.SafeLoader):
    """YAML 1.1 loader, except that 1e-4 is a number, and a date, 1:30 and 010 are text."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if not tag.endswith(("int", "float", "timestamp"))
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9][\d_]*)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"[-+]?(?:\d[\d_]*\.[\d_]*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+"
        r"|\.(?:inf|Inf|INF))$|\.(?:nan|NaN|NAN)$"
    ),
    list("-+.0123456789"),
)


class _Dumper(yaml.SafeDumper):
    """YAML dumper that quotes text which `_Loader` or YAML 1.1 would not read as text: 1e3, 010."""


_Dumper.yaml_implicit_resolvers = {
    first: _Loader.yaml_implicit_resolvers.get(first, []) + resolvers
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # Other styles write a "next line" (U+0085) as it is, and it is read as a line feed.
    style = '"' if "\x85" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represent_text)


def dump_yaml(tree: Tree, *, inline: bool = False) -> str:
    """Return YAML that `load_yaml_document` loads as the same values.

    Args:
        tree: the values.
        inline: whether to use a single line in flow style.
    """
    text: str = yaml.dump(
        tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True,
        default_flow_style=inline, width=10_000 if inline else 80,
    )  # fmt: skip
    return text


@dataclass
class Document:
    """Parsed YAML file: values, locations of the keys, and syntactic problems.

    Attributes:
        values: mappings, lists and scalars.
        locations: location of each key (``line 4``) by its path.
        problems: (location, message) of keys that are not text, duplicate, or hold no plain value.
    """

    values: Tree = field(default_factory=dict)
    locations: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)


def load_yaml_document(path: Path, max_bytes: int = _MAX_BYTES) -> Document:
    """Read a YAML file of limited size whose top level is a mapping.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or has aliases, tags or too many levels.
    """
    text = _read_text(path, max_bytes)
    try:
        _check_safe(path, text)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        location = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{path} is not valid YAML: {location}{error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    except (ValueError, OverflowError) as error:
        problem = f"an escape (\\U) names no character, the last being U+10FFFF: {error}"
        raise ConfigError(f"{path} is not valid YAML: {problem}") from error
    if node is None:
        raise ConfigError(f"{path} is empty; a search needs at least a space: section")
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{path} is not a mapping; start with a key such as 'space:'")
    document = Document()
    document.values = _mapping(node, (), document)
    return document


def parse_yaml_value(text: str) -> Any:
    """Parse a command-line value as YAML.

    Raises:
        ValueError: it is not a plain value.
    """
    try:
        _check_safe(Path("value"), text)
        node = yaml.compose(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, OverflowError, ConfigError) as error:
        raise ValueError("it is not a valid YAML value") from error
    document = Document()
    value = "" if node is None else _value(node, (), document)
    if document.problems:
        raise ValueError(document.problems[0][1])
    return value


def _read_text(path: Path, max_bytes: int) -> str:
    try:
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; name a search-space file in it")
        if path.stat().st_size > max_bytes:
            raise ConfigError(f"{path} is larger than {max_bytes >> 20} MiB; is it the right file?")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path} cannot be read: {reason}") from error


def _check_safe(path: Path, text: str) -> None:
    """Reject aliases, which can expand a small file enormously, and excessive nesting."""
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
        if depth > _MAX_DEPTH:
            line = _line_number(event)
            raise ConfigError(f"{path}, line {line}: nested deeper than {_MAX_DEPTH} levels")


def _line_number(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _value(node: yaml.Node, path: KeyPath, document: Document) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, path, document) for item in node.value]
    try:
        value = _Loader("").construct_object(node)
        return _join_surrogates(value) if isinstance(value, str) else value
    except _TAG_ERRORS:
        shown = str(node.value)[:40]
        document.problems.append((_line(node), f"{shown!r} ({node.tag}) is not a plain value"))
        return None


def _join_surrogates(text: str) -> str:
    """Join pairs of surrogates, as which JSON escapes an emoji; raise ValueError for a lone one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16")


def _mapping(node: yaml.MappingNode, path: KeyPath, document: Document) -> Tree:
    values: Tree = {}
    for key_node, value_node in node.value:
        if not (isinstance(key_node, yaml.ScalarNode) and key_node.tag.endswith(":str")):
            shown = str(key_node.value)[:40]
            document.problems.append(
                (_line(key_node), f"{shown} is not a valid key; keys must be text")
            )
            continue
        key = key_node.value
        key_path = (*path, key)
        if key in values:
            first = document.locations[key_path]
            message = f"duplicate key {'.'.join(key_path)}; the first is at {first}"
            document.problems.append((_line(key_node), message))
            continue
        document.locations[key_path] = _line(key_node)
        values[key] = _value(value_node, key_path, document)
    return values


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"
