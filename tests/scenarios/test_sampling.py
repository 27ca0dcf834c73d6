"""Monte Carlo samples: the same for the same seed, and in the long run what theory says."""

from __future__ import annotations

import math

import pytest

from planner.errors import InputError
from planner.infrastructure.loading import load_model
from planner.scenarios.combinations import pair_frequency_per_year
from planner.scenarios.components import Reach, components
from planner.scenarios.sampling import monte_carlo, occurrences

YEARS = 20_000
SEED = 7
#: Failures are counts, whose standard deviation is about their root; none is five of these off.
DEVIATIONS = 5.0


@pytest.fixture(scope="module")
def model():
    return load_model("tiny", ()).model


@pytest.fixture(scope="module")
def sample(model):
    return {one.name: one for one in monte_carlo(model, YEARS, SEED)}


def close(count: float, expected: float, bias: float) -> bool:
    """Whether a count is what was expected, up to chance and a relative bias."""
    return abs(count - expected) <= DEVIATIONS * math.sqrt(expected) + bias * expected


def test_same_seed_same_sample(model):
    assert monte_carlo(model, 50, 3) == monte_carlo(model, 50, 3)
    assert monte_carlo(model, 50, 3) != monte_carlo(model, 50, 4)


def test_single_failures_occur_at_their_rates(model, sample):
    """All rates times repair times together are 1 %: so many fall into another outage."""
    for one in components(model):
        if one.failures_per_year:
            count = sample[one.name].frequency_per_year * YEARS
            assert close(count, one.failures_per_year * YEARS, 0.02), one.name


def test_pairs_occur_at_their_rates(model, sample):
    """λ1·λ2·(r1 + r2), up to chance and the same 2 %."""
    west, east, provider = (
        next(one for one in components(model) if one.name == name)
        for name in ("unit-west-chillers", "unit-east-chillers", "provider-cloudy")
    )
    for one, other in ((west, east), (west, provider), (east, provider)):
        count = sample[f"{one.name}-and-{other.name}"].frequency_per_year * YEARS
        assert close(count, pair_frequency_per_year(one, other) * YEARS, 0.02)


@pytest.mark.parametrize(("plant", "units"), [("west-chillers", 2), ("east-chillers", 3)])
def test_units_of_a_plant_fail_one_by_one(sample, plant, units):
    """n·λ failures meet n − 1 others under way or to come within a day: n·(n − 1)·λ²·r."""
    expected = units * (units - 1) * 0.5**2 * 24 / 8760 * YEARS
    count = sample[f"2-units-{plant}"].frequency_per_year * YEARS
    assert close(count, expected, 0.02)
    assert sample[f"2-units-{plant}"].severity == "double"


def test_sampled_scenarios_equal_those_of_pairs(model, sample):
    pair = sample["unit-west-chillers-and-unit-east-chillers"]
    assert pair.severity == "double"
    assert [event.repair_minutes for event in pair.events] == [1440.0, 1440.0]
    single = sample["region-west"]
    assert single.severity == "region"
    assert single.events == next(s.events for s in model_singles(model) if s.name == single.name)


def model_singles(model):
    return [one.scenario for one in components(model)]


def test_components_with_a_rate_of_zero_never_fail(sample):
    assert not [name for name in sample if "west-air" in name and "plant" not in name]


def test_frequencies_add_up_to_the_failures_counted(model):
    """Every failure that changes what is down is one occurrence."""
    parts = components(model)
    found = occurrences(parts, Reach.of(model), 300, SEED)
    total = sum(one.frequency_per_year for one in monte_carlo(model, 300, SEED))
    assert total * 300 == pytest.approx(sum(found.values()))


def test_failures_contained_in_others_are_not_counted():
    """A plant that fails while its region is lost changes nothing."""
    often = load_model(
        "tiny",
        (
            "generators={region: {severity: region, frequency_per_year: 5, repair_hours: 700},"
            " plant: {severity: common, frequency_per_year: 5, repair_hours: 700}}",
        ),
    ).model
    names = {one.name for one in monte_carlo(often, 200, 1)}
    assert "plant-west-chillers-and-region-east" in names
    assert not [
        name
        for name in names
        if any(f"plant-{r}-chillers" in name and f"region-{r}" in name for r in ("west", "east"))
    ]


def test_far_too_many_years_are_refused(model):
    with pytest.raises(InputError, match="years can be sampled"):
        monte_carlo(model, 10_000_000, 0)
