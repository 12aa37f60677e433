"""Sequences of bytes: which of them a step sees follows from the seed and the step alone."""

from __future__ import annotations

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view


class Text:
    """A text cut into sequences that do not overlap, each with the byte after its last.

    Parameters
    ----------
    text : array of bytes
        The text.
    context : int
        Tokens in a sequence.
    device : str
        Where the sequences go.
    """

    def __init__(self, text: np.ndarray, context: int, device: str) -> None:
        self.context = context
        self.device = device
        self.sequences = sliding_window_view(text, context + 1)[::context]
        self._orders: dict[tuple[int, int], np.ndarray] = {}

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self.sequences)

    def rows(self, which: np.ndarray | slice) -> torch.Tensor:
        """Return some sequences, (sequence, context + 1)."""
        return torch.from_numpy(self.sequences[which].astype(np.int64)).to(self.device)

    def batch(self, seed: int, first: int, count: int) -> torch.Tensor:
        """Return the sequences at the places from `first` on in the epochs, each of which is shuffled anew."""
        place = np.arange(first, first + count)
        epoch, within = place // len(self), place % len(self)
        return self.rows(np.concatenate([self._order(seed, int(e))[within[epoch == e]] for e in np.unique(epoch)]))

    def _order(self, seed: int, epoch: int) -> np.ndarray:
        key = (seed, epoch)
        if key not in self._orders:
            while len(self._orders) > 1:
                self._orders.pop(next(iter(self._orders)))
            self._orders[key] = np.random.default_rng(key).permutation(len(self))
        return self._orders[key]
