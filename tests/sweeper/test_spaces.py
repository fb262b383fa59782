"""Hydra's sweeps as spaces: what is drawn lies in them, and is read back as it was drawn."""

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hydra_plugins.hydra_search_sweeper._spaces import Space, combinations, space_of

PARSER = OverridesParser.create()


def space(word: str) -> Space:
    return space_of(PARSER.parse_override(word))


@pytest.mark.parametrize(
    ("word", "distribution"),
    [
        ("a=choice(3,5,10)", CategoricalDistribution([3, 5, 10])),
        ("a=gru,lstm", CategoricalDistribution(["gru", "lstm"])),
        ("a=true,false", CategoricalDistribution([True, False])),
        ("a=shuffle(choice(1,2))", CategoricalDistribution([1, 2])),
        ("a=range(10,41,10)", IntDistribution(10, 40, step=10)),
        ("a=range(1,4)", IntDistribution(1, 3)),
        ("a=interval(0.5,2)", FloatDistribution(0.5, 2.0)),
        ("a=int(interval(16,128))", IntDistribution(16, 128)),
        ("a=tag(log,interval(1e-4,1e-2))", FloatDistribution(1e-4, 1e-2, log=True)),
        ("a=int(tag(log,interval(8,64)))", IntDistribution(8, 64, log=True)),
    ],
)
def test_distributions(word: str, distribution: object) -> None:
    assert space(word).distribution == distribution


@given(value=st.floats(1e-12, 1e12))
def test_a_number_is_read_back_as_it_was_drawn(value: float) -> None:
    word = space("+model.lr=interval(1e-12,1e12)").word(value)
    read = PARSER.parse_override(word)
    assert read.is_add() and read.key_or_group == "model.lr" and read.value() == value


@given(st.lists(st.sampled_from(["'a,b'", "[1,2]", "{a:1}", "true", "3", "gru", "1e-3"]), min_size=2, unique=True))
def test_a_choice_is_typed_again_as_it_was_typed(texts: list[str]) -> None:
    one = space(f"a=choice({','.join(texts)})")
    assert one.values is not None
    again = [PARSER.parse_override(one.word(value)).value() for value in one.values]
    assert again == [PARSER.parse_override(f"a={text}").value() for text in texts]


@given(
    low=st.integers(1, 50),
    span=st.integers(1, 50),
    seed=st.integers(0, 2**31),
    form=st.sampled_from(["interval({},{})", "tag(log,interval({},{}))", "int(interval({},{}))", "range({},{})"]),
)
def test_what_is_suggested_lies_in_its_space_and_is_read_back(low: int, span: int, seed: int, form: str) -> None:
    one = space(f"a={form.format(low, low + span)}")
    aside = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    value = aside.ask({one.name: one.distribution}).params[one.name]
    assert low <= value <= low + span
    read = PARSER.parse_override(one.word(value)).value()
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize("word", ["a=choice(1,true)", "a=0,false", "a=1,1.0"])
def test_values_that_python_takes_for_equal_are_two(word: str) -> None:
    typed = [str(value) for value in PARSER.parse_override(word).sweep_iterator()]
    one = space(word)
    assert [str(PARSER.parse_override(one.word(point["a"])).value()) for point in combinations([one])] == typed
    assert isinstance(one.distribution, CategoricalDistribution) and len(set(one.distribution.choices)) == 2


def test_a_grid_turns_the_last_key_fastest() -> None:
    grid = list(combinations([space("a=1,2"), space("b=x,y")]))
    assert grid == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]


def test_a_grid_cannot_list_an_interval() -> None:
    with pytest.raises(ValueError, match=r"a: a grid cannot list .*\n  remedy: name them, e.g. a=choice"):
        list(combinations([space("a=interval(0,1)")]))


@pytest.mark.parametrize("word", ["a=interval(2,1)", "a=tag(log,interval(0,1))"])
def test_an_empty_interval_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="write the smaller end first"):
        space(word)
