"""What is judged: scenarios of which nothing is asked or that cannot happen count as neither."""

from __future__ import annotations

import pytest
from simulation.test_verdict import with_standard
from simulation.worlds import changed, judged, lasting

from planner.infrastructure.entities import Feed, Model, Service
from planner.infrastructure.failures import (
    Event,
    Heat,
    LargestUnitsLoss,
    NodeLoss,
    Sag,
    ServedRule,
    Surge,
    UnitLoss,
)

LOSS = NodeLoss(kind="region", name="near", at_minute=10, repair_minutes=1000)
LONG = {"repair_minutes": 1000.0}


def rule(**fields: object) -> ServedRule:
    return ServedRule.model_validate(
        {"tier": "all", "from_minute": 5, "least_served": 0.9} | fields
    )


class TestNotJudged:
    @pytest.mark.parametrize(
        "standard",
        [{}, {"common": ()}, {"single": (rule(),)}, {"common": (rule(least_served=0.0),)}],
        ids=str,
    )
    def test_a_class_without_rules_is_not_judged(
        self, two: Model, standard: dict[str, object]
    ) -> None:
        verdict = judged(two.replace(standard=standard), LOSS)
        assert verdict.status == "not judged"
        assert not verdict.survives
        assert not verdict.fails

    def test_a_rule_beyond_the_horizon_is_not_judged(self, two: Model) -> None:
        model = with_standard(two, ("all", 100, 1.0))
        assert judged(model, LOSS).status == "survives"
        assert judged(lasting(model, 110), LOSS).status == "not judged"
        assert judged(lasting(model, 111), LOSS).status == "survives"

    def test_a_scenario_without_effect_is_not_judged(self, two: Model) -> None:
        calm = Surge(kind="surge", factor=1.0, **LONG)
        assert judged(with_standard(two, ("all", 0, 1.0)), calm).status == "not judged"

    def test_equipment_and_capacity_policies_are_always_judged(self, two: Model) -> None:
        silent = two.replace(standard={})
        policies = silent.policies.replace(surviving_capacity_share=0.5)
        assert judged(silent.replace(policies=policies), LOSS).status == "survives"
        policies = silent.policies.replace(surviving_capacity_share=0.6)
        assert judged(silent.replace(policies=policies), LOSS).status == "fails"


class TestNotApplicable:
    @pytest.fixture
    def partly(self, two: Model) -> Model:
        """Two sites of which the second has nothing, a feed for it, and a cloud without a contract.

        What is there serves next to nobody.
        """
        model = with_standard(two, ("all", 0, 1.0))
        model = changed(model, "clusters", "second", existing_gpus=0)
        model = changed(model, "clusters", "first", existing_gpus=10)
        model = changed(model, "plants", "second-plant", existing={}, options=("chiller",))
        model = changed(model, "offers", "cloud", existing_instances=0)
        feed = {"name": "far-feed", "region": "far", "capacity_mw": 100.0}
        near = feed | {"name": "near-feed", "region": "near"}
        return model.replace(feeds={one["name"]: Feed.model_validate(one) for one in (feed, near)})

    @pytest.mark.parametrize(
        "event",
        [
            NodeLoss(kind="region", name="far", **LONG),
            NodeLoss(kind="plant", name="second-plant", **LONG),
            NodeLoss(kind="cluster", name="second", **LONG),
            NodeLoss(kind="provider", name="cloudy", **LONG),
            NodeLoss(kind="feed", name="far-feed", **LONG),
            Sag(kind="sag", feed="far-feed"),
            UnitLoss(kind="units", plant="second-plant", unit="chiller", **LONG),
            LargestUnitsLoss(kind="largest-units", plant="second-plant", **LONG),
            Heat(kind="heat", region="far", rise_c=5.0, **LONG),
        ],
        ids=str,
    )
    def test_an_event_on_absent_equipment_is_not_applicable(
        self, partly: Model, event: Event
    ) -> None:
        verdict = judged(partly, event)
        assert verdict.status == "not applicable"
        assert verdict.breaches == ()
        # Together with something that is there it counts.
        near = NodeLoss(kind="feed", name="near-feed", **LONG)
        assert judged(partly, event, near).status == "fails"

    def test_an_empty_cluster_supports_no_service(self, partly: Model) -> None:
        runs = Service(name="inference", plane="service", runs_on=("first", "second"))
        tiers = {name: one.replace(entry="inference") for name, one in partly.tiers.items()}
        model = partly.replace(services={"inference": runs}, tiers=tiers)
        assert judged(model, NodeLoss(kind="region", name="far", **LONG)).status == "not applicable"
        assert judged(model, NodeLoss(kind="region", name="near", **LONG)).status == "fails"

    def test_an_event_on_bought_equipment_is_applicable(self, partly: Model) -> None:
        model = changed(partly, "clusters", "second", existing_gpus=600)
        assert judged(model, NodeLoss(kind="region", name="far", **LONG)).status == "fails"


class TestZones:
    """Two zones, each within reach of one site only; the far one is a tenth of all demand."""

    @pytest.fixture
    def apart(self, two: Model) -> Model:
        zone = two.zones["users"]
        tiers = {name: one.replace(latency_limit_ms=20.0) for name, one in two.tiers.items()}
        model = changed(two, "offers", "cloud", existing_instances=0)
        return model.replace(
            tiers=tiers,
            zones={
                "home": zone.replace(demand_rps=450.0, latency_ms={"near": 1.0, "far": 50.0}),
                "away": zone.replace(demand_rps=50.0, latency_ms={"near": 50.0, "far": 1.0}),
            },
        )

    FAR = NodeLoss(kind="region", name="far", **LONG)

    @staticmethod
    def asking(model: Model, **fields: object) -> Model:
        return model.replace(standard={"common": (rule(**fields),)})

    def test_an_unserved_zone_is_a_breach_where_zones_have_rules(self, apart: Model) -> None:
        assert judged(self.asking(apart), self.FAR).survives
        verdict = judged(self.asking(apart, zone="each"), self.FAR)
        assert [(one.subject, one.value, one.minute) for one in verdict.breaches] == [
            ("all in away", 0.0, 5.0)
        ]
        assert str(verdict.first_breach).startswith("all tiers together in away 0.0 % served")
        assert verdict.served_by_zone == {"home": {"all": 1.0}, "away": {"all": 0.0}}

    @pytest.mark.parametrize(
        ("tier", "zone", "subjects"),
        [
            ("high", "away", ["high in away"]),
            ("high", "home", []),
            ("each", "each", ["high in away", "low in away"]),
            ("all", "home", []),
        ],
    )
    def test_rules_by_tier_and_zone_are_judged_apart(
        self, apart: Model, tier: str, zone: str, subjects: list[str]
    ) -> None:
        verdict = judged(self.asking(apart, tier=tier, zone=zone), self.FAR)
        assert [one.subject for one in verdict.breaches] == subjects

    def test_service_by_zone_adds_up_to_the_total(self, apart: Model) -> None:
        """Also while requests queue and priorities are in force."""
        model = self.asking(apart, tier="each", zone="each")
        model = changed(model, "zones", "home", latency_ms={"near": 1.0, "far": 2.0})
        model = changed(model, "zones", "home", demand_rps=900.0)
        verdict = judged(model, NodeLoss(kind="region", name="near", **LONG))
        both = self.asking(model, tier="each")
        whole = judged(both, NodeLoss(kind="region", name="near", **LONG)).served
        for tier in ("high", "low"):
            parts = {zone: verdict.served_by_zone[zone][tier] for zone in ("home", "away")}
            assert min(parts.values()) - 1e-9 <= whole[tier] <= max(parts.values()) + 1e-9

    def test_zones_are_recorded_only_where_rules_need_them(self, apart: Model) -> None:
        assert judged(self.asking(apart), self.FAR).served_by_zone == {}
