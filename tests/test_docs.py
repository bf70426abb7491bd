"""Documentation agrees with the code: links, commands, names, figures and version."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import handsigns
from handsigns.cli.parser import make_parser
from handsigns.config.load import load_search_config
from handsigns.config.presets import list_presets
from tests.support.workspace import REPOSITORY

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "results/*.md", "reports/*.md")
    for path in REPOSITORY.glob(pattern)
)
README = (REPOSITORY / "README.md").read_text()
DOCS = REPOSITORY / "docs"
COMMAND = re.compile(r"^(?:python tune_main\.py|handsigns) (.*?)(?:  +.*)?$", re.MULTILINE)


def page_id(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def commands_of(text: str) -> list[str]:
    """Return the arguments of the commands in code blocks, continuation lines joined."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    shell = "\n".join(block for language, block in blocks if language in ("", "sh"))
    return [line.partition(" #")[0] for line in COMMAND.findall(shell.replace("\\\n", ""))]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_relative_links_have_a_target(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_on_a_page_are_valid(page):
    for command in commands_of(page.read_text()):
        make_parser().parse_args(shlex.split(command))


def test_pages_show_the_commands_they_explain():
    assert len(commands_of(README)) >= 7
    winner = commands_of((DOCS / "how-to" / "use-the-winner.md").read_text())
    assert {command.split()[0] for command in winner} == {"predict", "export", "serve"}


def test_the_search_space_of_the_reference_is_valid(tmp_path):
    page = (DOCS / "reference" / "search-space.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "example.yaml").write_text(example)
    assert load_search_config(tmp_path / "example.yaml").budget.patience == 20


def test_the_readme_lists_all_presets():
    assert all(f"`{name}`" in README for name in list_presets())


def test_the_api_reference_has_every_function():
    page = (DOCS / "reference" / "python-api.md").read_text()
    documented = set(re.findall(r"^::: handsigns\.(\w+)$", page, re.MULTILINE)) - {"errors"}
    assert documented == set(handsigns.__all__) - {"__version__"}


def test_make_targets_exist():
    makefile = (REPOSITORY / "Makefile").read_text()
    rules = re.findall(r"^([a-z][a-z -]*):", makefile, re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    pages = "\n".join(page.read_text() for page in PAGES)
    mentioned = re.findall(r"(?:^|`)make ([a-z -]+?)(?=`| {2}| *#|$)", pages, re.MULTILINE)
    names = {name for arguments in mentioned for name in arguments.split()}
    assert len(names) > 15
    assert names <= targets


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_tests_named_on_a_page_exist(page):
    for path, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", page.read_text()):
        assert f"def {name}(" in (REPOSITORY / path).read_text(), name


def test_the_duration_of_make_bench_is_stated_once():
    duration = re.compile(r"make bench`?[ ,:].{0,60}\bhours?\b|benchmarks of speed.*, .*\bhours?\b")
    pages = [*PAGES, REPOSITORY / "Makefile"]
    stated = [page_id(page) for page in pages for _ in duration.findall(page.read_text())]
    assert stated == ["Makefile"]


def readme_section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def readme_rows(title: str) -> list[list[str]]:
    """Return the cells of each row of the table in a section of the README, without its header."""
    lines = [line for line in readme_section(title).splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[2:]]


def has_numbers(source: str, numbers: list[str]) -> bool:
    """Return whether all numbers occur in a text, rounded to their digits."""
    measured = [float(value) for value in re.findall(r"\d+(?:\.\d+)?", source)]
    return all(
        float(number) in {round(value, len(number.partition(".")[2])) for value in measured}
        for number in numbers
    )


@pytest.mark.parametrize(
    ("section", "page"), [("Results", "evidence.md"), ("Speed", "performance.md")]
)
def test_numbers_in_the_readme_match_the_docs(section, page):
    source = (DOCS / "explanation" / page).read_text()
    numbers = re.findall(r"(?<![\w.])\d+\.\d+", readme_section(section))
    assert len(numbers) >= 6
    for number in numbers:
        assert has_numbers(source, [number]), number


def test_results_in_the_readme_are_rows_of_the_evidence():
    evidence = (DOCS / "explanation" / "evidence.md").read_text()
    rows = [line for line in evidence.splitlines() if line.startswith("| ")]
    for _, *cells in readme_rows("Results"):
        numbers = re.findall(r"\d+(?:\.\d+)?", " ".join(cells))
        assert any(has_numbers(row, numbers) for row in rows), cells


def test_ratios_in_the_readme_are_of_their_benchmark():
    sections = (DOCS / "explanation" / "performance.md").read_text().split("\n## ")
    for what, ratio, command in readme_rows("Speed"):
        (section,) = (section for section in sections if command in section)
        assert has_numbers(section, [ratio]), what


def test_the_version_is_the_newest_of_the_changelog():
    headings = re.findall(r"^## \[(.+?)\](.*)$", (REPOSITORY / "CHANGELOG.md").read_text(), re.M)
    releases = [heading for heading in headings if heading[0] != "Unreleased"]
    version, date = releases[0]
    assert re.fullmatch(r" - \d{4}-\d\d-\d\d", date)
    assert version == handsigns.__version__
    command = [sys.executable, REPOSITORY / "tune_main.py", "--version"]
    printed = subprocess.check_output(command, text=True)
    assert printed == f"handsigns {version}\n"


def test_the_test_split_is_opened_in_one_place():
    users = sorted(
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "handsigns").rglob("*.py")
        if re.search(r"open_test\(|open_split\(\"test\"\)", path.read_text())
    )
    assert users == ["handsigns/data/dataset.py", "handsigns/winner/test.py"]


def test_contributing_names_every_package_and_real_functions():
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    architecture = text[text.index("## Architecture") : text.index("## Adding a hyperparameter")]
    packages = {path.parent.name for path in (REPOSITORY / "handsigns").glob("*/__init__.py")}
    assert not {name for name in packages if not re.search(rf"\b{name}\b", architecture)}
    for chain in re.findall(r"`([a-z_]+\.[a-z_]+(?:\.\w+)*)`", architecture):
        module, _, names = chain.partition(".")
        part, _, members = names.partition(".")
        found = importlib.import_module(f"handsigns.{module}.{part}")
        for name in filter(None, members.split(".")):
            found = getattr(found, name)
