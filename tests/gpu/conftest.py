"""Tests on an NVIDIA GPU, run by `make test-gpu`; skipped where there is none."""

import pytest
import torch


@pytest.fixture(scope="session")
def cuda() -> torch.device:
    """Return the GPU; skip the test if there is none."""
    if not torch.cuda.is_available():
        pytest.skip("there is no NVIDIA GPU")
    return torch.device("cuda")
