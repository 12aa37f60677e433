"""One run, from its row of the plan to its row of the results; cut off anywhere, it goes on from its checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import corpus
import numpy as np
import torch
from measure import gradient_noise, held_out
from plan import Run
from text import Text
from transformer import Transformer

LARGEST_GRADIENT = 1.0
"""Norm that a gradient is cut back to."""


def optimizer_of(model: Transformer, run: Run) -> torch.optim.AdamW:
    """Return AdamW with weight decay on the matrices of the blocks only."""
    matrices = {name for name, weight in model.named_parameters() if "blocks" in name and weight.ndim == 2}
    decayed = [weight for name, weight in model.named_parameters() if name in matrices]
    others = [weight for name, weight in model.named_parameters() if name not in matrices]
    groups = [{"params": decayed, "weight_decay": run.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=run.lr, betas=(0.9, 0.95), fused=True)


class Training:
    """A run in training: model, optimizer, the curve so far, and the best point where it may stop early.

    Parameters
    ----------
    run : Run
        What to train.
    checkpoint : Path
        Where its state is kept; it stays until whoever called has kept the result.
    device : str
        Where torch computes.
    """

    def __init__(self, run: Run, checkpoint: Path, device: str) -> None:
        torch.manual_seed(run.seed)
        self.run, self.checkpoint, self.device = run, checkpoint, device
        self.model = Transformer(run.depth, run.width, run.heads, run.feedforward, run.context).to(device)
        self.optimizer = optimizer_of(self.model, run)
        text = np.memmap(corpus.FOLDER / "train.bin", dtype=np.uint8, mode="r")
        self.text = Text(text[: min(len(text), run.dataset_tokens + 1)], run.context, device)
        self.heldout = Text(np.fromfile(corpus.FOLDER / "heldout.bin", dtype=np.uint8), run.context, device)
        self.step, self.seconds = 0, 0.0
        self.curve: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {"loss": float("inf")}
        self._resume()

    def train(self, interval: float, saved: Callable[[int], None] = lambda step: None) -> tuple[dict, list[dict]]:
        """Train what is left, keeping a checkpoint every so many seconds, and return the run's row and its curve."""
        points, kept = set(self.run.curve_steps()), time.monotonic()
        while not self._finished():
            started = time.monotonic()
            loss = self._update()
            if self.step in points:
                self._measure(loss)
            self.seconds += time.monotonic() - started
            if time.monotonic() - kept > interval:
                kept = time.monotonic()
                self._save()
                saved(self.step)
        return self._result(), self.curve

    def _update(self) -> torch.Tensor:
        """Take one step, and return the loss of its batch before it."""
        run, sequences = self.run, self.run.batch_tokens // self.run.context
        self.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = run.lr_at(self.step)
        loss = self.model(self.text.batch(run.seed, (self.step - 1) * sequences, sequences)).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()

    def _measure(self, training_loss: torch.Tensor) -> None:
        """Add a point to the curve, and keep the weights where they are the best so far."""
        run = self.run
        loss, error = held_out(self.model, self.heldout, min(run.evaluated, len(self.heldout)))
        noise = gradient_noise(self.model, self.text, run.seed, self.step) if run.noise else ("", "")
        self.curve.append(
            {
                "run_id": run.run_id,
                "steps": self.step,
                "tokens": self.step * run.batch_tokens,
                "loss": loss,
                "heldout_se": error,
                "training_loss": float(training_loss),
                "gradient_squared": noise[0],
                "gradient_trace": noise[1],
            }
        )
        if run.patience and loss < self.best["loss"]:
            weights = {name: weight.clone() for name, weight in self.model.state_dict().items()}
            self.best = {"loss": loss, "step": self.step, "model": weights}

    def _outcome(self) -> str:
        losses = [point["loss"] for point in self.curve]
        if losses and not np.isfinite(losses[-1]):
            return "diverged"
        return "early" if self.run.has_turned(losses) else "horizon"

    def _finished(self) -> bool:
        return self.step >= self.run.steps or self._outcome() != "horizon"

    def _result(self) -> dict[str, Any]:
        run, outcome, steps = self.run, self._outcome(), self.step
        if run.patience and outcome != "diverged":
            self.model.load_state_dict(self.best["model"])
            steps = self.best["step"]
        loss, error = held_out(self.model, self.heldout, len(self.heldout))
        return {
            "run_id": run.run_id,
            "series": run.series,
            "params": run.params,
            "params_total": run.params_total,
            "tokens": steps * run.batch_tokens,
            "dataset_tokens": run.dataset_tokens,
            "epochs": round(steps * run.batch_tokens / run.dataset_tokens, 4),
            "batch_tokens": run.batch_tokens,
            "steps": steps,
            "compute_flops": 6 * run.params * steps * run.batch_tokens,
            "flops_per_token": run.flops_per_token,
            "loss": round(loss, 6),
            "heldout_se": round(error, 6),
            **{name: getattr(run, name) for name in ("depth", "width", "heads", "feedforward", "context")},
            **{name: getattr(run, name) for name in ("lr", "warmup_steps", "schedule", "weight_decay", "seed")},
            "horizon_steps": run.steps,
            "outcome": outcome,
            "seconds": round(self.seconds, 1),
            "device": self.device,
            "torch": torch.__version__,
        }

    def _save(self) -> None:
        """Keep the state, whole or not at all."""
        state = {name: getattr(self, name) for name in ("step", "seconds", "curve", "best")}
        state |= {"run": asdict(self.run), "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        new = self.checkpoint.with_suffix(".new")
        torch.save(state, new)
        new.replace(self.checkpoint)

    def _resume(self) -> None:
        """Go on from the checkpoint, where there is one of the same run."""
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        if state["run"] == asdict(self.run):
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            for name in ("step", "seconds", "curve", "best"):
                setattr(self, name, state[name])
