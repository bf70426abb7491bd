"""The winner as MLflow loads it; MLflow runs this file, and no pickle is involved."""

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
    """Takes pictures, encoded (JPEG, PNG, …) and of any size; gives probabilities by class."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model from its folder."""
        self._device = pick_device()
        # Who loads a model from MLflow runs its code anyway: this file.
        folder = Path(context.artifacts["winner"])
        self._model, self._card = load_model(folder, self._device, allow_own_code=True)

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: Any = None
    ) -> pd.DataFrame:
        """A row of probabilities for each row's `picture`, the bytes of a picture file.

        Raises:
            BadPictureError: one is no usable picture.
        """
        images = np.stack([decode(data, self._card.size) for data in model_input["picture"]])
        logits = predict_logits(self._model, torch.from_numpy(images).to(self._device))
        shares = logits.softmax(1).cpu().double().numpy()
        return pd.DataFrame(shares, columns=list(self._card.classes))


set_model(WinnerModel())
