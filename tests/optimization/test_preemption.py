"""Preemptible work: who yields, what that loses, and what it costs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optimization.drawing import drawn_model
from optimization.enumeration import cheapest
from optimization.test_enumeration import solved_case
from simulation.worlds import TWO, changed, judged, lose, operating, run, scenario, surge
from support import EXACT, model_of, often

from planner.errors import InputError
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.measures import with_measures
from planner.laws.preemption import interrupted_rps, lost_work
from planner.optimization.formulation.build import build
from planner.optimization.formulation.preemption import preemption_usd
from planner.optimization.formulation.problem import ProblemData
from planner.optimization.solution.settings import SolverSettings
from planner.optimization.solution.solving import solve
from planner.reliability.evaluation import simulate_all
from planner.scenarios.generators import all_scenarios

flows = st.floats(0.0, 1e4)


@pytest.fixture
def batch(tmp_path) -> Model:
    """Two sites of 600 requests/s without queue or cloud; of 1,000 wanted 600 are training."""
    model = changed(model_of(tmp_path, TWO), "zones", "users", demand_rps=1000.0)
    model = operating(model, queue_limit_requests=0, failover_minutes=0, priority_shedding="none")
    model = changed(model, "tiers", "low", checkpoint_minutes=30.0)
    return changed(model, "offers", "cloud", existing_instances=0)


class TestLaw:
    @given(flows, flows, flows, flows)
    def test_interrupted_work_is_monotone(self, before: float, wanted: float, served: float,
                                          more: float) -> None:  # fmt: skip
        now = interrupted_rps(before, wanted, served)
        assert 0 <= now <= min(before, wanted)
        assert interrupted_rps(before, wanted, served + more) <= now
        assert interrupted_rps(before + more, wanted, served) >= now

    def test_half_of_the_interval_is_lost_on_average(self) -> None:
        """Against interruptions at moments spread evenly over the time since the checkpoint."""
        moments = (np.arange(10_000) + 0.5) / 10_000 * 30.0
        demand = np.full((2, 1, 1), 10.0)
        served = np.array([[[10.0]], [[4.0]]])
        lost = lost_work(demand, served, np.array([30.0]))
        assert lost[1, 0, 0] == pytest.approx(6.0 * 60 * moments.mean())
        assert lost[0, 0, 0] == 0


class TestSimulator:
    def test_preemptible_work_yields_before_anybody_acts(self, batch: Model) -> None:
        """600 of 1,000 are left: users get their 400 at once, and without it an equal share."""
        ran = run(batch, lose("cluster", "first"))
        assert ran.served("high")[12] == pytest.approx(400.0)
        assert ran.served("low")[12] == pytest.approx(200.0)
        alike = run(
            changed(batch, "tiers", "low", checkpoint_minutes=None), lose("cluster", "first")
        )
        assert alike.served("high")[12] == pytest.approx(240.0)

    def test_work_since_the_checkpoint_is_lost_once(self, batch: Model) -> None:
        """400 requests/s are interrupted: 15 minutes of work, beside what is not done meanwhile."""
        event = lose("cluster", "first", at=10, minutes=20)
        known = judged(changed(batch, "tiers", "low", checkpoint_minutes=0.0), event)
        lost = judged(batch, event)
        assert lost.lost_requests - known.lost_requests == pytest.approx(400 * 60 * 15)
        assert any("low yields its GPUs" in line.text for line in lost.story)

    def test_a_surge_interrupts_no_work_that_did_not_run(self, batch: Model) -> None:
        """Users want 200 more; 1,200 are there: training gives up 200 of what it ran at most."""
        less = judged(batch, surge(1.2, 10, 30)).lost_requests
        plain = judged(changed(batch, "tiers", "low", checkpoint_minutes=0.0), surge(1.2, 10, 30))
        assert less == pytest.approx(plain.lost_requests)

    def test_expected_losses_count_it(self, batch: Model) -> None:
        case = (scenario(lose("cluster", "first", at=10, minutes=20)),)
        fleet = Fleet.existing(batch)
        with_work = simulate_all(with_measures(batch, frozenset()), fleet, case).lost_requests
        without = changed(batch, "tiers", "low", checkpoint_minutes=0.0)
        none = simulate_all(without, fleet, case).lost_requests
        assert with_work[0, 1] - none[0, 1] == pytest.approx(400 * 60 * 15)
        assert with_work[0, 0] == none[0, 0]


class TestProgramme:
    def test_it_believes_what_the_simulator_measures(self, batch: Model) -> None:
        priced = changed(batch, "tiers", "low", value_usd_per_1000_requests=10.0)
        priced = changed(priced, "tiers", "high", value_usd_per_1000_requests=1000.0)
        fixed = priced.replace(
            clusters={n: c.replace(max_gpus=c.existing_gpus) for n, c in priced.clusters.items()},
            offers={},
        )
        data = ProblemData(fixed, (scenario(lose("cluster", "first", at=10, minutes=60)),), {})
        programme = build(data)
        solution = solve(programme, EXACT)
        usd = preemption_usd(programme, "case")
        found = usd.constant + sum(f * solution.values[v.name] for v, f in usd.items())
        assert found == pytest.approx(400 * 60 * 15 * 10.0 / 1000)

    @pytest.mark.parametrize("seed", range(often(6, 60)))
    def test_cost_is_that_of_enumeration(self, seed: int) -> None:
        model = preemptible(seed)
        data = ProblemData(model, all_scenarios(model), {})
        cost, _ = cheapest(model, data.scenarios)
        solution = solved_case(data, EXACT)
        assert (solution.status == "optimal") == math.isfinite(cost)
        if math.isfinite(cost):
            assert solution.objective == pytest.approx(cost, rel=1e-6, abs=0.1)
            parts = solved_case(data, SolverSettings(gap=1e-6, method="decomposed"))
            assert parts.objective == pytest.approx(cost, rel=1e-5)


def preemptible(seed: int) -> Model:
    """A random model whose last tier is work with checkpoints."""
    model = drawn_model(seed)
    last = max(model.tiers.values(), key=lambda tier: tier.priority).name
    tiers = {
        name: tier.replace(
            priority=tier.priority + (name == last),
            checkpoint_minutes=240.0 if name == last else None,
            value_usd_per_1000_requests=max(5.0, tier.value_usd_per_1000_requests),
        )
        for name, tier in model.tiers.items()
    }
    return model.replace(tiers=tiers)


def test_preemptible_work_comes_last(tmp_path) -> None:
    with pytest.raises(InputError, match="yields to all other tiers; expected over 2"):
        model_of(tmp_path, TWO, "tiers.high.checkpoint_minutes=10")
