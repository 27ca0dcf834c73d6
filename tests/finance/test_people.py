"""Software and people fail too: rates that a model states, what they cost, and what is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import model_of

from planner.errors import InputError
from planner.finance.coverage import coverage
from planner.finance.losses import loss_profile, more_downtime
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.reliability.estimates import Estimate, percent
from planner.reliability.failure_sources import sources_of
from planner.reliability.monte_carlo import sample_occurrences
from planner.scenarios.generators import all_scenarios
from planner.selection import select

#: Two regions, each able to serve everything; one of three services may fail by itself.
PLATFORM = """
regions: {a: {power_limit_mw: 9.0}, b: {power_limit_mw: 9.0}}
gpus: {g: {power_mw: 0.001, static_share: 0.5, rps: 1.0, capital_usd: 20000.0}}
clusters:
  ca: {region: a, gpu: g, existing_gpus: 600, max_gpus: 600, max_utilisation: 1.0}
  cb: {region: b, gpu: g, existing_gpus: 300, max_gpus: 600, max_utilisation: 1.0}
  cc: {region: b, gpu: g, existing_gpus: 300, max_gpus: 600, max_utilisation: 1.0}
cooling_units: {u: {capacity_mw: 1.0, capital_usd: 1000.0}}
plants:
  pa: {region: a, cools: [ca], existing: {u: 2}}
  pb: {region: b, cools: [cb, cc], existing: {u: 2}}
services:
  desk: {plane: edge, depends_on: [accounts]}
  accounts: {plane: state, failures_per_year: 0.5, repair_hours: 3.0}
  log: {plane: state}
tiers: {t: {priority: 1, share: 1.0, entry: desk, value_usd_per_1000_requests: 1.0}}
zones: {z: {demand_rps: 500.0, latency_ms: {a: 10.0, b: 20.0}}}
standard:
  single: [{tier: t, from_minute: 60, least_served: 0.5}]
  region: [{tier: t, from_minute: 60, least_served: 0.5}]
  extreme: [{tier: t, from_minute: 600, least_served: 0.5}]
operations:
  failover_minutes: 1.0
  restart_check_minutes: 0.0
  changes:
    deployment: {times_per_year: 200.0, failure_probability: 0.01, rollback_minutes: 30.0}
    operator: {times_per_year: 0.6, rollback_minutes: 90.0, reach: cluster}
    settings: {times_per_year: 1.0, failure_probability: 0.25, rollback_minutes: 120.0,
               reach: platform}
    login: {times_per_year: 2.0, failure_probability: 0.1, rollback_minutes: 60.0,
            services: [accounts]}
"""


@pytest.fixture
def platform(tmp_path: Path) -> Model:
    """The platform above."""
    return model_of(tmp_path, PLATFORM)


def test_rates_are_sources_whatever_is_selected(platform: Model) -> None:
    found = {one.rate.name: one.rate for one in sources_of(platform, ())}

    assert {name: one.times_per_year for name, one in found.items()} == pytest.approx(
        {
            "service-accounts": 0.5,
            # Each place has its share.
            "change-deployment-a": 1.0,
            "change-deployment-b": 1.0,
            "change-operator-ca": 0.2,
            "change-operator-cb": 0.2,
            "change-operator-cc": 0.2,
            "change-settings": 0.25,
            "change-login": 0.2,
        }
    )
    assert found["service-accounts"].mean_minutes == 180
    assert found["change-deployment-a"].mean_minutes == 30
    hit = {one.rate.name: one.scenario.events for one in sources_of(platform, ())}
    assert [one.name for one in hit["change-deployment-b"]] == ["cb", "cc"]
    assert [one.name for one in hit["change-settings"]] == ["ca", "cb", "cc"]
    assert [(one.kind, one.name) for one in hit["change-login"]] == [("service", "accounts")]


def test_availability_is_that_of_the_rates(platform: Model) -> None:
    """Regions back each other up; what takes everything down costs its minutes, and is known."""
    occurrences = sample_occurrences(platform, Fleet.existing(platform), (), samples=400)

    minutes = loss_profile(platform, occurrences).downtime_minutes_per_year["t"]

    # 0.5 × 180 and 0.2 × 60 of accounts, 0.25 × 120 of settings; failovers of a minute: one region
    # 1, one cluster 0.2 with all or half of what is served there, at most.
    everything = 0.5 * 180 + 0.2 * 60 + 0.25 * 120
    assert everything - 3 < minutes.high
    assert minutes.low < everything + 2.6
    assert minutes.value == pytest.approx(everything, rel=0.1)


def test_services_without_rates_change_nothing(tmp_path: Path) -> None:
    silent = PLATFORM.split("  changes:")[0].replace(", failures_per_year: 0.5", "")
    model = model_of(tmp_path, silent)

    assert sources_of(model, ()) == ()
    assert coverage(model, ()).left_out == ("software services", "deployments and operators")


def test_services_with_rates_are_families_for_planning(tmp_path: Path) -> None:
    text = "generators: {change: {severity: single}, service: {severity: extreme}}\n" + PLATFORM
    model = model_of(tmp_path, text)

    scenarios = {one.name: one for one in all_scenarios(model)}

    assert scenarios["change-deployment-b"].severity == "single"
    assert scenarios["change-deployment-b"].frequency_per_year == pytest.approx(1.0)
    assert scenarios["service-accounts"].frequency_per_year == 0.5
    # What nothing is known of keeps the estimate of the family.
    assert scenarios["service-log"].frequency_per_year == 0.1
    # Selected or not, each is a source once.
    names = [one.rate.name for one in sources_of(model, all_scenarios(model))]
    assert len(names) == len(set(names))
    assert select(model, None).scenarios


def test_an_unknown_service_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"operations.changes.login.services.*acounts"):
        model_of(tmp_path, PLATFORM.replace("services: [accounts]", "services: [acounts]"))


def test_coverage_of_failure_kinds_is_printed(platform: Model, tmp_path: Path) -> None:
    told = coverage(platform, ()).sentence

    assert told == (
        "Covers failures of software services (1 of 3), what people change (deployment, operator, "
        "settings, login)."
    )
    text = "generators: {region: {severity: region}}\n" + PLATFORM.split("  changes:")[0]
    model = model_of(tmp_path, text, name="fewer")
    assert coverage(model, all_scenarios(model)).sentence == (
        "Covers failures of regions, software services (1 of 3); not of deployments and operators, "
        "for which the model states no rates."
    )


def test_a_plan_that_serves_less_is_noted(platform: Model) -> None:
    """Without the second region's GPUs every change in the first is an outage."""
    before = Fleet.existing(platform)
    lost = platform.replace(
        clusters={
            name: one.replace(existing_gpus=one.existing_gpus if name == "ca" else 0)
            for name, one in platform.clusters.items()
        }
    )

    found = [
        loss_profile(model, sample_occurrences(model, fleet, (), samples=200))
        for model, fleet in ((platform, before), (platform, Fleet.existing(lost)))
    ]

    # A region 1 × 30 and a cluster 0.2 × 90 minutes a year that the other took over before.
    more = more_downtime(*found, "t")
    assert more.low > 0
    assert more.value == pytest.approx(48, abs=8)
    assert more_downtime(*reversed(found), "t").value == pytest.approx(-more.value)


shares = st.floats(0.0, 1.0)


@given(st.lists(shares, min_size=3, max_size=3).map(sorted))
def test_digits_of_availability_never_claim_more_than_the_interval(ends: list[float]) -> None:
    low, value, high = (1 - (1 - one) ** 3 for one in ends)

    shown, interval = percent(Estimate(value, low, high))

    if low >= 1:
        assert interval == ""
        return
    number = float(shown.removeprefix("≥ "))
    assert number <= 100 * value + 1e-6
    assert nines(number) <= nines(100 * low)
    if interval:
        first, last = map(float, interval.split(" - "))
        assert first <= 100 * low + 1e-6 and last >= 100 * high - 1e-6


def nines(share: float) -> int:
    """Leading nines of a percentage."""
    digits = f"{share:.12f}".replace(".", "")
    return 99 if share >= 100 else len(digits) - len(digits.lstrip("9"))
