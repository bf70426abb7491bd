"""Storage of a retrained model: weights as safetensors, beside its card, without a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from handsigns.config.user_code import (
    UserCode,
    load_saved_user_code,
    save_user_code,
    user_functions,
)
from handsigns.errors import ResultsError
from handsigns.io.atomic import atomic_write
from handsigns.models import Ensemble, build_model, inference_model
from handsigns.results.paths import user_code_dir
from handsigns.results.winner import (
    MODEL_FILE,
    SEEDS_FOLDER,
    ModelCard,
    read_model_card,
    retraining_remedy,
    write_model_card,
)


def save_model(
    folder: Path,
    members: Mapping[int, nn.Module],
    card: ModelCard,
    user_code: UserCode | None = None,
) -> None:
    """Write a model and its card into `folder`, with the user code that it needs.

    Args:
        folder: an existing folder.
        members: each trained model, by seed; the model kept consists of those listed in
            `card.seeds`, the others are kept for the test.
        card: the model card.
        user_code: the user code that the model needs.
    """
    save_user_code(user_code_dir(folder), user_code)
    (folder / SEEDS_FOLDER).mkdir(exist_ok=True)
    for seed, member in members.items():
        _save_weights(seed_weights_path(folder, seed), member)
    _save_weights(folder / MODEL_FILE, _combine([members[seed] for seed in card.seeds]))
    write_model_card(folder, card)


def load_model(
    folder: Path, device: torch.device, *, trust_user_code: bool = False
) -> tuple[nn.Module, ModelCard]:
    """Load a model for inference, in evaluation mode, with its card.

    Args:
        folder: folder of the model.
        device: device to load it on.
        trust_user_code: allow code stored with the model to be run (``--trust-user-code``).

    Raises:
        ResultsError: the model is missing or damaged, or needs user code that is not trusted.
    """
    card = read_model_card(folder)
    user_code = _load_user_code(folder, card, allowed=trust_user_code)
    model = _combine([_build(card, user_code) for _ in card.seeds])
    model = _load_weights(folder, folder / MODEL_FILE, model, device)
    return inference_model(model, card.config).eval(), card


def load_seed_models(
    folder: Path, device: torch.device, *, trust_user_code: bool = False
) -> list[nn.Module]:
    """Load the model of every seed, in the order of the card's `trained_seeds`.

    Raises:
        ResultsError: see `load_model`.
    """
    card = read_model_card(folder)
    user_code = _load_user_code(folder, card, allowed=trust_user_code)
    read = [
        _load_weights(folder, seed_weights_path(folder, seed), _build(card, user_code), device)
        for seed in card.trained_seeds
    ]
    return [inference_model(model, card.config).eval() for model in read]


def seed_weights_path(folder: Path, seed: int) -> Path:
    """Return the path of the weights of one seed."""
    return folder / SEEDS_FOLDER / f"{seed}.safetensors"


def _load_user_code(folder: Path, card: ModelCard, *, allowed: bool) -> UserCode | None:
    needed = user_functions([card.config.architecture])
    return load_saved_user_code(user_code_dir(folder), needed, card.user_code, trusted=allowed)


def _build(card: ModelCard, user_code: UserCode | None) -> nn.Module:
    return build_model(card.config, len(card.classes), card.size, user_code)


def _combine(members: list[nn.Module]) -> nn.Module:
    return members[0] if len(members) == 1 else Ensemble(members)


def _save_weights(path: Path, model: nn.Module) -> None:
    weights = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    with atomic_write(path) as temporary:
        # `save_file` would hide a full disk in an error of its own.
        temporary.write_bytes(save(weights))


def _load_weights(folder: Path, path: Path, model: nn.Module, device: torch.device) -> nn.Module:
    """Load the weights in `path` of the winner in `folder` into a model."""
    try:
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ResultsError(
            f"{path} is damaged or belongs to another architecture ({error}); "
            f"{retraining_remedy(folder)}"
        ) from error
    return model.to(device)
