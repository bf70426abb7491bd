"""A retrained model on disk: weights as safetensors, everything else as YAML; no pickle."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.user_code import OwnCode, keep, own_functions, read_kept
from handsigns.config.yaml_tree import read_document, write_tree
from handsigns.console.program import command
from handsigns.errors import ConfigError, ResultsError
from handsigns.io.atomic import replacing, write_text
from handsigns.models import Ensemble, as_evaluated, build_model
from handsigns.results.paths import SearchPaths, own_code

MODEL_FILE = "model.safetensors"
SEEDS_FOLDER = "seeds"
CONFIG_FILE = "config.yaml"


Chosen = Literal["by rank", "by re-evaluation", "by hand"]
"""As the leaderboard's first, as the best of those that were trained again, or by the user."""


@dataclass(frozen=True)
class ModelCard:
    """What must be known to use a model, and where it came from; `config.yaml`.

    Attributes:
        config: the hyperparameters.
        classes: class names, in the order of the logits.
        size: height and width of the images in pixels.
        epochs: trained for, on train and validation split together.
        seeds: of the model kept; of several models, whose probabilities are averaged, each.
        search: name of the search.
        trial_id: whose configuration this is.
        chosen: see `Chosen`.
        chosen_after_test: the user chose the trial by hand after a test result was known.
        fingerprint: of the data.
        git_revision: of the code; None where unknown.
        own_code: what code of the user's own it needs, as `OwnCode.described`.
        trained_seeds: of all models that were trained and did not diverge.
    """

    config: TrialConfig
    classes: Annotated[tuple[str, ...], Field(min_length=1, max_length=100_000)]
    size: Annotated[int, Field(ge=16, le=1024)]
    epochs: int
    seeds: Annotated[tuple[int, ...], Field(min_length=1, max_length=1000)]
    search: str
    trial_id: str
    chosen: Chosen
    chosen_after_test: bool
    fingerprint: str
    git_revision: str | None
    own_code: dict[str, Any] = dataclasses.field(default_factory=dict)
    trained_seeds: tuple[int, ...] = ()


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
    fields = dataclasses.asdict(card) | {
        "config": card.config.model_dump(),
        "classes": list(card.classes),
        "seeds": list(card.seeds),
        "trained_seeds": list(card.trained_seeds),
    }
    write_text(folder / CONFIG_FILE, write_tree(fields))


def load_card(folder: Path) -> ModelCard:
    """Read a model's card.

    Raises:
        ResultsError: there is none, or it is damaged.
    """
    path = folder / CONFIG_FILE
    if not path.exists():
        raise ResultsError(f"no retrained winner in {folder}; make one: {_retrain_command(folder)}")
    try:
        return TypeAdapter(ModelCard).validate_python(_as_now(read_document(path).values))
    except (ConfigError, ValueError) as error:
        raise ResultsError(
            f"{path} is damaged ({error}); retrain: {_retrain_command(folder)}"
        ) from error


def _retrain_command(folder: Path) -> str:
    """Return the command that makes the winner of that folder anew."""
    return SearchPaths(folder.parent).command("retrain")


def _as_now(fields: dict[str, Any]) -> dict[str, Any]:
    """A card of before ensembles, test-time flips and averaged weights, as it would be now."""
    if "seed" in fields:
        fields["seeds"] = [fields.pop("seed")]
    if isinstance(fields.get("config"), dict):
        for name, value in {"test_time_flip": False, "weight_average": 0.0}.items():
            fields["config"].setdefault(name, value)
    return fields


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
    card = load_card(folder)
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
    card = load_card(folder)
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
