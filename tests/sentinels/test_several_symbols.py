"""An audit of several symbols, by one model or one each: nothing that is decided or fitted knows what comes later."""

import pytest
from audits import SMALL, rules_of
from runs import composed

PERTURBED = ("future_perturbation_decisions", "future_perturbation_fit")


@pytest.mark.parametrize(
    "way", ["trainer.symbol_features=true", pytest.param("trainer.model_per=symbol", marks=pytest.mark.slow)]
)
def test_the_future_changes_nothing_of_any_symbol(way: str) -> None:
    rules = rules_of(composed(*SMALL, "data.symbols=[AAA,BBB]", "tracking=none", way), looking=True)
    assert [rules[name].result for name in PERTURBED] == ["clear", "clear"]
    assert "of 24" in rules["future_perturbation_decisions"].words
