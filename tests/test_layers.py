"""Architecture rules: layering, lightweight imports, and access to Ray's private API."""

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
    ("_version", "errors", "host", "latency", "metrics", "stats"),
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
"""Layers from the bottom up; packages of one layer do not import each other."""

HEAVY = ("torch", "torchvision", "ray")
FORBIDDEN = {
    **dict.fromkeys(
        ("_version", "errors", "host", "latency", "metrics", "stats", "console", "io", "config",
         "data", "results", "monitor"),
        (*HEAVY, "optuna"),
    ),
    # Optuna estimates hyperparameter importances for the report.
    **dict.fromkeys(("policy", "tracking", "reporting"), HEAVY),
    **dict.fromkeys(("models", "training"), ("ray", "optuna")),
    "cluster": ("torch", "torchvision", "optuna"),
    **dict.fromkeys(("workflow", "cli"), (*HEAVY, "optuna")),
}  # fmt: skip
"""Libraries that a package never imports directly, not even inside a function."""
NOT_LOADED = {
    "handsigns": ("numpy", "pandas", "pydantic", "rich"),
    "handsigns.cli": ("numpy", "pandas", "pydantic", "rich"),
    "handsigns.results.store": (*HEAVY, "optuna", "pandas"),
    "handsigns.reporting.write": (*HEAVY, "optuna"),
    "handsigns.monitor.watch": (*HEAVY, "optuna", "pandas"),
    "handsigns.policy.stopping": (*HEAVY, "optuna", "pandas"),
    "handsigns.policy.sampler": (*HEAVY, "pandas"),
    "handsigns.tuning.session": (*HEAVY, "optuna"),
    "handsigns.winner.write": ("ray", "optuna"),
    "handsigns.api": (*HEAVY, "optuna", "numpy", "pandas", "pydantic", "rich", "IPython"),
}
"""Libraries that importing a module does not load, not even indirectly."""


def imported_modules(path: Path) -> Iterator[str]:
    """Yield every module that a file imports anywhere, including imported members as modules."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package_of(module: str) -> str:
    """Return the subpackage, or top-level module, of handsigns that a module belongs to."""
    return module.split(".")[1]


MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
LAYERED = [name for name in MODULES if name not in ("__init__.py", "__main__.py")]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}


def package_of_file(name: str) -> str:
    return name.split("/")[0].removesuffix(".py")


@pytest.mark.parametrize("name", LAYERED)
def test_imports_only_from_lower_layers(name):
    package = package_of_file(name)
    used = {
        package_of(m) for m in imported_modules(PACKAGE / name) if m.startswith("handsigns.")
    } - {package}
    violations = {p for p in used if LAYER.get(p, 99) >= LAYER[package]}
    assert not violations, f"{name} imports from its own layer or a higher one: {violations}"


@pytest.mark.parametrize("name", [m for m in LAYERED if package_of_file(m) in FORBIDDEN])
def test_packages_do_not_import_forbidden_libraries(name):
    used = {m.split(".")[0] for m in imported_modules(PACKAGE / name)}
    assert not used & set(FORBIDDEN[package_of_file(name)])


@pytest.mark.slow
@pytest.mark.parametrize("module", NOT_LOADED)
def test_importing_a_module_loads_no_heavy_libraries(module):
    code = f"import sys, {module}; print(*sys.modules)"
    completed = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )
    assert not set(NOT_LOADED[module]) & set(completed.stdout.split())


def test_there_are_no_circular_imports():
    """Only module-level imports count: those within functions run later."""
    graph = {}
    for name in MODULES:
        module = ".".join(["handsigns", *name.removesuffix(".py").split("/")])
        top = ast.parse((PACKAGE / name).read_text()).body
        imported = set()
        for node in top:
            if isinstance(node, ast.ImportFrom) and node.module:
                imported |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
        graph[module.removesuffix(".__init__")] = imported
    order = graphlib.TopologicalSorter(
        {module: {m for m in imported if m in graph} for module, imported in graph.items()}
    )
    order.prepare()  # raises CycleError


PRIVATE_RAY = ("ray._", "ray.tune.execution", "ray.tune.utils", "ray.serve._private")


@pytest.mark.parametrize("name", [m for m in LAYERED if m != "cluster/ray_compat.py"])
def test_only_ray_compat_uses_rays_private_api(name):
    private = {m for m in imported_modules(PACKAGE / name) if m.startswith(PRIVATE_RAY)}
    assert not private
    if package_of_file(name) in ("cluster", "tuning"):
        assert not foreign_attributes(ast.parse((PACKAGE / name).read_text()))


def foreign_attributes(tree: ast.Module) -> set[str]:
    """Return accesses to private attributes of other objects, or that the class never defines."""
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    defined = {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}
    defined |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    private = [a for a in attributes if re.fullmatch("_(?!_|exit).*", a.attr)]
    return {
        ast.unparse(node)
        for node in private
        if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
        or node.attr not in defined
    }


def test_private_attributes_of_ray_are_detected():
    code = "class A(Ray):\n    def f(self, other):\n        self._x = other._y\n        self._z()"
    assert foreign_attributes(ast.parse(code)) == {"other._y", "self._z"}


def test_test_names_have_at_most_ten_words():
    tests = PACKAGE.parent / "tests"
    names = re.findall(r"def test_(\w+)", "\n".join(p.read_text() for p in tests.rglob("*.py")))
    assert not [name for name in names if len(name.split("_")) > 10]
