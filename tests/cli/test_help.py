import pytest

from handsigns.cli.parser import COMMANDS, parse


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("command", [*COMMANDS, ""])
def test_help_fits_the_terminal(command, width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    with pytest.raises(SystemExit) as ended:
        parse([command, "--help"] if command else ["--help"])
    assert ended.value.code == 0
    text, _, examples = capsys.readouterr().out.partition("\nexample")
    assert examples
    assert max(map(len, text.splitlines())) <= width
