"""Winner as an MLflow pyfunc model; MLflow runs this file, without a pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from handsigns.data.images import decode
from handsigns.training.device import pick_device
from handsigns.training.evaluate import predict_logits
from handsigns.winner.model import load_model


class WinnerModel(PythonModel):
    """Model from encoded images (JPEG, PNG, …) of any size to probabilities by class."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model from its folder."""
        self._device = pick_device()
        # Loading a model from MLflow runs its code anyway: this file.
        folder = Path(context.artifacts["winner"])
        self._model, self._card = load_model(folder, self._device, trust_user_code=True)

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: Any = None
    ) -> pd.DataFrame:
        """Return a row of class probabilities for each row's `image`, the bytes of an image file.

        Raises:
            InvalidImageError: one is not a usable image.
        """
        images = np.stack([decode(data, self._card.size) for data in model_input["image"]])
        logits = predict_logits(self._model, torch.from_numpy(images).to(self._device))
        probs = logits.softmax(1).cpu().double().numpy()
        return pd.DataFrame(probs, columns=list(self._card.classes))


set_model(WinnerModel())
