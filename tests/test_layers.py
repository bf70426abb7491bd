"""The house's rules: who may import whom, what stays light, who may touch Ray's private parts."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
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
    ("cluster", "monitor", "reporting", "tracking"),
    ("tuning", "winner"),
    ("workflow",),
    ("api",),
    ("cli",),
)
"""From the ground up; packages of one layer do not import each other."""

HEAVY = ("torch", "torchvision", "ray")
FORBIDDEN = {
    **dict.fromkeys(
        ("_version", "errors", "host", "metrics", "stats", "console", "io", "config", "data",
         "results", "monitor"),
        (*HEAVY, "optuna"),
    ),
    # Optuna estimates importances, for a report that wants them.
    **dict.fromkeys(("policy", "tracking", "reporting"), HEAVY),
    **dict.fromkeys(("models", "training"), ("ray", "optuna")),
    "cluster": ("torch", "torchvision", "optuna"),
    **dict.fromkeys(("workflow", "cli"), (*HEAVY, "optuna")),
}  # fmt: skip
"""What a package never imports itself, not even inside a function."""
LOADED = {
    "handsigns": ("numpy", "pandas", "pydantic", "rich"),
    "handsigns.cli": ("numpy", "pandas", "pydantic", "rich"),
    "handsigns.results.store": (*HEAVY, "optuna", "pandas"),
    "handsigns.reporting.write": (*HEAVY, "optuna"),
    "handsigns.monitor.watch": (*HEAVY, "optuna", "pandas"),
    "handsigns.policy.stopping": (*HEAVY, "optuna", "pandas"),
    "handsigns.policy.sampler": (*HEAVY, "pandas"),
    "handsigns.tuning.session": (*HEAVY, "optuna"),
    "handsigns.winner.retrain": ("ray", "optuna"),
    "handsigns.api": (*HEAVY, "optuna", "numpy", "pandas", "pydantic", "rich"),
}
"""What is not loaded by importing a module, by way of whatever it imports."""


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
OURS = [name for name in MODULES if name not in ("__init__.py", "__main__.py")]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}


def own_part(name: str) -> str:
    return name.split("/")[0].removesuffix(".py")


@pytest.mark.parametrize("name", OURS)
def test_imports_only_from_lower_layers(name):
    own = own_part(name)
    used = {part(m) for m in imports(PACKAGE / name) if m.startswith("handsigns.")} - {own}
    reaching = {p for p in used if LAYER.get(p, 99) >= LAYER[own]}
    assert not reaching, f"{name} reaches beside or above itself: {reaching}"


@pytest.mark.parametrize("name", [m for m in OURS if own_part(m) in FORBIDDEN])
def test_light_packages_stay_light(name):
    used = {m.split(".")[0] for m in imports(PACKAGE / name)}
    assert not used & set(FORBIDDEN[own_part(name)])


@pytest.mark.parametrize("module", LOADED)
def test_importing_a_module_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )
    assert not set(LOADED[module]) & set(done.stdout.split())


def test_no_two_modules_import_each_other():
    """At the top of a module: what is imported within a function waits until it is called."""
    graph = {}
    for name in MODULES:
        module = ".".join(["handsigns", *name.removesuffix(".py").split("/")])
        top = ast.parse((PACKAGE / name).read_text()).body
        needed = set()
        for node in top:
            if isinstance(node, ast.ImportFrom) and node.module:
                needed |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
        graph[module.removesuffix(".__init__")] = needed
    order = graphlib.TopologicalSorter(
        {module: {n for n in needed if n in graph} for module, needed in graph.items()}
    )
    order.prepare()  # raises CycleError


PRIVATE_RAY = ("ray._", "ray.tune.execution", "ray.tune.utils", "ray.serve._private")


@pytest.mark.parametrize("name", [m for m in OURS if m != "cluster/ray_compat.py"])
def test_only_ray_compat_touches_private_ray(name):
    private = {m for m in imports(PACKAGE / name) if m.startswith(PRIVATE_RAY)}
    assert not private
    if own_part(name) in ("cluster", "tuning"):
        assert not foreign_attributes(ast.parse((PACKAGE / name).read_text()))


def foreign_attributes(tree: ast.Module) -> set[str]:
    """Private attributes of objects that are not a class's own, or that it never sets."""
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    own = {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    private = [a for a in attributes if re.fullmatch("_(?!_|exit).*", a.attr)]
    return {
        ast.unparse(node)
        for node in private
        if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
        or node.attr not in own
    }


def test_a_private_attribute_of_rays_is_noticed():
    code = "class A(Ray):\n    def f(self, other):\n        self._x = other._y\n        self._z()"
    assert foreign_attributes(ast.parse(code)) == {"other._y", "self._z"}


def test_test_names_have_at_most_ten_words():
    tests = PACKAGE.parent / "tests"
    names = re.findall(r"def test_(\w+)", "\n".join(p.read_text() for p in tests.rglob("*.py")))
    assert not [name for name in names if len(name.split("_")) > 10]
