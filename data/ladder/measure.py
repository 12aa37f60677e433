"""What is measured along a run: the held-out loss, and the noise of the gradient."""

from __future__ import annotations

import numpy as np
import torch
from text import Text
from transformer import Transformer

AT_ONCE = 16
"""Held-out sequences in a forward pass."""
NOISE_BATCHES = 16
"""Small batches in an estimate of the gradient noise; their mean is the large batch."""
NOISE_SEQUENCES = 16
"""Sequences in each of them."""


@torch.no_grad()
def held_out(model: Transformer, text: Text, count: int) -> tuple[float, float]:
    """Return the mean loss over the first sequences of a text, in nats per token, and its standard error over them."""
    parts = [slice(at, min(at + AT_ONCE, count)) for at in range(0, count, AT_ONCE)]
    losses = torch.cat([model(text.rows(part)).double().mean(1) for part in parts])
    return float(losses.mean()), float(losses.std() / count**0.5)


def gradient_noise(model: Transformer, text: Text, seed: int, step: int) -> tuple[float, float]:
    """Return unbiased estimates of the squared gradient and of the trace of its covariance over tokens.

    Two batch sizes (McCandlish et al. 2018, appendix A.1): the squared norm of a gradient over B tokens is, on average,
    |G|^2 + tr(S)/B. The small norm is the mean over the small batches, the large one that of their mean gradient.
    """
    places = np.random.default_rng((seed, step, 1)).integers(len(text), size=(NOISE_BATCHES, NOISE_SEQUENCES))
    weights = list(model.parameters())
    mean, small = [torch.zeros_like(weight) for weight in weights], 0.0
    for rows in places:
        gradient = torch.autograd.grad(model(text.rows(rows)).mean(), weights)
        small += sum(float(part.double().square().sum()) for part in gradient) / NOISE_BATCHES
        for total, part in zip(mean, gradient, strict=True):
            total += part / NOISE_BATCHES
    large = sum(float(part.double().square().sum()) for part in mean)
    few, many = NOISE_SEQUENCES * text.context, NOISE_BATCHES * NOISE_SEQUENCES * text.context
    return (many * large - few * small) / (many - few), (small - large) / (1 / few - 1 / many)
