"""Sets of failures: exhaustive simulation agrees, classes, hours, time, certificates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulation.random_worlds import models

from planner.analysis.stress.certificate import (
    Certificate,
    certificate_of,
    check_certificate,
    read_certificate,
)
from planner.analysis.stress.failure_sets import FailureSets, judged_as
from planner.analysis.stress.search import SetOutcome, Stress, judged_alone, stress
from planner.errors import InputError
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Severity
from planner.infrastructure.fleet import Fleet
from planner.infrastructure.loading import LoadedModel, load_model
from planner.json_text import json_text
from planner.scenarios.combinations import pairs, singles
from planner.scenarios.components import joint_severity
from planner.simulation.build import Layout
from planner.simulation.courses import courses
from planner.simulation.verdict import judge

FEEDS = (
    "feeds.one={region: west, capacity_mw: 12, failures_per_year: 2, repair_hours: 24}",
    "feeds.two={region: west, capacity_mw: 12, failures_per_year: 2, repair_hours: 24}",
    "simulation.horizon_minutes=130",
)


def outcome(one: SetOutcome) -> SetOutcome:
    """An outcome, however it was settled."""
    return replace(one, simulated=True)


def found_in(model: Model, size: int = 2, **rest: object) -> Stress:
    return stress(Fleet.existing(model), FailureSets.of(model), size, **rest)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fed() -> LoadedModel:
    """`tiny` with two feeds, each of which carries everything, and half the usual time."""
    return load_model("tiny", FEEDS)


@pytest.fixture(scope="module")
def pairs_of_fed(fed: LoadedModel) -> Stress:
    return found_in(fed.model)


class TestSets:
    def test_singles_and_pairs_are_those_of_n_1_and_n_2(self, fed: LoadedModel) -> None:
        sets = FailureSets.of(fed.model)
        assert sets.names == tuple(scenario.name for scenario in singles(fed.model))
        made = [sets.scenario(members) for members in sets.of_size(2)]
        twice = {f"2-units-{name}" for name in ("west-chillers", "east-chillers")}
        expected = {scenario.name for scenario in pairs(fed.model)}
        again = {scenario.name for scenario in made if len(set(scenario.events)) == 1}
        assert {scenario.name for scenario in made} - again == expected - twice
        assert len(again) == len(twice)

    def test_no_set_holds_a_failure_that_another_includes(self, fed: LoadedModel) -> None:
        sets = FailureSets.of(fed.model, only=("region-west", "cluster-*", "provider-*"))
        names = [{sets.names[member] for member in members} for members in sets.of_size(3)]
        assert names == [
            {"provider-cloudy", "region-west", "cluster-east-gpus"},
            {"provider-cloudy", "cluster-west-gpus", "cluster-east-gpus"},
        ]

    def test_a_pattern_that_matches_nothing_is_refused(self, fed: LoadedModel) -> None:
        with pytest.raises(InputError, match=r"--only: `plant-wst` matches none.*plant-west"):
            FailureSets.of(fed.model, only=("plant-wst",), excluded=("region-*",))
        with pytest.raises(InputError, match="no failure is left"):
            FailureSets.of(fed.model, excluded=("*",))

    def test_too_many_sets_are_refused(
        self, fed: LoadedModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("planner.analysis.stress.failure_sets.MOST_SETS", 20)
        with pytest.raises(InputError, match="more than 20 sets of 2"):
            found_in(fed.model)

    def test_what_places_miss_is_what_the_standard_asks_for_less_what_is_left(
        self, fed: LoadedModel
    ) -> None:
        sets, fleet = FailureSets.of(fed.model), Fleet.existing(fed.model)
        region = sets.names.index("region-west")
        unit = sets.names.index("unit-west-chillers")
        missing = sets.missing_rps(fleet, [(unit,), (region,)])
        clusters = fed.model.clusters
        rps = {
            name: entry.existing_gpus * entry.max_utilisation for name, entry in clusters.items()
        }
        total = float(sum(zone.demand_rps for zone in fed.model.zones.values()))
        assert missing[1] - missing[0] == pytest.approx(rps["west-gpus"])
        assert missing[0] == pytest.approx(total - sum(rps.values()), rel=0.05)


class TestClasses:
    @pytest.mark.parametrize(
        ("severities", "expected"),
        [
            (("common",), "common"),
            (("single", "single"), "double"),
            (("single", "region"), "region"),
            (("common", "region"), "extreme"),
            (("single", "single", "single"), "extreme"),
        ],
    )
    def test_one_has_its_own_two_those_of_n_2_and_more_are_extreme(
        self, reference: LoadedModel, severities: tuple[Severity, ...], expected: Severity
    ) -> None:
        assert judged_as(reference.model, severities) == expected
        if len(severities) == 2:
            assert joint_severity(severities) == expected

    def test_without_rules_for_it_the_most_lenient_class_counts(self, fed: LoadedModel) -> None:
        assert judged_as(fed.model, ("common", "region")) == "region"
        less = {name: rules for name, rules in fed.model.standard.items() if name != "region"}
        assert judged_as(fed.model.replace(standard=less), ("region", "region")) == "common"
        assert judged_as(fed.model.replace(standard={}), ("region", "region")) == "extreme"


class TestSearch:
    def test_every_set_is_as_if_simulated_alone(
        self, fed: LoadedModel, pairs_of_fed: Stress
    ) -> None:
        sets, fleet = FailureSets.of(fed.model), Fleet.existing(fed.model)
        scenarios = [sets.scenario(one) for size in (1, 2) for one in sets.of_size(size)]
        verdicts = judge(fed.model, fleet, tuple(scenarios), stories=False)
        assert [
            (one.scenario, one.status, one.lost_requests, one.severity)
            for one in pairs_of_fed.outcomes
        ] == [(one.name, one.status, one.lost_requests, one.severity) for one in verdicts]
        summary = pairs_of_fed.sizes[1]
        assert summary.by_proof + summary.simulated == summary.sets == len(sets.of_size(2))
        assert summary.by_proof >= 2 * (len(sets.names) - 3)
        failing = {one.name for one in verdicts if one.fails}
        assert {one.scenario for one in pairs_of_fed.failing} == failing

    @given(data=st.data())
    def test_proofs_agree_with_simulation_in_random_models(
        self, data: st.DataObject, tiny: LoadedModel
    ) -> None:
        model = data.draw(models(tiny.model))
        fleet, sets = Fleet.existing(model), FailureSets.of(model, services=True)
        found = stress(fleet, sets, 2)
        members = [one for size in (1, 2) for one in sets.of_size(size)]
        alone = judged_alone(fleet, sets, members, "peak")
        assert list(map(outcome, found.outcomes)) == list(map(outcome, alone))

    def test_smallest_minimal_and_worst_are_those_of_the_exhaustive_answer(
        self, pairs_of_fed: Stress
    ) -> None:
        failing = {one.failures: one for one in pairs_of_fed.outcomes if one.fails}
        least = min(map(len, failing))
        assert {one.failures for one in pairs_of_fed.smallest} == {
            names for names in failing if len(names) == least
        }
        assert {one.failures for one in pairs_of_fed.minimal} == {
            names
            for names in failing
            if not any((name,) in failing for name in names if len(names) > 1)
        }
        most = max(one.lost_requests for names, one in failing.items() if len(names) == 2)
        worst = pairs_of_fed.worst(2)
        assert worst is not None
        assert worst.lost_requests == most

    def test_at_all_hours_the_worst_hour_counts(self, fed: LoadedModel) -> None:
        sets = FailureSets.of(fed.model, only=("unit-west-chillers", "plant-west-air"))
        fleet = Fleet.existing(fed.model)
        whole = stress(fleet, sets, 1, "all")
        unit = whole.outcomes[0]
        peak = stress(fleet, sets, 1).outcomes[0]
        assert unit.badness >= peak.badness
        assert "@" in unit.scenario
        assert whole.outcomes[1].status == "not applicable"
        some = stress(fleet, sets, 1, "worst").outcomes[0]
        assert peak.badness <= some.badness <= unit.badness

    def test_where_time_ends_the_rest_is_open(self, fed: LoadedModel) -> None:
        asked = iter([False, True, True])
        found = found_in(fed.model, over=lambda: next(asked))
        one, two = found.sizes
        assert (one.unsettled, two.unsettled) == (0, two.sets)
        assert not found.complete
        assert found.smallest_is_proven
        assert found.worst(2) is None
        nothing = found_in(fed.model, over=lambda: True)
        assert nothing.survives
        assert not nothing.smallest_is_proven


class TestCourses:
    @pytest.fixture
    def course(self, fed: LoadedModel) -> Callable[..., bytes]:
        sets, fleet = FailureSets.of(fed.model), Fleet.existing(fed.model)

        def made(*names: str, severity: Severity = "double") -> bytes:
            scenario = sets.scenario(tuple(sorted(map(sets.names.index, names))))
            changed = scenario.replace(severity=severity)
            (found,) = courses(Layout.of(fed.model, fleet.measures).world(fleet, [changed]))
            return found

        return made

    def test_what_changes_nothing_leaves_the_course_as_it_is(
        self, course: Callable[..., bytes]
    ) -> None:
        one = course("cluster-west-gpus", "feed-one")
        assert one == course("cluster-west-gpus", "feed-two")
        assert one == course("cluster-west-gpus", "provider-cloudy")

    def test_class_loss_and_both_feeds_make_another_course(
        self, course: Callable[..., bytes]
    ) -> None:
        several = [
            course("feed-one", "provider-cloudy"),
            course("feed-one", "provider-cloudy", severity="common"),
            course("feed-one", "feed-two"),
            course("feed-one", "cluster-east-gpus"),
            course("feed-one", "unit-east-chillers"),
        ]
        assert all(one != other for one, other in combinations(several, 2))


@pytest.fixture(scope="module")
def certificate(fed: LoadedModel, pairs_of_fed: Stress) -> Certificate:
    return certificate_of(pairs_of_fed, fed, Fleet.existing(fed.model))


class TestCertificates:
    def test_it_holds_as_it_was_written(
        self, certificate: Certificate, fed: LoadedModel, tmp_path: Path
    ) -> None:
        path = tmp_path / "stress.json"
        path.write_text(json_text(certificate), encoding="utf-8")
        read = read_certificate(path)
        assert read == certificate
        check = check_certificate(read, fed, Fleet.existing(fed.model), share=0.3)
        assert check.differences == ()
        others = len(certificate.sets) - check.failing
        assert check.surviving == int(np.ceil(0.3 * others))

    def test_what_is_changed_is_found(self, certificate: Certificate, fed: LoadedModel) -> None:
        first, *rest = certificate.sets
        assert first.status == "fails"
        survived = first.model_copy(update={"status": "survives"})
        fewer = first.model_copy(update={"lost_requests": first.lost_requests / 2})
        for sets, expected in (
            ((survived, *rest), "survives by `single`, and now fails"),
            ((fewer, *rest), "requests lost, and now"),
            ((first, first, *rest), "listed twice"),
        ):
            changed = certificate.model_copy(update={"sets": sets})
            check = check_certificate(changed, fed, Fleet.existing(fed.model))
            assert len(check.differences) == 1
            assert expected in check.differences[0]
        counts = (certificate.counts[0], certificate.counts[1] - 1)
        changed = certificate.model_copy(update={"counts": counts, "sets": ()})
        (said,) = check_certificate(changed, fed, Fleet.existing(fed.model)).differences
        assert "sets of 2, not" in said

    def test_of_another_model_or_plan_it_is_refused(
        self, certificate: Certificate, fed: LoadedModel, tiny: LoadedModel
    ) -> None:
        fleet = Fleet.existing(fed.model)
        with pytest.raises(InputError, match="is of model `tiny` as it was then"):
            check_certificate(certificate, tiny, fleet)
        other = replace(fleet, gpus=dict.fromkeys(fleet.gpus, 100))
        with pytest.raises(InputError, match="is of another plan"):
            check_certificate(certificate, fed, other)

    @pytest.mark.parametrize("text", ["", "{}", "[1]", '{"kind": "plan", "size": 0}'])
    def test_what_is_no_certificate_is_refused(self, text: str, tmp_path: Path) -> None:
        path = tmp_path / "stress.json"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match="is no certificate of stress"):
            read_certificate(path)
        with pytest.raises(InputError, match="cannot be read"):
            read_certificate(tmp_path / "absent.json")
