"""The kernel against the independent reference on so few markets that a kernel that is not compiled gets through them."""

import numpy as np
import pytest
from account_cases import random_account, random_brackets, random_rules
from against_reference import difference, reference_of
from backtest_cases import random_market, random_settings


@pytest.mark.parametrize("seed", range(4))
def test_one_symbol(seed: int) -> None:
    rng = np.random.default_rng([1, seed])
    for _ in range(25):
        rules, market = random_settings(rng), random_market(rng)
        assert difference(rules.run([market]), reference_of(rules, [market])) is None


@pytest.mark.parametrize("seed", range(4))
def test_accounts(seed: int) -> None:
    rng = np.random.default_rng([2, seed])
    for _ in range(25):
        rules, market = random_rules(rng), random_account(rng)
        by_window = random_brackets(rng, rules)
        assert difference(rules.run(market, by_window), reference_of(rules, market, by_window)) is None
