"""The survival standard as floors in time."""

from __future__ import annotations

from planner.infrastructure.loading import load_model
from planner.scenarios.standard import Floor, floors, floors_at


def test_floors_in_order_of_time_with_each_spelled_out(tiny):
    assert floors(tiny.model, "region") == (
        Floor("business", 5.0, 0.95),
        Floor("all", 15.0, 0.7),
        Floor("business", 120.0, 1.0),
        Floor("free", 120.0, 1.0),
    )
    assert floors(tiny.model, "single") == (Floor("business", 5.0, 1.0), Floor("free", 5.0, 1.0))


def test_a_severity_without_rules_has_no_floors(tiny):
    assert floors(tiny.model, "extreme") == ()


def test_floors_in_force(tiny):
    rules = floors(tiny.model, "region")
    assert floors_at(rules, 0.0) == {}
    assert floors_at(rules, 4.999) == {}
    assert floors_at(rules, 5.0) == {"business": 0.95}
    assert floors_at(rules, 15.0) == {"business": 0.95, "all": 0.7}
    assert floors_at(rules, 119.9) == {"business": 0.95, "all": 0.7}
    assert floors_at(rules, 1e6) == {"business": 1.0, "all": 0.7, "free": 1.0}


def test_the_largest_floor_holds_even_if_a_later_one_is_lower():
    model = load_model(
        "tiny",
        (
            "standard.region=[{tier: free, from_minute: 0, least_served: 0.8},"
            " {tier: each, from_minute: 60, least_served: 0.5}]",
        ),
    ).model
    assert floors_at(floors(model, "region"), 60.0) == {"business": 0.5, "free": 0.8}


def test_reference_holds_the_recovery_target_of_two_hours(reference):
    for severity in ("common", "region"):
        in_force = floors_at(floors(reference.model, severity), 120.0)
        assert all(in_force[tier] == 1.0 for tier in reference.model.tiers)
        before = floors_at(floors(reference.model, severity), 119.0)
        assert before["all"] < 1.0
    assert floors_at(floors(reference.model, "region"), 15.0)["all"] == 0.7
    assert floors_at(floors(reference.model, "region"), 5.0)["enterprise_critical"] == 0.99
