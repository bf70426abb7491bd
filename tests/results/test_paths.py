"""Commands of a search's paths, and the folders of searches and temporary files."""

from handsigns.io.atomic import remove_temporary_files
from handsigns.results.paths import SearchPaths


def test_commands_for_user_code_include_the_trust_option(tmp_path):
    paths = SearchPaths(tmp_path / "results" / "mine")
    assert "--trust-user-code" not in paths.resume_command
    paths.user_code.mkdir(parents=True)
    assert "resume mine --trust-user-code" in paths.resume_command
    assert "reevaluate mine --trust-user-code" in paths.reevaluation.resume_command


def test_folders_of_searches_being_created_are_not_listed(tmp_path):
    for name in ("first", ".second.123-ab.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "search.yaml").touch()
    assert [paths.name for paths in SearchPaths.list_all(tmp_path)] == ["first"]


def test_files_and_folders_of_killed_writers_are_removed(tmp_path):
    (tmp_path / ".winner.123-ab.tmp").mkdir()
    for name in (".winner.123-ab.tmp/model.safetensors", ".trials.csv.123-ab.tmp", "trials.csv"):
        (tmp_path / name).touch()
    remove_temporary_files(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["trials.csv"]
