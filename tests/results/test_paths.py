"""Paths of a search, and what is said where a path is given for a name."""

from handsigns.results.paths import SearchPaths


def test_a_command_for_user_code_trusts_it(tmp_path):
    paths = SearchPaths(tmp_path / "results" / "mine")
    assert "--own-code" not in paths.go_on
    paths.own_code.mkdir(parents=True)
    assert "resume mine --own-code" in paths.go_on
    assert "reevaluate mine --own-code" in paths.repeats.go_on
