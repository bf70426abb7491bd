"""Commands open a search only once, and are cheap to import."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import handsigns
from handsigns.cli import main
from handsigns.cli.parser import COMMANDS
from handsigns.config.presets import list_presets
from handsigns.errors import ConfigError, ResultsError
from handsigns.io.storage import open_storage
from handsigns.results.sync import RemoteCopy

pytestmark = pytest.mark.slow

COMMAND_MODULES = Path(handsigns.__file__).parent / "cli" / "commands"


@pytest.fixture
def scripted(make_search, tmp_path, monkeypatch):
    """Finished search named `scripted` in the current results folder."""
    monkeypatch.chdir(tmp_path)
    return make_search()


@pytest.mark.parametrize(
    "arguments",
    [
        ["leaderboard", "scripted"],
        ["list"],
        ["report", "scripted"],
        ["watch", "scripted", "--once"],
        ["run", "quick", "--dry-run", "--gpus-per-trial", "0", "--warm-start", "scripted"],
    ],
)
def test_a_command_opens_a_search_once(scripted, few_hands, count_openings, arguments):
    assert main(arguments) == 0
    assert count_openings() == 1


def test_a_rejected_resume_opens_the_search_once(scripted, capsys, count_openings):
    assert main(["resume", "scripted"]) == 2
    assert count_openings() == 1
    assert "all 12 trials of scripted are done; to run more: " in capsys.readouterr().err


def test_a_short_time_budget_can_be_extended_as_suggested(scripted, capsys):
    assert main(["resume", "scripted", "--trials", "20", "--time-budget", "0.3"]) == 2
    assert "resume scripted --time-budget 1s" in capsys.readouterr().err


@pytest.fixture
def killed(make_search, tmp_path, monkeypatch):
    """Paths of the search `killed`, which was killed after its last trial."""
    monkeypatch.chdir(tmp_path)
    paths = make_search("killed", 4, with_failures=False).paths
    lines = paths.journal.read_bytes().splitlines(keepends=True)
    paths.journal.write_bytes(b"".join(lines[:-1]))
    return paths


def test_resuming_a_killed_finished_search_reloads_it_once(killed, capsys, count_openings):
    assert main(["resume", "killed", "--no-report"]) == 0
    assert count_openings() == 2
    output = capsys.readouterr().out
    assert "the search ended after " in output
    assert "to run more: " in output
    with pytest.raises(ResultsError, match="all 4 trials of killed are done"):
        handsigns.resume("killed")


def test_resume_leaves_a_finished_search_running_elsewhere(killed, capsys, monkeypatch):
    Path("shared").mkdir()
    with monkeypatch.context() as other_machine:
        other_machine.setattr("socket.gethostname", lambda: "elsewhere")
        RemoteCopy(killed, open_storage("shared/killed")).push(running=True)
    before = killed.journal.read_bytes()
    assert main(["resume", "killed", "--no-report"]) == 2
    assert "killed is being run by process" in capsys.readouterr().err
    assert killed.journal.read_bytes() == before


def test_report_and_compare_in_python(scripted, make_search, tmp_path):
    other = make_search("other", 6)
    assert handsigns.report("scripted") == Path("reports/scripted/index.html")
    comparison = handsigns.compare(["scripted", "other", "other"])
    assert comparison.names == ["scripted", other.paths.name]
    assert (tmp_path / "reports" / "compare-scripted+other" / "index.html").is_file()
    with pytest.raises(ConfigError, match="at least two searches"):
        handsigns.compare(["scripted"], reports=None)
    with pytest.raises(ResultsError, match="no retrained winner in results/scripted/winner"):
        handsigns.export("scripted", "torch-export")


def test_every_command_module_is_in_the_parser():
    modules = {path.stem for path in COMMAND_MODULES.glob("*.py")} - {"__init__"}
    assert modules == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_command_modules_import_at_the_top(name):
    tree = ast.parse((COMMAND_MODULES / f"{name}.py").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    inside = [node for function in functions for node in ast.walk(function)]
    assert not [node for node in inside if isinstance(node, ast.Import | ast.ImportFrom)]


def test_all_commands_are_cheap_to_import():
    script = (
        "import sys\nfrom handsigns.cli.parser import make_parser\nmake_parser()\n"
        "heavy = {'torch', 'ray', 'optuna', 'pandas', 'numpy', 'pydantic', 'rich', 'yaml'}\n"
        "loaded = heavy & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    path = str(Path(handsigns.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


def test_python_m_handsigns_runs_the_command_line():
    path = str(Path(handsigns.__file__).parents[1])
    completed = subprocess.run(
        [sys.executable, "-m", "handsigns", "search", "none"],
        env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert completed.returncode == 2
    assert completed.stderr.startswith(f"error: no search space none; name a YAML file, or one of: "
                                  f"{next(iter(list_presets()))}")  # fmt: skip
