"""What a Transformer of the ladder counts: parameters both ways, and the FLOP of its matrix products."""

from __future__ import annotations

VOCABULARY = 256
"""One token is one byte."""


def params(depth: int, width: int, feedforward: int) -> int:
    """Parameters of the matrices of the blocks, N; biases there are none, the gains of the norms are left out."""
    return depth * (4 * width**2 + 2 * width * feedforward)


def params_embedding(width: int) -> int:
    """Parameters of the token embedding, which is the output layer too; positions have none."""
    return VOCABULARY * width


def training_flops(depth: int, width: int, feedforward: int, context: int) -> int:
    """FLOP of training for each token: every matrix product forward, and twice that backward.

    Each parameter of the blocks takes two; the output layer two for each of its own; a token attends to (context + 1)/2
    tokens on average, with two products of `width`. Norms, activations, rotations and softmax are not counted.
    """
    forward = 2 * params(depth, width, feedforward) + 2 * params_embedding(width) + 2 * depth * (context + 1) * width
    return 3 * forward
