"""The N+k rule: thresholds instead of a list of losses, by law, in the programme, to the constant.

With sizes q and counts n the capacity left after the loss of the k largest units is the largest of
``Σ_u min(q_u, λ)·n_u − k·λ`` over λ among the sizes and 0. Losses are enumerated here unit by unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import solved

from planner.infrastructure.entities import CoolingUnit, Model
from planner.infrastructure.failures import Generators
from planner.infrastructure.policies import FixedPurchases, Policies
from planner.laws.heat import capacity_after_losses_mw, threshold_capacity_mw
from planner.laws.money import annuity
from planner.optimization.formulation.algebra import Constraint
from planner.optimization.formulation.build import build
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.formulation.programme import Programme

PLANT = "west-chillers"
CLUSTER = "west-gpus"
#: Heat by which a plan is just within or just beyond; sizes are multiples of 0.25 MW.
JUST_MW = 1e-3


def worst_loss_mw(sizes: Sequence[float], counts: Sequence[int], lost: int) -> float:
    """Least capacity over all ways of losing so many units; nothing with fewer units than that."""
    units = [size for size, count in zip(sizes, counts, strict=True) for _ in range(count)]
    if len(units) <= lost:
        return 0.0
    return min(sum(units) - sum(gone) for gone in combinations(units, lost))


def thresholds_mw(sizes: Sequence[float], counts: Sequence[int], lost: int) -> float:
    """Largest of the lines of all thresholds."""
    named = {str(i): size for i, size in enumerate(sizes)}
    numbers = {str(i): count for i, count in enumerate(counts)}
    return max(
        sum(coefficient * count for coefficient, count in terms)
        for threshold in {0.0, *sizes}
        for terms in [threshold_capacity_mw(named, numbers, lost, threshold)]
    )


def one_plant(
    tiny: Model,
    sizes: Sequence[float],
    heat_mw: float,
    lost: int,
    *,
    prices: Sequence[float] | None = None,
    existing: Sequence[int] | None = None,
    max_added: int = 4,
    fixed: Sequence[int] | None = None,
) -> Model:
    """One region, one cluster, one plant and no failures: nothing costs anything but cooling."""
    names = [f"unit-{i}" for i in range(len(sizes))]
    units = {
        name: CoolingUnit(name=name, capacity_mw=size, capital_usd=price)
        for name, size, price in zip(names, sizes, prices or [1.0] * len(sizes), strict=True)
    }
    standing = existing or [0] * len(sizes)
    plant = tiny.plants[PLANT].replace(
        existing={n: c for n, c in zip(names, standing, strict=True) if c},
        options=tuple(names),
        redundancy=lost,
        max_added=max_added,
    )
    cluster = tiny.clusters[CLUSTER].replace(existing_gpus=10, block_gpus=10, max_gpus=10)
    gpu = tiny.gpus["accelerator"].replace(power_mw=heat_mw / 10)
    region = tiny.regions["west"].replace(power_limit_mw=1e6, electricity_usd_per_mwh=0.0)
    zone = tiny.zones["west-users"].replace(demand_rps=5.0, latency_ms={"west": 10.0})
    policies = Policies()
    if fixed is not None:
        cooling = {PLANT: dict(zip(names, fixed, strict=True))}
        policies = Policies(fixed=FixedPurchases(cooling=cooling))
    return tiny.replace(
        regions={"west": region},
        gpus={"accelerator": gpu},
        clusters={CLUSTER: cluster},
        cooling_units=units,
        plants={PLANT: plant},
        zones={"west-users": zone},
        offers={},
        generators=Generators(),
        policies=policies,
    )


def drawn_sizes(random: Random, most: int = 3) -> list[float]:
    """Different sizes in any order."""
    return random.sample([0.25 * step for step in range(1, 21)], random.randint(1, most))


@pytest.fixture(scope="module")
def model(tiny) -> Model:
    """The shipped two-region model."""
    return tiny.model


class TestLaw:
    @given(
        units=st.lists(
            st.tuples(st.integers(1, 40).map(lambda step: step / 4), st.integers(0, 3)),
            min_size=1,
            max_size=4,
        ),
        lost=st.integers(0, 5),
    )
    def test_thresholds_enumeration_and_removal_agree(
        self, units: list[tuple[float, int]], lost: int
    ) -> None:
        sizes, counts = [size for size, _ in units], [count for _, count in units]
        expected = worst_loss_mw(sizes, counts, lost)

        assert capacity_after_losses_mw(sizes, counts, lost) == pytest.approx(expected, abs=1e-9)
        assert thresholds_mw(sizes, counts, lost) == pytest.approx(expected, abs=1e-9)

    @given(
        sizes=st.lists(st.floats(0.1, 50.0), min_size=1, max_size=4),
        data=st.data(),
    )
    def test_no_more_units_than_are_lost_leave_nothing(
        self, sizes: list[float], data: st.DataObject
    ) -> None:
        counts = [data.draw(st.integers(0, 3)) for _ in sizes]
        lost = sum(counts) + data.draw(st.integers(0, 3))

        assert capacity_after_losses_mw(sizes, counts, lost) == 0.0
        assert thresholds_mw(sizes, counts, lost) == pytest.approx(0.0, abs=1e-9)

    @given(
        units=st.lists(st.tuples(st.floats(0.1, 50.0), st.integers(0, 4)), min_size=1, max_size=4),
        lost=st.integers(0, 6),
    )
    def test_no_threshold_promises_more_than_is_left(
        self, units: list[tuple[float, int]], lost: int
    ) -> None:
        sizes, counts = [size for size, _ in units], [count for _, count in units]
        left = capacity_after_losses_mw(sizes, counts, lost)

        assert thresholds_mw(sizes, counts, lost) <= left + 1e-9
        assert capacity_after_losses_mw(sizes, counts, lost + 1) <= left + 1e-9

    def test_equal_sizes_are_the_textbook_rule(self) -> None:
        assert thresholds_mw([2.0], [7], 2) == pytest.approx(10.0)

    def test_unequal_sizes_lose_the_largest(self) -> None:
        assert thresholds_mw([36.0, 24.0, 10.0], [1, 1, 5], 2) == pytest.approx(50.0)


class TestFeasibility:
    @pytest.mark.parametrize("seed", range(40))
    def test_settled_units_carry_what_enumeration_says_and_no_more(
        self, model: Model, seed: int
    ) -> None:
        random = Random(seed)
        sizes = drawn_sizes(random)
        counts = [random.randint(0, 3) for _ in sizes]
        existing = [random.randint(0, count) for count in counts]
        bought = [count - one for count, one in zip(counts, existing, strict=True)]
        lost = random.randint(0, 3)
        firm = worst_loss_mw(sizes, counts, lost)

        def status(heat_mw: float) -> str:
            one = one_plant(model, sizes, heat_mw, lost, existing=existing, fixed=bought)
            return solved(one)[1].status

        assert status(firm + JUST_MW) == "infeasible"
        if firm:
            assert status(firm - JUST_MW) == "optimal"

    @pytest.mark.parametrize("lost", [1, 2, 3])
    def test_as_many_units_as_are_lost_carry_nothing(self, model: Model, lost: int) -> None:
        one = one_plant(model, [3.0, 1.0], JUST_MW, lost, fixed=[1, lost - 1])

        assert solved(one)[1].status == "infeasible"


class TestCheapestMixture:
    @pytest.mark.parametrize("seed", range(24))
    def test_the_optimum_is_the_one_that_enumeration_finds(self, model: Model, seed: int) -> None:
        random = Random(1000 + seed)
        sizes = drawn_sizes(random)
        prices = [round(size * random.uniform(0.6, 1.4), 3) * 1e6 for size in sizes]
        existing = [random.randint(0, 1) for _ in sizes]
        lost, most = random.randint(0, 3), 5
        heat = random.uniform(0.2, 1.2) * max(sizes) * 3
        one = one_plant(model, sizes, heat, lost, prices=prices, existing=existing, max_added=most)

        costs = {
            added: sum(price * count for price, count in zip(prices, added, strict=True))
            for added in product(range(most + 1), repeat=len(sizes))
            if worst_loss_mw(sizes, [a + e for a, e in zip(added, existing, strict=True)], lost)
            >= heat
        }
        solution = solved(one)[1]

        if not costs:
            assert solution.status == "infeasible"
            return
        yearly = min(costs.values()) * annuity(one.finance.discount_rate, 20.0)
        assert solution.status == "optimal"
        assert solution.objective == pytest.approx(yearly, rel=1e-6, abs=1e-3)
        units = solution.fleet.units[PLANT]
        added = tuple(units[f"unit-{i}"] - count for i, count in enumerate(existing))
        assert costs[added] == pytest.approx(min(costs.values()), rel=1e-6)

    def test_mixes_sizes_where_that_is_cheaper(self, model: Model) -> None:
        # Two 3 MW units leave 3 MW when one is lost; a 1 MW unit beside them closes the gap.
        one = one_plant(model, [3.0, 1.0], 4.0, 1, prices=[3.0, 1.1])

        assert solved(one)[1].fleet.units[PLANT] == {"unit-0": 2, "unit-1": 1}


def threshold_rows(programme: Programme) -> list[Constraint]:
    """Rows of the thresholds of the plant."""
    return [
        row
        for name, row in programme.constraints.items()
        if programme.rows[name].family == "threshold"
    ]


def points(
    programme: Programme, sizes: Sequence[float]
) -> Iterator[tuple[dict[str, float], list[int]]]:
    """Values of the unit variables at every whole point of their bounds, and the counts."""
    existing = programme.data.model.plants[PLANT].existing
    variables = [programme.purchases.units[PLANT, f"unit-{i}"] for i in range(len(sizes))]
    ranges = [range(int(v.low or 0), int(v.high or 0) + 1) for v in variables]
    for added in product(*ranges):
        values = {v.name: float(n) for v, n in zip(variables, added, strict=True)}
        yield values, [n + existing.get(f"unit-{i}", 0) for i, n in enumerate(added)]


def most_left(row: Constraint, values: dict[str, float], chosen: float) -> float:
    """Largest capacity that a row allows at a point, its threshold chosen or not."""
    total, slope = row.constant, 0.0
    for variable, coefficient in row.items():
        if variable.name.startswith("left."):
            slope = coefficient
        elif variable.name.startswith("threshold."):
            total += coefficient * chosen
        else:
            total += coefficient * values[variable.name]
    return -total / slope


CONSTANTS = [
    # sizes, existing, most added, settled, lost
    ([3.0, 1.0], [0, 0], 4, None, 1),
    ([3.0, 1.0], [2, 1], 3, None, 2),
    ([1.0, 5.0], [0, 3], 2, None, 2),
    ([4.0, 2.5, 1.0], [1, 0, 2], 3, None, 2),
    ([2.0, 1.75, 0.5], [0, 0, 0], 4, None, 3),
    ([4.0, 2.5, 1.0], [0, 1, 0], 3, [2, 1, 0], 2),
    ([6.0], [1], 4, None, 3),
]


class TestConstants:
    @pytest.fixture(params=CONSTANTS, ids=str)
    def built(self, model, request) -> tuple[Programme, list[float], int]:
        sizes, existing, most, fixed, lost = request.param
        one = one_plant(model, sizes, 1.0, lost, existing=existing, max_added=most, fixed=fixed)
        return build(ProblemData(one, (), {})), sizes, lost

    def test_chosen_rows_allow_exactly_what_is_left(self, built) -> None:
        programme, sizes, lost = built
        rows = threshold_rows(programme)

        assert len(rows) >= 2
        for values, counts in points(programme, sizes):
            best = max(most_left(row, values, 1.0) for row in rows)
            assert best == pytest.approx(worst_loss_mw(sizes, counts, lost), abs=1e-9)

    def test_rows_switched_off_cut_nothing_off(self, built) -> None:
        programme, sizes, lost = built

        for values, counts in points(programme, sizes):
            left = worst_loss_mw(sizes, counts, lost)
            for row in threshold_rows(programme):
                assert most_left(row, values, 0.0) >= left - 1e-9

    def test_a_smaller_constant_would_cut_a_point_off(self, built) -> None:
        programme, sizes, lost = built

        for row in threshold_rows(programme):
            slack = min(
                most_left(row, values, 0.0) - worst_loss_mw(sizes, counts, lost)
                for values, counts in points(programme, sizes)
            )
            assert slack == pytest.approx(0.0, abs=1e-9), row.name

    def test_one_size_that_is_always_there_needs_no_choice(self, model: Model) -> None:
        one = one_plant(model, [2.0], 1.0, 2, existing=[2])

        assert not threshold_rows(build(ProblemData(one, (), {})))

    def test_zero_is_a_threshold_only_where_there_may_be_too_few_units(self, model: Model) -> None:
        few = build(ProblemData(one_plant(model, [3.0, 1.0], 1.0, 2, existing=[1, 0]), (), {}))
        enough = build(ProblemData(one_plant(model, [3.0, 1.0], 1.0, 2, existing=[1, 1]), (), {}))

        assert len(threshold_rows(few)) == 3
        assert len(threshold_rows(enough)) == 2
