"""A retrained model on disk: weights as safetensors, beside its card; no pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from handsigns.config.user_code import OwnCode, keep, own_functions, read_kept
from handsigns.console.program import command
from handsigns.errors import ResultsError
from handsigns.io.atomic import replacing
from handsigns.models import Ensemble, as_evaluated, build_model
from handsigns.results.paths import own_code
from handsigns.results.winner import MODEL_FILE, SEEDS_FOLDER, ModelCard, read_card, write_card


def save_model(
    folder: Path, members: Mapping[int, nn.Module], card: ModelCard, own: OwnCode | None = None
) -> None:
    """Write a model and its card into `folder`, with the code of the user's own that it needs.

    Args:
        members: by seed, each model that was trained; the model kept is made of those that the
            card names, and the others are there to be tested beside it.
    """
    keep(own_code(folder), own)
    (folder / SEEDS_FOLDER).mkdir(exist_ok=True)
    for seed, member in members.items():
        _write(seed_file(folder, seed), member)
    _write(folder / MODEL_FILE, _kept([members[seed] for seed in card.seeds]))
    write_card(folder, card)


def load_model(
    folder: Path, device: torch.device, *, allow_own_code: bool = False
) -> tuple[nn.Module, ModelCard]:
    """A model ready to classify, in evaluation mode, with its card.

    Args:
        allow_own_code: the user lets code that lies with the model be run (``--own-code``).

    Raises:
        ResultsError: the folder holds no whole model, or one that needs code of the user's own
            and that is not allowed.
    """
    card = read_card(folder)
    own = _own(folder, card, allowed=allow_own_code)
    model = _kept([_fresh(card, own) for _ in card.seeds])
    model = _read(folder / MODEL_FILE, model, card, device)
    return as_evaluated(model, card.config).eval(), card


def load_seeds(
    folder: Path, device: torch.device, *, allow_own_code: bool = False
) -> list[nn.Module]:
    """Each model that was trained with the winner, in the order of the card's `trained_seeds`.

    Raises:
        ResultsError: see `load_model`.
    """
    card = read_card(folder)
    own = _own(folder, card, allowed=allow_own_code)
    read = [
        _read(seed_file(folder, seed), _fresh(card, own), card, device)
        for seed in card.trained_seeds
    ]
    return [as_evaluated(model, card.config).eval() for model in read]


def seed_file(folder: Path, seed: int) -> Path:
    """Where the model of one seed is."""
    return folder / SEEDS_FOLDER / f"{seed}.safetensors"


def _own(folder: Path, card: ModelCard, *, allowed: bool) -> OwnCode | None:
    needed = own_functions([card.config.architecture])
    return read_kept(own_code(folder), needed, card.own_code, allowed=allowed)


def _fresh(card: ModelCard, own: OwnCode | None) -> nn.Module:
    return build_model(card.config, len(card.classes), card.size, own)


def _kept(members: list[nn.Module]) -> nn.Module:
    return members[0] if len(members) == 1 else Ensemble(members)


def _write(path: Path, model: nn.Module) -> None:
    weights = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    with replacing(path) as temporary:
        save_file(weights, temporary)


def _read(path: Path, model: nn.Module, card: ModelCard, device: torch.device) -> nn.Module:
    try:
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ResultsError(
            f"{path} is damaged or belongs to another network ({error}); "
            f"retrain: {command('retrain', card.search)}"
        ) from error
    return model.to(device)
