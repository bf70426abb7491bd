"""What the pages say is there, is there."""

import importlib
import re
import subprocess
from pathlib import Path

import pytest

from handsigns.cli.parser import make_parser
from handsigns.config.load import load_study
from handsigns.config.presets import shipped_spaces

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path
    for folder in (".", "docs", "results", "reports")
    for path in (REPOSITORY / folder).glob("*.md")
    if "ray" not in path.name
)
README = (REPOSITORY / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_commands_of_the_readme_are_understood():
    commands = re.findall(r"^python tune_main\.py (.*?)(?:  +.*)?$", README, re.MULTILINE)
    assert len(commands) >= 7
    for command in commands:
        make_parser().parse_args(command.split())


def test_commands_of_the_page_about_the_winner_are_understood():
    page = (REPOSITORY / "docs" / "use-the-winner.md").read_text()
    commands = re.findall(r"^python tune_main\.py (.*)$", page, re.MULTILINE)
    assert {command.split()[0] for command in commands} == {"predict", "export", "serve"}
    for command in commands:
        make_parser().parse_args(command.split())


def test_the_search_space_of_the_readme_is_valid(tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "example.yaml").write_text(example)
    assert load_study(tmp_path / "example.yaml").budget.patience == 20


def test_the_readme_names_the_whole_menu():
    assert all(f"`{name}`" in README for name in shipped_spaces())


def test_make_targets_exist():
    listed = subprocess.run(
        ["make", "-C", str(REPOSITORY), "help"], capture_output=True, text=True, check=True
    ).stdout
    pages = README + (REPOSITORY / "CONTRIBUTING.md").read_text()
    for target in set(re.findall(r"make ((?:[a-z-]+ ?)+)", pages)) & {"run", "test", "setup"}:
        assert f"make {target}" in listed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_that_a_page_names_are_there(page):
    for path, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", page.read_text()):
        assert f"def {name}(" in (REPOSITORY / path).read_text(), name


def test_the_test_split_is_opened_in_one_place():
    users = sorted(
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "handsigns").rglob("*.py")
        if re.search(r"open_test\(|open_split\(\"test\"\)", path.read_text())
    )
    assert users == ["handsigns/data/dataset.py", "handsigns/winner/test.py"]


def test_contributing_names_every_package_and_real_functions():
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    house = text[text.index("## The house") : text.index("## Adding a hyperparameter")]
    packages = {path.parent.name for path in (REPOSITORY / "handsigns").glob("*/__init__.py")}
    assert not {name for name in packages if not re.search(rf"\b{name}\b", house)}
    for chain in re.findall(r"`([a-z_]+\.[a-z_]+(?:\.\w+)*)`", house):
        module, _, names = chain.partition(".")
        part, _, members = names.partition(".")
        found = importlib.import_module(f"handsigns.{module}.{part}")
        for name in filter(None, members.split(".")):
            found = getattr(found, name)
