"""The house's rules: who may import whom, what stays light, who may touch Ray's private parts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "handsigns"
LAYERS = (
    ("_version", "errors", "host", "metrics", "stats"),
    ("console", "io"),
    ("config",),
    ("data",),
    ("models", "results"),
    ("policy", "training"),
    ("cluster", "monitor", "report", "tracking"),
    ("tuning", "winner"),
    ("workflow",),
    ("api",),
    ("cli",),
)
"""From the ground up; packages of one layer do not import each other."""

FORBIDDEN = {
    **dict.fromkeys(
        ("_version", "errors", "host", "metrics", "stats", "console", "io", "config", "data",
         "results", "monitor", "report"),
        ("torch", "torchvision", "ray", "optuna"),
    ),
    **dict.fromkeys(("models", "training"), ("ray", "optuna")),
    **dict.fromkeys(("policy", "tracking"), ("torch", "torchvision", "ray")),
    "cluster": ("torch", "torchvision", "optuna"),
    "workflow": ("torch", "torchvision", "ray", "optuna"),
    "cli": ("torch", "torchvision", "ray", "optuna"),
}  # fmt: skip
"""What a package never imports itself, not even inside a function."""

UNDISTURBED = {
    "handsigns": ("numpy", "pandas", "pydantic", "rich"),
    "handsigns.cli": ("numpy", "pandas", "pydantic", "rich"),
    "handsigns.config.load": ("numpy", "pandas"),
    "handsigns.results.store": ("pandas",),
    "handsigns.report.write": (),
    "handsigns.monitor.watch": ("pandas",),
    "handsigns.workflow.search": (),
    "handsigns.winner.test": None,
}


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it; members of packages as modules, too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(module: str) -> str:
    """The package, or single module, of ours to which a module belongs."""
    return module.split(".")[1]


MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
EXEMPT = ("__init__.py", "__main__.py")


def own_part(name: str) -> str:
    return name.split("/")[0].removesuffix(".py")


@pytest.mark.parametrize("name", [m for m in MODULES if m not in EXEMPT])
def test_imports_only_from_lower_layers(name):
    own = own_part(name)
    ours = {m for m in imports(PACKAGE / name) if m.startswith("handsigns.")}
    used = {part(m) for m in ours} - {own}
    reaching = {p for p in used if LAYER.get(p, 99) >= LAYER[own]}
    assert not reaching, f"{name} reaches beside or above itself: {reaching}"
