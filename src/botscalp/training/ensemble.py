"""Several forecasters as one. Shapes: M members, R rows."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from botscalp.features.samples import Timeline
from botscalp.training.examples import Examples
from botscalp.training.fit import FitReport, OnEpoch
from botscalp.training.forecaster import Forecaster
from botscalp.types import Float32, Float64, Int64

MIXTURE = "mixture"


class EnsembleForecaster:
    """The mixture of its members' probabilities.

    Args:
        members: unfitted.
        stack: whether the mixture is fitted, on the rows that also say when to stop; else every member counts alike.
    """

    def __init__(self, members: Sequence[Forecaster], *, stack: bool) -> None:
        self.members = members
        self.stack = stack
        self.mixture_M = np.full(len(members), 1 / len(members))

    def fit(self, examples: Examples, *, seed: int, on_epoch: OnEpoch) -> FitReport:
        """Fit one member after another; the history is that of all of them."""
        whole = FitReport()
        for number, member in enumerate(self.members):
            report = member.fit(examples, seed=seed + number, on_epoch=lambda epoch, metrics: on_epoch(1, metrics))
            whole.history += report.history
            whole.samples += report.samples
            whole.seconds += report.seconds
            whole.steps_s += report.steps_s
        if self.stack:
            p_MR = self._each(examples.x_NF, examples.timeline, examples.stopping_rows)
            self.mixture_M = mixture_weights(p_MR, examples.label_N[examples.stopping_rows])
        return whole

    def predict(self, *, x_NF: Float32, timeline: Timeline, rows: Int64) -> Float64:
        """The members' mean, or weighted mean."""
        p_R: Float64 = np.sum(self._each(x_NF, timeline, rows) * self.mixture_M[:, None], axis=0)
        return p_R

    def weights(self) -> dict[str, Tensor]:
        """Each member's, by its number."""
        found = {
            f"{number}.{name}": tensor
            for number, member in enumerate(self.members)
            for name, tensor in member.weights().items()
        }
        return found | {MIXTURE: torch.from_numpy(self.mixture_M)}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        mixture = weights.get(MIXTURE)
        if mixture is None or len(mixture) != len(self.members):
            raise RuntimeError(f"not the weights of an ensemble of {len(self.members)}")
        self.mixture_M = mixture.numpy()
        for number, member in enumerate(self.members):
            prefix = f"{number}."
            member.load({name.removeprefix(prefix): one for name, one in weights.items() if name.startswith(prefix)})

    def _each(self, x_NF: Float32, timeline: Timeline, rows: Int64) -> Float64:
        """Every member's probabilities, shape (M, R)."""
        return np.stack([member.predict(x_NF=x_NF, timeline=timeline, rows=rows) for member in self.members])


def mixture_weights(p_MR: Float64, label_R: Float32) -> Float64:
    """Weights of at least 0 that sum to 1, with the lowest log loss on the labels; shape (M,).

    The loss is convex in the weights, so what a descent finds is the best there is.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    likelihood_MR = np.where(label_R == 1.0, p_MR, 1 - p_MR)

    def loss(weight_M: Float64) -> tuple[float, Float64]:
        mixed_R = weight_M @ likelihood_MR
        return -float(np.log(mixed_R).mean()), -(likelihood_MR / mixed_R).mean(axis=1)

    members = len(p_MR)
    with threadpool_limits(1):  # the last bits of LAPACK depend on its threads
        found = minimize(
            loss,
            np.full(members, 1 / members),
            jac=True,
            method="SLSQP",
            bounds=[(0.0, 1.0)] * members,
            constraints={
                "type": "eq",
                "fun": lambda weight_M: weight_M.sum() - 1.0,
                "jac": lambda weight_M: np.ones(members),
            },
            options={"ftol": 1e-10},
        )
    weight_M: Float64 = np.maximum(found.x, 0.0)
    weight_M /= weight_M.sum()
    return weight_M
