"""Planned maintenance: in scenarios, in the programme, in availability."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulation.worlds import ONE, changed, lasting, run, scenario
from support import model_of, solved

from planner.errors import InputError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import LargestUnitsLoss
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.graph import build_graph
from planner.infrastructure.loading import load_model
from planner.laws.adequacy import outage_share
from planner.reliability.cooling_adequacy import cooling_adequacy
from planner.reliability.failure_sources import sources_of
from planner.scenarios.generators import all_scenarios, family
from planner.scenarios.timeline import timeline_of

HOURS = 87.6


@pytest.fixture
def one(tmp_path: Path) -> Model:
    """10 MW of heat at every hour on chillers of 1 MW, each out for a hundredth of the year."""
    return changed(
        model_of(tmp_path, ONE), "cooling_units", "chiller", planned_outage_hours_per_year=HOURS
    )


def _short_hours(model: Model, chillers: int) -> float:
    fleet = Fleet.after(model, {("chillers", "chiller"): chillers - 10}, {}, {}, frozenset())
    (found,) = cooling_adequacy(model, fleet)
    return found.hours_per_year


def test_maintenance_of_units_that_all_are_needed_is_a_shortage(one: Model) -> None:
    assert _short_hours(one, 10) == pytest.approx(10 * HOURS)
    assert _short_hours(one, 11) == 0


def test_maintenance_takes_a_spare_unit_away_from_failures(one: Model) -> None:
    """Eleven units of which ten are needed: with one out for maintenance all others are."""
    often = {"failures_per_year": 8760 / 9 / 10, "repair_hours": 10.0}
    model = changed(one, "cooling_units", "chiller", **often)
    none, single = 0.9**11, 11 * 0.1 * 0.9**10
    share = 0.11
    expected = (1 - share) * (1 - none - single) + share * (1 - 0.9**10)
    assert _short_hours(model, 11) == pytest.approx(8760 * expected)


def test_no_more_than_the_whole_year_is_maintenance() -> None:
    assert outage_share(9000.0) == 1.0


def test_a_unit_fails_during_maintenance_as_often_as_both_come_together(one: Model) -> None:
    model = changed(one, "cooling_units", "chiller", failures_per_year=0.5, repair_hours=24.0)
    (found,) = family(model, "maintenance")
    # A tenth of the year one of ten is out; then nine are left to fail.
    assert found.frequency_per_year == pytest.approx(0.1 * 9 * 0.5)
    assert [event.planned for event in found.events] == [True, False]


def test_nothing_is_maintained_unless_a_model_says_so(tiny) -> None:
    assert family(tiny.model, "maintenance") == ()


def test_n_plus_2_is_n_plus_1_during_maintenance() -> None:
    """A failure during maintenance asks for more than N+1, and for no more than N+2."""
    kept = ("plants.west-chillers.redundancy=1", "plants.east-chillers.redundancy=1")
    asked = "generators={maintenance: {severity: double}}"
    hours = "cooling_units.chiller-3.planned_outage_hours_per_year=40"
    also = "cooling_units.chiller-1.planned_outage_hours_per_year=40"
    n1 = solved(load_model("tiny", (*kept, "generators={}")).model)[1]
    maintained = solved(load_model("tiny", (*kept, asked, hours, also)).model)[1]
    n2 = solved(load_model("tiny", ("generators={}",)).model)[1]
    assert n1.objective < maintained.objective <= n2.objective * (1 + 1e-6)
    assert sum(maintained.fleet.units["west-chillers"].values()) > 3


def test_maintenance_alone_is_nothing_to_react_to(one: Model) -> None:
    """Ten of eleven carry the heat; the clock begins with what fails an hour later."""
    spare = Fleet.after(one, {("chillers", "chiller"): 1}, {}, {}, frozenset())
    hour = {"kind": "largest-units", "plant": "chillers", "repair_minutes": 600}
    out = LargestUnitsLoss(**hour, planned=True)
    lost = LargestUnitsLoss(**hour, at_minute=60)
    timeline = timeline_of(one, build_graph(one), scenario(out, lost))
    assert timeline.clock.starts == (60.0,)
    cooling = run(lasting(one, 120), out, lost, fleet=spare).plant("chillers")
    assert cooling[:60] == pytest.approx(10.0)
    assert cooling[60:] == pytest.approx(9.0)


def test_maintenance_counts_once_in_a_year_of_failures(one: Model) -> None:
    text = {"maintenance": {"severity": "double"}, "unit": {"severity": "single"}}
    failing = changed(one, "cooling_units", "chiller", failures_per_year=0.5)
    model = failing.replace(
        generators=failing.generators.replace(**text), standard={"double": (), "single": ()}
    )
    rates = {source.rate.name: source.rate for source in sources_of(model, all_scenarios(model))}
    assert set(rates) == {"unit-chillers", "maintenance-chillers"}
    outage = rates["maintenance-chillers"]
    assert outage.times_per_year * outage.mean_minutes / 60 == pytest.approx(10 * HOURS)


def test_more_maintenance_than_a_year_has_hours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"plants.chillers.*8,760"):
        model_of(tmp_path, ONE, "cooling_units.chiller.planned_outage_hours_per_year=900")
