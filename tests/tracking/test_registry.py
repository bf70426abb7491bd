"""Which trackers count as installed."""

import pytest

from handsigns.errors import ConfigError
from handsigns.tracking.registry import ensure_installed


def test_a_folder_of_a_trackers_name_is_not_the_tracker(tmp_path, monkeypatch):
    (tmp_path / "some_tracker").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="with some_tracker, not installed: pip install"):
        ensure_installed(["json", "some_tracker"])
