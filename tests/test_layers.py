"""The house's rule: a layer imports only from those below it."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "handsigns"
LAYERS = ("errors", "cpus", "files", "storage", "text", "progress", "config", "data", "model",
          "training", "search", "report", "winner", "own_code", "flow", "api", "cli")  # fmt: skip
LIGHT = ("errors", "cpus", "files", "storage", "text", "progress", "config", "data", "report",
         "own_code", "flow", "cli")  # fmt: skip
HEAVY = ("torch", "ray", "torchvision")


def imports(path: Path, *, only_at_start: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if only_at_start else list(ast.walk(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def layer(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "errors"


MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_from_layers_below(name):
    own = name.split("/")[0].removesuffix(".py")
    if own == "__init__":
        return
    used = {layer(m) for m in imports(PACKAGE / name) if m.split(".")[0] == "handsigns"}
    allowed = LAYERS[: LAYERS.index(own) + 1]
    assert used <= set(allowed), f"{name} reaches up: {used - set(allowed)}"


@pytest.mark.parametrize("name", [m for m in MODULES if m.split("/")[0].split(".")[0] in LIGHT])
def test_light_layers_do_without_torch_and_ray(name):
    used = {m.split(".")[0] for m in imports(PACKAGE / name)}
    assert not used & set(HEAVY)


@pytest.mark.parametrize("name", [m for m in MODULES if m.startswith(("model", "training"))])
def test_training_knows_nothing_of_ray(name):
    assert "ray" not in {m.split(".")[0] for m in imports(PACKAGE / name)}
