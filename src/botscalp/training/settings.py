"""The trainer group: how a head is fitted, whatever the head."""

from dataclasses import dataclass
from typing import Literal

from botscalp.errors import UserError
from botscalp.types import Count, Positive

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, kw_only=True)
class TrainerSettings:
    """What a user sets about the fit of one window."""

    sampling: Literal["samples", "sequences"]
    """samples: the lags of each bar by themselves. sequences: stretches of bars, each read once"""
    chunk: Count
    """bars of a stretch with a loss"""
    chunks: Count
    """stretches an optimiser step"""
    warmup_bars: Count
    """bars that a state is warmed up over before its logits are asked for, in prediction"""
    epochs: Count
    """passes over the training range, at most"""
    batch: Count
    """samples an optimiser step"""
    lr: Positive
    """learning rate of Adam"""
    patience: Count
    """epochs without a better stopping loss before the fit ends"""
    device: Literal["auto", "cpu", "cuda"]
    precision: Literal[32, "bf16-mixed"]
    """of the forward and backward pass; weights are always float32"""
    compile: bool
    """whether torch.compile makes the training passes, once a process, recurrent layers left as they are; prediction is never
    compiled: it is the same to the last bit everywhere"""
    days: Count | None
    """whole UTC days of each training range that are learnt from, drawn at random; None for all of it"""
    model_per: Literal["all", "symbol"]
    """all: one model learns from the rows of all symbols. symbol: each has a model, scaler and calibrator of its own"""
    symbol_features: bool
    """whether a model of several symbols is told which one a row is of"""
    window_workers: Count
    """fits at once, each in a process of its own; no figure depends on it"""

    def resolved_device(self) -> Device:
        """The device that will be used; UserError where cuda is asked for and absent."""
        import torch

        available = torch.cuda.is_available()
        if self.device == "cuda" and not available:
            raise UserError(
                "trainer.device",
                "cuda",
                "torch sees no CUDA device on this machine",
                "use trainer.device=auto or trainer.device=cpu",
            )
        return "cuda" if available and self.device != "cpu" else "cpu"


BASELINE = TrainerSettings(
    sampling="sequences",
    chunk=64,
    chunks=16,
    warmup_bars=64,
    epochs=5,
    batch=512,
    lr=1e-3,
    patience=2,
    device="auto",
    precision=32,
    compile=False,
    days=None,
    model_per="all",
    symbol_features=False,
    window_workers=1,
)
"""how the linear baseline is fitted beside every model"""
