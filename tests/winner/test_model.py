"""Loading of a winner's weights."""

from pathlib import Path

import pytest
import torch

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.user_code import UserCode, UserModule, save_user_code
from handsigns.errors import ResultsError
from handsigns.results.paths import SearchPaths
from handsigns.winner.model import load_model
from tests.support.winners import random_network, save_winner


def test_damaged_weights_error_has_a_complete_command(tmp_path):
    paths = SearchPaths(tmp_path / "elsewhere" / "mine")
    paths.root.mkdir(parents=True)
    config = TrialConfig(channel_width=4)
    save_winner(paths.winner, config, random_network(config))
    user_code = UserCode({"mine": UserModule("mine", "", Path("mine.py"))})
    save_user_code(paths.user_code, user_code)  # of other trials
    (paths.winner / "model.safetensors").write_bytes(b"{")
    command = rf"retrain mine --trust-user-code --results \S*{tmp_path.name}/elsewhere"
    with pytest.raises(ResultsError, match=rf"(?s)model\.safetensors is damaged .*{command}"):
        load_model(paths.winner, torch.device("cpu"))
