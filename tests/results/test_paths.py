"""Commands of a search's paths."""

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
