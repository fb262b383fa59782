"""model=boosting: gradient-boosted trees over the last bar's features; which of them it splits by says which are worth having."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

from botscalp.types import Count, Fraction, Positive


@dataclass(frozen=True, kw_only=True)
class Boosting:
    """What a user sets about the trees."""

    trees: Count
    """at most"""
    leaves: Annotated[int, Ge(2)]
    """of a tree, at most"""
    lr: Positive
    """share of a tree's correction that is taken"""
    min_leaf_rows: Count
    """training rows in a leaf, at least"""
    dropped_features: Fraction
    """share of the features that a tree leaves out"""
    patience: Count
    """trees without a better stopping loss before the fit ends"""
