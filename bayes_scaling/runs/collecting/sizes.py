"""Sizes that no run was logged with: counted from the shape in its configuration, or read off its name."""

from __future__ import annotations

import re
from typing import Any, Final

import pandas as pd

from bayes_scaling.errors import InvalidQuantity
from bayes_scaling.laws.transformer import Transformer
from bayes_scaling.runs.validate import as_numbers

_SIZE: Final = re.compile(r"(?:^|[^a-zA-Z0-9.])(?P<size>\d+(?:[._p]\d+)?\s?[kmb])(?=$|[^a-zA-Z0-9])", re.IGNORECASE)
_GATED: Final = {"silu", "swish", "swiglu", "geglu", "reglu", "glu", "gegelu"}


def sizes_in(names: pd.Series) -> pd.Series | None:
    """Return the size in the name of each run, where every name has one and only one.

    >>> sizes_in(pd.Series(["pythia-160m", "pythia-1.4b"])).tolist()
    [160000000.0, 1400000000.0]
    >>> sizes_in(pd.Series(["17M", "baseline"])) is None
    True
    """
    found = [_SIZE.findall(str(name)) for name in names]
    if not found or any(len(sizes) != 1 for sizes in found):
        return None
    numbers = as_numbers(pd.Series([re.sub(r"[_p]", ".", sizes[0].replace(" ", "")) for sizes in found], index=names.index))
    return None if numbers.isna().any() else numbers


def counted(shapes: pd.DataFrame, counts: str) -> tuple[pd.DataFrame, list[str], dict[Any, str]]:
    """Return parameters of the Transformers of a configuration a row, the rules by which they were counted, and what failed.

    ``counts`` is what a column ``params`` means, ``"non-embedding"`` or ``"total"``. A mixture of experts counts the experts that a token
    passes, and all of them in ``params_total``, unless ``params`` is the total itself.

    >>> shapes = pd.DataFrame({"depth": [12], "width": [768], "vocabulary": [50257], "context": [1024], "heads": [12]})
    >>> table, rules, failed = counted(shapes, "non-embedding")
    >>> table["params"].item(), rules[0]
    (84934656.0, 'params counted from depth and width: attention 4 d^2, feed-forward 8 d^2 a layer, without embeddings, biases and norms')
    """
    rows, failed, rules = {}, {}, {}
    for place, shape in shapes.iterrows():
        given = {name: value for name, value in shape.items() if not pd.isna(value) and value != ""}
        try:
            model = _transformer(given)
        except (InvalidQuantity, ValueError) as error:
            failed[place] = str(error)
            continue
        has_vocabulary = "vocabulary" in given
        row: dict[str, float] = {"params": float(model.params_active)}
        if has_vocabulary:
            row |= {"params_total": float(model.params_total), "params_embedding": float(model.params_embedding)}
            row["params"] = float(model.params_total if counts == "total" else model.params_active)
        elif model.experts > 1:
            row["params_total"] = float(model.params)
        rows[place] = row
        rules |= dict.fromkeys(_rules(model, given, counts))
    return pd.DataFrame.from_dict(rows, orient="index"), list(rules), failed


def _transformer(given: dict[str, Any]) -> Transformer:
    numbers = {
        name: int(as_numbers(pd.Series([value])).iloc[0])
        for name, value in given.items()
        if name not in ("activation", "tied")
    }
    heads, head = numbers.get("heads"), numbers.get("head_width")
    experts = numbers.get("experts", 1)
    width_of_expert = numbers.get("expert_width") if experts > 1 else None
    return Transformer(
        depth=numbers["depth"],
        width=numbers["width"],
        context=numbers.get("context", 1),
        vocabulary=numbers.get("vocabulary", 1),
        heads=heads,
        attention=heads * head if heads and head else None,
        feedforward=width_of_expert or numbers.get("feedforward"),
        kv_heads=numbers.get("kv_heads") if heads else None,
        gated=_is_gated(given),
        tied=_is_true(given.get("tied", True)),
        positions=not _is_gated(given),
        experts=max(experts, 1),
        active_experts=numbers.get("active_experts", 1) if experts > 1 else 1,
        shared_experts=numbers.get("shared_experts", 0) if experts > 1 else 0,
    )


def _is_gated(given: dict[str, Any]) -> bool:
    return str(given.get("activation", "")).lower() in _GATED


def _is_true(value: Any) -> bool:
    return str(value).strip().lower() in ("true", "1", "1.0")


def _rules(model: Transformer, given: dict[str, Any], counts: str) -> list[str]:
    """Return how the parameters were counted, in words."""
    grouped = model.kv_heads is not None and model.kv_heads != model.heads
    attention = "with grouped keys and values" if grouped else "4 d^2" if model.attention is None else "4 d d_attn"
    matrices = 3 if model.gated else 2
    forward = f"{matrices} d d_ff" if model.feedforward else f"{4 * matrices} d^2"
    count = "with embeddings" if counts == "total" else "without embeddings"
    rules = [
        f"params counted from depth and width: attention {attention}, feed-forward {forward} a layer, {count}, biases and norms"
    ]
    rules[0] = rules[0].replace("with embeddings, biases", "with embeddings, without biases")
    if model.gated:
        rules.append(
            f"the feed-forward layer is gated (three matrices) and positions are rotary, since activation = {given['activation']}"
        )
    elif "vocabulary" in given:
        rules.append(
            "positions have an embedding of their own, and the feed-forward layer two matrices: no gated activation was logged"
        )
    if "vocabulary" in given:
        said = "as logged" if "tied" in given else "assumed, as nothing was logged"
        rules.append(f"the output layer {'shares the token embedding' if model.tied else 'is its own'} ({said})")
    if model.experts > 1:
        which = (
            "all experts"
            if counts == "total"
            else f"the {model.active_experts} of {model.experts} experts that a token passes"
        )
        rules.append(f"params counts {which}; params_total all of them")
    return rules


MEANING: Final = {"non-embedding": "without embeddings", "total": "with embeddings"}
"""What a column ``params`` counts, in words."""
