"""Exact counts of a decoder-only Transformer, after Table 1 of Kaplan et al. (2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bayes_scaling.errors import InvalidQuantity


@dataclass(frozen=True)
class Transformer:
    """Shape of a decoder-only Transformer: depth n_layer, width d_model, context n_ctx and vocabulary n_vocab.

    The attention output is as wide as the residual stream and the feed-forward layer four times as wide, unless
    ``attention``, d_attn, and ``feedforward``, d_ff, say otherwise. Without grouped queries the counts do not depend on the number of
    heads. What differs from GPT-2 is said by the rest.

    Parameters
    ----------
    depth, width, context, vocabulary : int
        Layers, width of the residual stream, tokens of context, tokens of the vocabulary.
    heads : int, optional
        Query heads of a layer.
    attention, feedforward : int, optional
        Widths of all heads together, and of the feed-forward layer, of one expert where there are several.
    kv_heads : int, optional
        Heads of keys and values, fewer than ``heads`` with grouped queries; needs ``heads``.
    gated : bool
        Whether the feed-forward layer has a third matrix, as SwiGLU and GeGLU do.
    tied : bool
        Whether the output layer shares the token embedding.
    positions : bool
        Whether positions have an embedding of their own; rotary ones have none.
    experts, active_experts, shared_experts : int
        Experts of each layer, those that a token passes, and those that every token passes beside them.

    Raises
    ------
    InvalidQuantity
        If a dimension is not a positive whole number, the heads do not divide the attention width, or the groups the heads.

    References
    ----------
    Kaplan et al. (2020), Table 1 and equations (2.1)-(2.2). Biases and layer norms are left out, as there.

    Examples
    --------
    GPT-2 with 1.5 billion parameters, the largest model of the paper:

    >>> gpt2 = Transformer(depth=48, width=1600, context=1024, vocabulary=50257, heads=25)
    >>> gpt2.params
    1474560000
    >>> round(gpt2.forward_flops / (2 * gpt2.params), 3)
    1.053

    Mixtral 8x7B, whose token passes two of eight experts:

    >>> moe = Transformer(depth=32, width=4096, context=32768, vocabulary=32000, heads=32, kv_heads=8, feedforward=14336,
    ...                   gated=True, tied=False, positions=False, experts=8, active_experts=2)
    >>> moe.params_total, moe.params_active
    (46702526464, 12617515008)
    """

    depth: int
    width: int
    context: int
    vocabulary: int
    heads: int | None = None
    attention: int | None = None
    feedforward: int | None = None
    kv_heads: int | None = None
    gated: bool = False
    tied: bool = True
    positions: bool = True
    experts: int = 1
    active_experts: int = 1
    shared_experts: int = 0

    def __post_init__(self) -> None:
        """Refuse a shape that no Transformer has."""
        for name, value in vars(self).items():
            if name in ("gated", "tied", "positions") or value is None or (name == "shared_experts" and value == 0):
                continue
            if isinstance(value, bool) or not value >= 1 or value % 1:
                raise InvalidQuantity(f"{name} of a Transformer is {value!r}: it has to be a positive whole number.")
        if self.heads is not None and self._attention % self.heads:
            raise InvalidQuantity(
                f"{self.heads} heads do not divide the attention width {self._attention}: give a divisor of it."
            )
        if self.kv_heads is not None and (self.heads is None or self.heads % self.kv_heads):
            raise InvalidQuantity(
                f"{self.kv_heads} heads of keys and values do not divide {self.heads or 'an unknown number of'} heads: give a divisor."
            )
        if self.active_experts > self.experts:
            raise InvalidQuantity(
                f"A token passes {self.active_experts} of {self.experts} experts: it can pass all at most."
            )

    @property
    def _attention(self) -> int:
        return self.attention or self.width

    @property
    def _keys(self) -> int:
        """Width of the keys of all heads together, and of the values."""
        return (
            self._attention if self.kv_heads is None or self.heads is None else self._attention // self.heads * self.kv_heads
        )

    def _without_embeddings(self, experts: int) -> int:
        """Parameters without embeddings of which a token sees so many experts."""
        feedforward = (3 if self.gated else 2) * self.width * (self.feedforward or 4 * self.width)
        router = self.width * self.experts if self.experts > 1 else 0
        layer = 2 * self.width * (self._attention + self._keys) + (experts + self.shared_experts) * feedforward + router
        return self.depth * layer

    @property
    def params(self) -> int:
        """Parameters without embeddings, those of all experts; N = 2 d_model n_layer (2 d_attn + d_ff) for GPT-2."""
        return self._without_embeddings(self.experts)

    @property
    def params_active(self) -> int:
        """Parameters without embeddings that a token passes."""
        return self._without_embeddings(self.active_experts)

    @property
    def params_embedding(self) -> int:
        """Parameters of the token and position embeddings, (n_vocab + n_ctx) d_model, and of an output layer of its own."""
        tables = (1 if self.tied else 2) * self.vocabulary + (self.context if self.positions else 0)
        return tables * self.width

    @property
    def params_total(self) -> int:
        """Parameters with embeddings and output layer."""
        return self.params + self.params_embedding

    @property
    def forward_flops(self) -> int:
        """FLOP of a forward pass for each token, 2 N + 2 n_layer n_ctx d_attn, N being what a token passes."""
        return 2 * self.params_active + 2 * self.depth * self.context * self._attention

    @property
    def training_flops(self) -> int:
        """FLOP of training for each token: the backward pass costs twice the forward one."""
        return 3 * self.forward_flops


def total_params(N: Any, *, gamma: float) -> Any:
    """Return the total count N + gamma N^(1/3) of a Transformer with N non-embedding parameters.

    Gamma is that of :func:`embedding_gamma`, after Pearce and Song (2024).

    >>> f"{total_params(1e9, gamma=47491):.4g}"
    '1.047e+09'
    """
    return N + gamma * N ** (1 / 3)


def nonembedding_params(N_total: Any, *, gamma: float) -> Any:
    """Return the count without embeddings whose total is ``N_total``, the inverse of :func:`total_params`.

    The cubic u^3 + gamma u = N_total for u = N^(1/3) has one real root, by Cardano's formula in the form without
    cancellation.

    >>> f"{nonembedding_params(total_params(1e9, gamma=47491), gamma=47491):.6g}"
    '1e+09'
    """
    third, half = gamma / 3, N_total / 2
    largest = (half + (half**2 + third**3) ** 0.5) ** (1 / 3)
    difference = third / largest
    # u = largest - difference, and largest^3 - difference^3 = N_total exactly.
    u = N_total / (largest**2 + largest * difference + difference**2)
    return u**3


def embedding_gamma(*, vocabulary: int, context: int, aspect_ratio: float) -> float:
    """Return the gamma of :func:`total_params`, (n_vocab + n_ctx) (A / 12)^(1/3), in parameters^(2/3).

    At a fixed aspect ratio A = d_model / n_layer, N = 12 d_model^3 / A and the embeddings hold (n_vocab + n_ctx) d_model
    parameters.

    >>> round(embedding_gamma(vocabulary=32000, context=2048, aspect_ratio=32))
    47215
    """
    return (vocabulary + context) * (aspect_ratio / 12) ** (1 / 3)
