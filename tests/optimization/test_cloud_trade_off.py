"""Emergency cloud is a genuine trade-off: priced, timed, and never forced.

`BASE` loses a region of two. 700 of 1,000 requests/s are asked for at once, all of them (900 at
that hour, 970 before the next peak) from the recovery target on. A GPU of one's own costs some
9,500 USD a year, one of the offer `dear` 2,500, of `cheap` 1,000.

Solutions are within a gap of the optimum, so costs are compared through bounds: the bound of one
and the objective of the other enclose the difference of the optima.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import pytest
from support import model_of, solved

from planner.infrastructure.entities import Model
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import Solution

SETTINGS = SolverSettings(gap=1e-4)
RELATIVE = 1e-6

#: Minutes from the failure to the recovery target of the model, and to the return of a lost region.
RECOVERY_TARGET = 120.0
OUTAGE = 1440.0

BASE = """
extends: tiny
clusters: {west-gpus: {block_gpus: 10}, east-gpus: {block_gpus: 10}}
shapes: {day: [0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.97,
               1.0, 0.9, 0.9, 0.9, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]}
zones: {west-users: {shape: day}, east-users: {shape: day}}
offers:
  cloud: null
  cheap: &offer {provider: one, gpus_per_instance: 10, available_gpus: 200, rps_per_gpu: 1.0,
                 lead_time_minutes: 45.0, usd_per_instance_hour: 10.0,
                 retainer_usd_per_instance_year: 10000.0}
  dear: {<<: *offer, provider: two, retainer_usd_per_instance_year: 25000.0}
standard:
  region:
    - {tier: all, from_minute: 15, least_served: 0.7}
    - {tier: each, from_minute: 120, least_served: 1.0}
generators: {unit: null, units: null, provider: null, heat_wave: null, surge: null}
scenarios:
  lost-west: {severity: region, frequency_per_year: 0.05,
              events: [{kind: region, name: west, repair_minutes: 1440.0}]}
"""

Solve = Callable[..., Solution]


def with_cloud(
    model: Model,
    retainer: float = 1.0,
    lead_minutes: float | None = None,
    only: str | None = None,
) -> Model:
    """The model with retainers multiplied and lead times set, for all offers or for one."""
    offers = dict(model.offers)
    for name, offer in model.offers.items():
        if only in (None, name):
            lead = offer.lead_time_minutes if lead_minutes is None else lead_minutes
            price = offer.retainer_usd_per_instance_year * retainer
            offers[name] = offer.replace(
                retainer_usd_per_instance_year=price, lead_time_minutes=lead
            )
    return model.replace(offers=offers)


def without_cloud(model: Model) -> Model:
    """The model in which no provider has anything to offer."""
    offers = {name: offer.replace(available_gpus=0) for name, offer in model.offers.items()}
    return model.replace(offers=offers)


def instances(solution: Solution) -> int:
    """Instances reserved."""
    return sum(solution.fleet.instances.values())


def gpus(solution: Solution) -> int:
    """Own GPUs."""
    return sum(solution.fleet.gpus.values())


def surely_dearer(dear: Solution, cheap: Solution) -> bool:
    """Whether the optimum of one is above that of the other by proof."""
    return dear.bound > cheap.objective


def possibly_no_cheaper(dear: Solution, cheap: Solution) -> bool:
    """Whether nothing proven contradicts that one optimum is at least the other."""
    return dear.objective >= cheap.bound * (1 - RELATIVE)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Two regions and two offers."""
    return model_of(tmp_path_factory.mktemp("offers"), BASE)


@pytest.fixture(scope="module")
def at(model) -> Solve:
    """Solutions by retainer and lead time, each solved once."""

    @cache
    def solution(
        retainer: float = 1.0,
        lead_minutes: float | None = None,
        only: str | None = None,
        hasty: bool = False,
    ) -> Solution:
        data = with_cloud(model, retainer, lead_minutes, only)
        if hasty:
            at_once = {"detection_minutes": 0.0, "response_minutes": 0.0, "failover_minutes": 0.0}
            data = data.replace(operations=model.operations.replace(**at_once))
        found = solved(data, SETTINGS)[1]
        assert found.status == "optimal"
        assert found.gap <= SETTINGS.gap
        return found

    return solution


@pytest.fixture(scope="module")
def shipped(at) -> Solution:
    """The plan of the model as it is."""
    return at(retainer=1.0)


@pytest.fixture(scope="module")
def none(model) -> Solution:
    """The plan where there is no cloud."""
    return solved(without_cloud(model), SETTINGS)[1]


class TestAsStated:
    def test_part_of_the_available_cloud_is_reserved(self, model, shipped) -> None:
        supply = {n: o.available_gpus // o.gpus_per_instance for n, o in model.offers.items()}

        assert 0 < instances(shipped) < sum(supply.values())
        assert any(0 < shipped.fleet.instances[name] < most for name, most in supply.items())

    def test_the_model_fixes_no_cloud_purchase(self, model) -> None:
        assert all(offer.existing_instances == 0 for offer in model.offers.values())
        assert not model.policies.fixed.emergency
        assert not model.policies.forbidden.emergency

    def test_own_gpus_alone_suffice_at_a_higher_cost(self, shipped, none) -> None:
        assert none.status == "optimal"
        assert instances(none) == 0
        assert gpus(none) > gpus(shipped)
        assert surely_dearer(none, shipped)


class TestRetainer:
    def test_a_higher_retainer_moves_the_plan_to_own_gpus(self, at, shipped) -> None:
        dear = at(retainer=4.0)

        assert 0 < instances(dear) < instances(shipped)
        assert gpus(dear) > gpus(shipped)

    def test_a_lower_retainer_moves_the_plan_back_to_cloud(self, at, shipped) -> None:
        dearest, dear, cheap = at(retainer=12.0), at(retainer=4.0), at(retainer=0.1)

        assert instances(dearest) < instances(dear) < instances(cheap)
        assert gpus(dearest) > gpus(dear) > gpus(cheap)
        assert instances(cheap) >= instances(shipped)
        assert gpus(cheap) <= gpus(shipped)

    def test_an_exorbitant_retainer_leaves_no_cloud(self, at, none) -> None:
        exorbitant = at(retainer=1000.0)

        assert instances(exorbitant) == 0
        assert gpus(exorbitant) == gpus(none)

    def test_cost_rises_with_the_retainer(self, at, shipped, none) -> None:
        ladder = [at(retainer=0.1), shipped, at(retainer=4.0), at(retainer=6.0), none]

        for cheap, dear in pairwise(ladder):
            assert surely_dearer(dear, cheap)

    @pytest.mark.parametrize(("low", "high"), [(0.1, 1.0), (1.0, 4.0), (4.0, 12.0)])
    def test_cost_rises_by_between_the_retainers_of_the_two_plans(
        self, model, at, low, high
    ) -> None:
        """Either plan is open at the other's prices, so each bounds what the change costs."""
        cheap, dear = at(retainer=low), at(retainer=high)

        def retainers(solution: Solution) -> float:
            return sum(
                count * model.offers[name].retainer_usd_per_instance_year
                for name, count in solution.fleet.instances.items()
            )

        rise = high - low
        assert dear.bound <= (cheap.objective + rise * retainers(cheap)) * (1 + RELATIVE)
        assert cheap.bound <= (dear.objective - rise * retainers(dear)) * (1 + RELATIVE)

    def test_one_offer_made_dearer_is_replaced_by_another(self, at, shipped) -> None:
        changed = at(retainer=3.0, only="cheap")

        assert changed.fleet.instances["cheap"] < shipped.fleet.instances["cheap"]
        assert changed.fleet.instances["dear"] > shipped.fleet.instances["dear"]
        assert possibly_no_cheaper(changed, shipped)


class TestLeadTime:
    def test_immediate_cloud_replaces_own_gpus(self, at, shipped) -> None:
        immediate = at(lead_minutes=0.0, hasty=True)

        assert instances(immediate) > instances(shipped)
        assert gpus(immediate) < gpus(shipped)
        assert surely_dearer(shipped, immediate)

    def test_cloud_beyond_the_recovery_target_moves_the_plan_to_own_gpus(self, at, shipped) -> None:
        late = at(lead_minutes=RECOVERY_TARGET)

        assert instances(late) < instances(shipped)
        assert gpus(late) > gpus(shipped)
        assert surely_dearer(late, shipped)

    def test_late_cloud_has_value_only_for_the_next_peak_of_a_long_outage(self, at, none) -> None:
        late, longer = at(lead_minutes=RECOVERY_TARGET), at(lead_minutes=5 * RECOVERY_TARGET)

        assert instances(longer) == instances(late) > 0
        assert gpus(longer) == gpus(late) < gpus(none)

    def test_cloud_that_starts_after_the_outage_is_not_reserved(self, at, none) -> None:
        too_late = at(lead_minutes=OUTAGE)

        assert instances(too_late) == 0
        assert too_late.fleet.gpus == none.fleet.gpus
        assert too_late.objective <= none.objective * (1 + SETTINGS.gap)
        assert none.objective <= too_late.objective * (1 + SETTINGS.gap)

    def test_a_shorter_lead_time_brings_cloud_back(self, at) -> None:
        ladder = [at(lead_minutes=m) for m in (OUTAGE, RECOVERY_TARGET, 60.0)]

        for long, short in pairwise([*ladder, at(lead_minutes=0.0, hasty=True)]):
            assert instances(short) > instances(long)
            assert gpus(short) < gpus(long)

    def test_cost_rises_with_the_lead_time(self, at) -> None:
        ladder = [at(lead_minutes=m) for m in (60.0, RECOVERY_TARGET, OUTAGE)]

        for short, long in pairwise(ladder):
            assert surely_dearer(long, short)

    def test_a_longer_lead_time_is_never_cheaper(self, at) -> None:
        ladder = [at(lead_minutes=m) for m in (60.0, 90.0, 105.0, 110.0)]

        for short, long in pairwise(ladder):
            assert possibly_no_cheaper(long, short)

    def test_cloud_is_worth_less_beyond_the_recovery_target_less_the_reaction_time(
        self, model, at
    ) -> None:
        operations = model.operations
        reaction = operations.detection_minutes + operations.response_minutes
        known = operations.approval_minutes + operations.failover_minutes
        last = RECOVERY_TARGET - reaction - known

        in_time, too_late = at(lead_minutes=last), at(lead_minutes=last + 1)

        assert instances(too_late) < instances(in_time)
        assert gpus(too_late) > gpus(in_time)


class TestBudget:
    def test_without_emergency_budget_there_is_no_cloud(self, model, none) -> None:
        finance = model.finance.replace(emergency_budget_usd=0.0)

        _, solution = solved(model.replace(finance=finance), SETTINGS)

        assert instances(solution) == 0
        assert gpus(solution) == gpus(none)

    def test_a_tight_emergency_budget_reserves_part_of_the_cloud(
        self, model, shipped, none
    ) -> None:
        finance = model.finance.replace(emergency_budget_usd=2_000.0)

        _, solution = solved(model.replace(finance=finance), SETTINGS)

        assert 0 < instances(solution) < instances(shipped)
        assert gpus(shipped) < gpus(solution) < gpus(none)
