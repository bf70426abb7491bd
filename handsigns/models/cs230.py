"""CS230 model: the network of Stanford's hand-signs project."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CS230Net(nn.Module):
    """Network of three conv-BN-pool-ReLU blocks (w, 2w, 4w channels) and two linear layers.

    Follows CS230's PyTorch vision example; dropout acts on the hidden layer of 4w units.

    Args:
        classes: number of classes K.
        channel_width: channels w of the first block.
        dropout: dropout probability of the hidden layer.
        size: height and width of the images in pixels, at least 8.
    """

    def __init__(self, classes: int, channel_width: int, dropout: float, size: int) -> None:
        super().__init__()
        w = channel_width
        self.conv1, self.bn1 = nn.Conv2d(3, w, 3, padding=1), nn.BatchNorm2d(w)
        self.conv2, self.bn2 = nn.Conv2d(w, 2 * w, 3, padding=1), nn.BatchNorm2d(2 * w)
        self.conv3, self.bn3 = nn.Conv2d(2 * w, 4 * w, 3, padding=1), nn.BatchNorm2d(4 * w)
        self.fc1, self.fcbn1 = nn.Linear((size // 8) ** 2 * 4 * w, 4 * w), nn.BatchNorm1d(4 * w)
        self.fc2 = nn.Linear(4 * w, classes)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, H, W), normalised float, to logits (B, K)."""
        for conv, bn in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = F.relu(F.max_pool2d(bn(conv(x)), 2))
        x = F.relu(self.fcbn1(self.fc1(torch.flatten(x, 1))))
        logits: Tensor = self.fc2(F.dropout(x, self.dropout, self.training))
        return logits
