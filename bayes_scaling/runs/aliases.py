"""What trackers, trainers and tables call the columns of a run table: a guess is a sentence that is shown, never silent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

import pandas as pd

from bayes_scaling.quantities import BY_COLUMN
from bayes_scaling.runs.validate import as_numbers

ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "run_id": ("run_id", "run_name", "name", "run", "id", "model_name", "model"),
    "state": ("state", "status", "run_state"),
    "params": (
        *("params", "non_embedding_params", "params_non_embedding", "num_params_non_embedding", "n_non_embedding"),
        *(
            "non_embedding_parameters",
            "n_params_non_emb",
            "num_params",
            "n_params",
            "nparams",
            "param_count",
            "params_count",
        ),
        *(
            "num_parameters",
            "n_parameters",
            "parameters",
            "parameter_count",
            "model_params",
            "model_parameters",
            "trainable_params",
        ),
        *("num_trainable_params", "active", "active_params", "n_active", "model_size", "n", "size"),
    ),
    "params_total": (
        "params_total",
        "total_params",
        "total_parameters",
        "n_params_total",
        "params_with_embedding",
        "n_total",
    ),
    "params_embedding": ("params_embedding", "embedding_params"),
    "tokens": (
        *("tokens", "train_tokens", "tokens_seen", "num_input_tokens_seen", "total_tokens", "n_tokens", "num_tokens"),
        *("consumed_tokens", "training_tokens", "tokens_total", "tokens_trained", "tokens_processed", "token_count"),
        *("n_train_tokens", "num_train_tokens", "d"),
    ),
    "dataset_tokens": ("dataset_tokens", "unique_tokens", "tokens_unique", "tokens_per_epoch", "dataset_size_tokens"),
    "epochs": ("epochs", "epoch", "num_epochs"),
    "batch_tokens": (
        *(
            "batch_tokens",
            "tokens_per_step",
            "tokens_per_batch",
            "global_batch_tokens",
            "batch_size_tokens",
            "tokens_per_iter",
        ),
        *("batch_size_in_tokens", "tokens_per_update", "tokens_per_iteration"),
    ),
    "steps": (
        *(
            "trainer_global_step",
            "global_step",
            "train_global_step",
            "steps",
            "train_steps",
            "iteration",
            "iterations",
            "iter",
        ),
        *("step", "num_steps", "n_steps", "max_steps", "update", "updates"),
    ),
    "compute_flops": (
        "compute_flops",
        "total_flops",
        "total_flos",
        "train_flops",
        "training_flops",
        "flops",
        "flos",
        "budget_flops",
        "compute",
        "budget",
        "c",
    ),
    "lr": ("peak_lr", "max_lr", "peak_learning_rate", "max_learning_rate", "base_lr", "learning_rate", "lr"),
    "schedule": ("schedule", "lr_scheduler_type", "lr_scheduler", "lr_schedule", "scheduler"),
    "warmup": ("warmup", "warmup_steps", "warmup_iters", "num_warmup_steps"),
    "optimizer": ("optimizer", "optim", "optimiser"),
    "corpus": ("corpus", "dataset", "dataset_name", "data"),
    "arch": ("arch", "architecture", "model_type"),
    "seed": ("seed", "random_seed"),
    "loss_unit": ("loss_unit",),
}
"""Names of each column, folded, the likeliest first."""

SHAPE: Final[dict[str, tuple[str, ...]]] = {
    "depth": ("depth", "n_layer", "n_layers", "num_layers", "num_hidden_layers", "layers"),
    "width": ("width", "d_model", "n_embd", "hidden_size", "dim", "model_dim", "embed_dim", "embedding_dim"),
    "heads": ("heads", "n_head", "n_heads", "num_heads", "num_attention_heads"),
    "kv_heads": ("kv_heads", "num_key_value_heads", "n_kv_heads", "n_kv_head", "num_kv_heads", "num_query_groups"),
    "head_width": ("head_dim", "head_width", "d_head", "kv_channels"),
    "feedforward": (
        "feedforward",
        "intermediate_size",
        "d_ff",
        "ffn_dim",
        "ffn_hidden_size",
        "n_inner",
        "mlp_dim",
        "hidden_dim",
    ),
    "expert_width": ("moe_intermediate_size", "expert_width", "moe_ffn_hidden_size", "expert_ffn_dim"),
    "vocabulary": ("vocabulary", "vocab_size", "n_vocab", "padded_vocab_size"),
    "context": ("context", "n_positions", "n_ctx", "block_size", "max_position_embeddings", "max_seq_len", "seq_len"),
    "activation": ("activation", "hidden_act", "activation_function", "mlp_activation", "act"),
    "tied": ("tied", "tie_word_embeddings", "tie_embeddings", "weight_tying", "tied_embeddings"),
    "experts": ("experts", "num_local_experts", "num_experts", "n_experts", "n_routed_experts", "moe_num_experts"),
    "active_experts": (
        "active_experts",
        "num_experts_per_tok",
        "moe_top_k",
        "experts_per_token",
        "top_k_experts",
        "moe_router_topk",
    ),
    "shared_experts": ("shared_experts", "n_shared_experts", "num_shared_experts"),
}
"""Names of the shape of a Transformer in a configuration."""

BATCH: Final = (
    *("global_batch_size", "global_train_batch_size", "total_batch_size", "effective_batch_size", "batch_size_global"),
    *("total_train_batch_size", "n_batch_total"),
)
"""Sequences a step, of all devices and gradient accumulation together."""
PART_OF_BATCH: Final = (
    *(
        "per_device_train_batch_size",
        "per_device_batch_size",
        "micro_batch_size",
        "device_batch_size",
        "train_micro_batch_size",
    ),
    *("train_micro_batch_size_per_gpu", "train_batch_size", "batch_size", "batch", "bs"),
)
"""Sequences that one device takes at once: a step takes them times those of :data:`TIMES` that are there."""
LENGTH: Final = (
    *("seq_len", "seq_length", "sequence_length", "max_seq_length", "max_seq_len", "max_sequence_length", "context_length"),
    *("block_size", "n_ctx", "ctx_len", "max_length", "max_position_embeddings"),
)
"""Tokens a sequence."""
TIMES: Final = (
    ("gradient_accumulation_steps", "grad_accum_steps", "accumulate_grad_batches", "grad_accumulation"),
    ("world_size", "num_devices", "n_gpus", "num_gpus", "gpus", "devices", "data_parallel_size", "dp_size"),
)

_HELD_OUT: Final = re.compile(
    r"(?:^|[^a-z])(?:val|valid|validation|eval|evaluation|test|held_?out|dev)(?:[^a-z]|$)|^eval_|^val_"
)
_LOSS_WORDS: Final = (
    ("loss", "nll", "cross_entropy", "xent"),
    ("bpb", "bits_per_byte", "bpc", "bits_per_char", "bpt", "bits_per_token"),
    ("ppl", "perplexity"),
)
"""Words of names of losses, the kind that is taken first before the others."""
_NO_LOSS: Final = (
    "aux",
    "z_loss",
    "zloss",
    "balanc",
    "router",
    "scale",
    "std",
    "_min",
    "_max",
    "se",
    "unit",
    "delta",
    "best_",
)
_UNIT: Final = re.compile(r"[(\[]\s*(?:in )?(?:10\^?|1e)?(?P<unit>[a-z0-9/ ]+?)\s*[)\]]\s*$", re.IGNORECASE)
_SUFFIX: Final = re.compile(
    r"(?<=params|tokens|_flops|.sizes|meters)[_ ](?P<unit>[kmbtpe]|bn|mn|(?:m|b|tr)illions?)$", re.IGNORECASE
)
"""A unit as the last word of a name, ``params_m`` or ``tokens_billions``."""
_POWERS: Final = {"k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18, "z": 1e21, "y": 1e24}
_WORDS: Final = {
    **{
        "thousand": 1e3,
        "thousands": 1e3,
        "million": 1e6,
        "millions": 1e6,
        "billion": 1e9,
        "billions": 1e9,
        "trillion": 1e12,
    },
    **{"mn": 1e6, "bn": 1e9},
    **{"kilo": 1e3, "mega": 1e6, "giga": 1e9, "tera": 1e12, "peta": 1e15, "exa": 1e18, "zetta": 1e21, "yotta": 1e24},
}


_RATE: Final = re.compile(r"_per_(?:s|sec|second|hour|day|gpu)|_p?s$|(?:^|_)(?:tps|mfu|runtime)(?:_|$)")
_KNOWN: Final = {
    *(alias for aliases in (*ALIASES.values(), *SHAPE.values(), *TIMES, BATCH, PART_OF_BATCH, LENGTH) for alias in aliases)
}
"""Names of what is no loss, folded."""


def folded(name: str) -> str:
    """Return a name in the form in which aliases are compared: lower case, words joined by ``_``, no unit in brackets.

    >>> folded("Train/Num-Params (B)"), folded("nLayers")
    ('train_num_params', 'n_layers')
    """
    name = _SUFFIX.sub("", _UNIT.sub("", name.strip()).strip())
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def leaf(name: str) -> str:
    """Return the last part of a name with folders or dots, folded.

    >>> leaf("model.config/n_layer")
    'n_layer'
    """
    return folded(re.split(r"[./]", _UNIT.sub("", name.strip()))[-1])


def match(aliases: Iterable[str], names: Iterable[str]) -> str | None:
    """Return the first name that has one of some aliases, whole or as its last part, the likeliest alias first.

    >>> match(ALIASES["tokens"], ["loss", "train/tokens_seen"])
    'train/tokens_seen'
    """
    names = list(names)
    whole, last = {}, {}
    for name in reversed(names):
        whole[folded(name)], last[leaf(name)] = name, name
    for alias in aliases:
        if alias in whole or (alias in last and len(alias) > 1):
            return whole.get(alias) or last[alias]
    return None


def power_of(name: str) -> float:
    """Return the factor that a unit at the end of a column's name states, in brackets or as its last word.

    >>> power_of("FLOPs (P)"), power_of("tokens_b"), power_of("params [millions]"), power_of("loss (nats)")
    (1000000000000000.0, 1000000000.0, 1000000.0, 1.0)
    """
    found = _UNIT.search(name.strip()) or _SUFFIX.search(name.strip())
    if found is None:
        return 1.0
    unit = found["unit"].strip()
    if unit.isdigit():
        return 10.0 ** int(unit) if int(unit) <= 30 else 1.0
    word = re.sub(r"[ -]?(?:flops?|flop/?s?|tokens?|params?|parameters?)$", "", unit, flags=re.IGNORECASE).strip().lower()
    return _WORDS.get(word) or _POWERS.get(word, 1.0)


def numbers_named(cells: pd.Series, name: str) -> pd.Series:
    """Return cells as numbers, in the unit that their column's name states, unless a cell states one itself.

    >>> numbers_named(pd.Series(["17", "30"]), "params (M)").tolist(), numbers_named(pd.Series(["17M", "30M"]), "params (M)").tolist()
    ([17000000.0, 30000000.0], [17000000.0, 30000000.0])
    """
    own = cells.map(lambda cell: isinstance(cell, str) and cell.strip()[-1:].isalpha()).any()
    return as_numbers(cells) * (1.0 if own else power_of(name))


def losses_of(names: Iterable[str]) -> list[str]:
    """Return the names that may be the loss: held-out ones where there are any, perplexities where there is nothing else.

    >>> losses_of(["train/loss", "val/loss", "val/ppl", "lr"])
    ['val/loss']
    """
    names = list(names)
    for words in _LOSS_WORDS:
        found = [name for name in names if any(word in folded(name) for word in words) and not _is_aside(name)]
        held_out = [name for name in found if is_held_out(name)]
        whole = next((name for name in ("eval_loss", "loss") if name in (held_out or found)), None)
        if whole:
            return [whole]
        if found:
            return held_out or found
    return []


def _is_aside(name: str) -> bool:
    words = folded(name)
    return any(words.endswith(aside) if aside.startswith("_") or aside == "se" else aside in words for aside in _NO_LOSS)


def is_held_out(name: str) -> bool:
    """Whether a metric is measured on held-out text, by its name.

    >>> [is_held_out(name) for name in ("val/loss", "eval_loss", "Val Loss", "train_loss", "interval")]
    [True, True, True, False, False]
    """
    return _HELD_OUT.search(name.strip().lower()) is not None


def likely(column: str, names: Iterable[str]) -> str | None:
    """Return the name that most looks like a column, or like a name of one: by an alias, its spelling, or a part of it.

    What is measured a second, such as ``tokens_per_second``, is no amount. A loss without a name of its kind may be the one column that
    is nothing else.

    >>> likely("tokens", ["Trained toks", "tokns", "lr"]), likely("Val losss", ["FLOPs", "Val loss"])
    ('tokns', 'Val loss')
    >>> likely("tokens", ["tokens_per_second"]), likely("loss", ["width", "tokens", "paloma macro"])
    (None, 'paloma macro')
    """
    names, aliases = [name for name in names if not _RATE.search(folded(name))], ALIASES.get(column, (folded(column),))
    found = match(aliases, names) or next(iter(losses_of(names) if column == "loss" else []), None)
    if found:
        return found
    by_form = {folded(name): name for name in names}
    near = next((near for alias in aliases if (near := get_close_matches(alias, by_form, 1, 0.75))), [])
    if near:
        return by_form[near[0]]
    stem = column.removesuffix("s").split("_")[0].lower()
    of_stem = next((name for form, name in by_form.items() if len(stem) > 2 and stem in form), None)
    if of_stem or column != "loss":
        return of_stem
    unknown = [name for form, name in by_form.items() if not {form, leaf(name)} & _KNOWN]
    return unknown[0] if len(unknown) == 1 else None


def likely_columns(columns: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return what to give for columns that a table lacks, by the likely match for each: one remark, or none where nothing is like them.

    >>> likely_columns(["loss", "params", "tokens"], ["Val Loss", "Parameters"])
    ["likely --columns 'loss=Val Loss,params=Parameters' (in Python columns={'loss': 'Val Loss', 'params': 'Parameters'})"]
    >>> likely_columns(["params", "compute_flops"], ["loss", "tokens"])
    []
    """
    own = list(names)
    free = [name for name in own if name not in BY_COLUMN or name == "params_total"]
    found: dict[str, str] = {}
    for column in dict.fromkeys(columns):
        near = None if column in own else likely(column, free)
        if near is not None:
            found[column] = near
            free.remove(near)
    pairs = ",".join(f"{ours}={theirs}" for ours, theirs in found.items())
    return [f"likely --columns '{pairs}' (in Python columns={found})"] if found else []
