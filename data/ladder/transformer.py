"""The model of the ladder: a decoder-only Transformer over bytes, and what it counts."""

from __future__ import annotations

import torch
from counts import VOCABULARY
from torch import Tensor, nn
from torch.nn import functional


def turned(vectors: Tensor, angles: Tensor) -> Tensor:
    """Turn each pair of coordinates by its angle at the position: rotary positions (Su et al. 2021)."""
    half = vectors.shape[-1] // 2
    first, second = vectors[..., :half], vectors[..., half : 2 * half]
    cosine, sine = angles.cos(), angles.sin()
    pairs = (first * cosine - second * sine, first * sine + second * cosine, vectors[..., 2 * half :])
    return torch.cat(pairs, dim=-1)


class Block(nn.Module):
    """Causal attention and a squared-ReLU feed-forward layer, each after a layer norm and added to the stream."""

    def __init__(self, width: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width, bias=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.attended = nn.Linear(width, width, bias=False)
        self.feedforward_norm = nn.LayerNorm(width, bias=False)
        self.up = nn.Linear(width, feedforward, bias=False)
        self.down = nn.Linear(feedforward, width, bias=False)

    def forward(self, stream: Tensor, angles: Tensor) -> Tensor:
        """Return the stream of (sequence, position, width) with what this block adds."""
        shape = stream.shape
        qkv = self.qkv(self.attention_norm(stream)).view(*shape[:2], 3, self.heads, shape[2] // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        query, key = turned(torch.stack((query, key)), angles)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        stream = stream + self.attended(mixed.transpose(1, 2).reshape(shape))
        return stream + self.down(functional.relu(self.up(self.feedforward_norm(stream))).square())


class Transformer(nn.Module):
    """Decoder-only Transformer with rotary positions; the output layer is the token embedding.

    Matrices start with a standard deviation of one over the root of their inputs, those that write into the stream
    divided by the root of twice the depth; the embedding with .02.
    """

    def __init__(self, depth: int, width: int, heads: int, feedforward: int, context: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        half = width // heads // 2
        frequencies = 1000.0 ** (-torch.arange(half) / max(half, 1))
        self.register_buffer("angles", torch.arange(context)[:, None] * frequencies, persistent=False)
        self.blocks = nn.ModuleList(Block(width, heads, feedforward) for _ in range(depth))
        self.norm = nn.LayerNorm(width, bias=False)
        for name, weight in self.named_parameters():
            if "norm" in name:
                continue
            if name == "tokens.weight":
                deviation = 0.02
            else:
                deviation = weight.shape[1] ** -0.5
                if "attended" in name or "down" in name:
                    deviation /= (2 * depth) ** 0.5
            nn.init.normal_(weight, std=deviation)

    def forward(self, text: Tensor) -> Tensor:
        """Return the loss of each token of (sequence, position) given those before it, in nats."""
        inputs, targets = text[:, :-1], text[:, 1:]
        stream = self.tokens(inputs)
        for block in self.blocks:
            stream = block(stream, self.angles)
        logits = functional.linear(self.norm(stream), self.tokens.weight)
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        return loss.view(targets.shape)
