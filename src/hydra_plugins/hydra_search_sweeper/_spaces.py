"""What is searched: Hydra's sweeps as Optuna's distributions, and their values as overrides again."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Transformer
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution


@dataclass(frozen=True, kw_only=True)
class Space:
    """One searched key."""

    name: str
    """the key, without the + of an override that adds it"""
    key: str
    """with it"""
    distribution: BaseDistribution
    values: Mapping[Any, str] | None
    """each value as text, in the order typed; None where there are too many to list"""

    def word(self, value: Any) -> str:
        """The override that sets the value."""
        return f"{self.key}={self.values[value] if self.values and value in self.values else repr(value)}"


def space_of(override: Override) -> Space:
    """The space that a sweep spans.

    Raises:
        ValueError: one that no sampler can draw from.
    """
    name, sweep = name_of(override), override.value()
    if isinstance(sweep, IntervalSweep):
        return Space(name=name, key=override.get_key_element(), distribution=_interval(override, sweep), values=None)
    values, texts = _listed(override)
    if not values:
        raise ValueError(f"{override.input_line}: holds no value\n  remedy: name one at least")
    distribution: BaseDistribution = CategoricalDistribution(values)
    if isinstance(sweep, RangeSweep) and len(values) > 1 and all(isinstance(value, int) for value in values):
        distribution = IntDistribution(min(values), max(values), step=abs(int(sweep.step)))
    return Space(
        name=name,
        key=override.get_key_element(),
        distribution=distribution,
        values=dict(zip(values, texts, strict=True)),
    )


def name_of(override: Override) -> str:
    """The key, with the place of a group that is chosen for another one, and without + or ~."""
    return override.key_or_group if override.package is None else f"{override.key_or_group}@{override.package}"


def _interval(override: Override, sweep: IntervalSweep) -> BaseDistribution:
    low, high, log = sweep.start, sweep.end, "log" in sweep.tags
    assert low is not None and high is not None
    if not low < high or (log and low <= 0):
        above = ", and both above 0 on a logarithmic scale" if log else ""
        raise ValueError(f"{override.input_line}: is no interval\n  remedy: write the smaller end first{above}")
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _listed(override: Override) -> tuple[list[Any], list[str]]:
    """The values, each once, and as they are typed; in order, for shuffling is the sampler's business."""
    sweep = override.value()
    if isinstance(sweep, RangeSweep):
        numbers = list(sweep.range())
        return numbers, [str(number) for number in numbers]
    plain: list[Any] = list(sweep.list) if isinstance(sweep, ChoiceSweep) else list(override.sweep_iterator())
    texts = {Transformer.str(value): Transformer.encode(value) for value in plain}
    values = list(texts.values())
    if len(set(values)) < len(values):  # 1, 1.0 and true are equal here, but not to who typed them
        values = list(texts)
    return values, list(texts)


def combinations(spaces: Sequence[Space]) -> Iterator[dict[str, Any]]:
    """The cartesian product, the last key turning fastest.

    Raises:
        ValueError: a space has no end of values.
    """
    for space in spaces:
        if space.values is None:
            raise ValueError(
                f"{space.key}: a grid cannot list all values of an interval\n"
                f"  remedy: name them, e.g. {space.key}=choice(...) or range(...), or use hydra.sweeper.sampler=tpe"
            )
    lists = [[(space.name, value) for value in space.values or ()] for space in spaces]
    return (dict(pairs) for pairs in itertools.product(*lists))
