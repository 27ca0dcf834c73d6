"""Sets of scenarios by name, merged and filtered."""

from __future__ import annotations

import pytest

from planner.errors import InputError
from planner.infrastructure.loading import load_model
from planner.scenarios.combinations import common_causes, pairs, singles
from planner.scenarios.generators import FAMILIES, all_scenarios, family
from planner.scenarios.sampling import monte_carlo
from planner.selection import SETS, Wanted, parse_sets, select


@pytest.fixture(scope="module")
def model(tiny):
    return tiny.model


def names(selection):
    return [one.name for one in selection.scenarios]


def wanted(sets, **filters):
    return Wanted(parse_sets([sets]), **filters)


class TestSets:
    def test_default_scenarios_are_those_of_the_model(self, model, reference):
        for one in (model, reference.model):
            assert select(one, Wanted(hours="peak")).scenarios == all_scenarios(one)
            assert select(one).warnings() == []
        assert select(model).wanted.usual

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("n-1", singles),
            ("n-2", pairs),
            ("common", common_causes),
            ("regions", lambda model: family(model, "region")),
            ("heat", lambda m: family(m, "heat_wave") + family(m, "heat_wave_unit")),
            ("mc:40", lambda model: monte_carlo(model, 40, 0)),
            ("mc:40:9", lambda model: monte_carlo(model, 40, 9)),
            *((name.replace("_", "-"), lambda m, n=name: family(m, n)) for name in FAMILIES),
        ],
    )
    def test_each_set_gives_its_own_scenarios(self, model, name, expected):
        asked = wanted(name)
        if not expected(model):
            with pytest.raises(InputError, match="no scenario is left of 0"):
                select(model, asked)
            return
        assert select(model, asked).scenarios == expected(model)
        assert select(model, asked).found == {name: len(expected(model))}

    def test_several_sets_come_in_the_order_asked_for(self, model):
        found = select(model, wanted("regions, surge,UNIT"))
        assert names(found) == [
            "region-west",
            "region-east",
            "surge",
            "unit-west-chillers",
            "unit-east-chillers",
        ]
        assert found.found == {"regions": 2, "surge": 1, "unit": 2}

    def test_sets_option_may_be_repeated_and_separates_by_commas(self):
        assert parse_sets(["n-1,n-2", "Feed_No_Generator", "n-1"]) == (
            "n-1",
            "n-2",
            "feed-no-generator",
        )
        assert parse_sets([]) == ("model",)

    def test_set_written_holds_the_scenarios_written_by_hand(self, reference):
        assert names(select(reference.model, wanted("written"))) == ["incident-2023"]

    def test_wrong_set_names_are_refused_all_at_once_with_the_nearest(self, model):
        with pytest.raises(InputError) as caught:
            select(model, wanted("n-1,n_3,heet,mc:0,mc:x"))
        text = str(caught.value)
        assert len(caught.value.problems) == 4
        assert "`n-3`; did you mean `n-1`?" in text or "`n-3`; did you mean `n-2`?" in text
        assert "`heet`; did you mean `heat`?" in text
        assert text.count("mc:YEARS or mc:YEARS:SEED") == 2
        assert all(name in text for name in SETS)


class TestMerging:
    def test_equal_scenarios_of_two_sets_are_merged(self, model):
        found = select(model, wanted("n-1,regions"))
        assert found.scenarios == singles(model)
        assert found.repeated == 2

    def test_scenarios_of_the_model_override_generated_ones(self):
        mine = "{severity: common, frequency_per_year: 9, events: [{kind: region, name: west, "
        mine += "repair_minutes: 5}]}"
        model = load_model("tiny", (f"scenarios={{region-west: {mine}}}",)).model
        for sets in ("regions", "model,n-1", "n-1,model"):
            found = {one.name: one for one in select(model, wanted(sets)).scenarios}
            assert found["region-west"] == model.scenarios["region-west"]

    def test_own_scenarios_come_first_and_stay(self, model):
        found = select(model, wanted("n-2,model"))
        assert found.scenarios[:10] == all_scenarios(model)
        assert found.repeated == 2
        assert len(found.scenarios) == 10 + 33 - 2

    def test_the_stricter_class_wins(self):
        """A feed without generators that all of east hangs on: alone, and as a common cause."""
        feed = "feeds.e={region: east, capacity_mw: 9, failures_per_year: 1}"
        model = load_model("tiny", (feed,)).model
        for sets in ("n-1,common", "common,n-1"):
            found = names(select(model, wanted(sets)))
            assert "feed-e" in found
            assert "common-feed-e" not in found

    def test_sampled_pairs_leave_the_calculated_frequency(self, model):
        found = select(model, wanted("n-1,n-2,mc:500:1"))
        assert found.scenarios[: 10 + 33] == singles(model) + pairs(model)


class TestFilters:
    def test_only_and_except_filter_by_pattern(self, model):
        asked = wanted("n-1", only=("unit-*", "region-*"), excluded=("*east*",))
        found = select(model, asked)
        assert names(found) == ["unit-west-chillers", "region-west"]
        assert found.filtered == 8

    def test_severity_filters_by_class(self, model):
        found = select(model, wanted("n-1,n-2", severities=("double", "region")))
        assert {one.severity for one in found.scenarios} == {"double", "region"}

    def test_rare_scenarios_are_filtered_by_frequency(self, model):
        found = select(model, wanted("n-2", least_per_year=1e-4))
        assert found.scenarios == tuple(
            one for one in pairs(model) if one.frequency_per_year >= 1e-4
        )
        assert 0 < found.filtered < 33

    def test_patterns_that_match_nothing_are_refused_with_the_nearest(self, model):
        with pytest.raises(InputError) as caught:
            select(model, Wanted(only=("serge",), excluded=("x*",)))
        assert "--only: `serge` matches none of 10 scenarios; did you mean `surge`?" in str(
            caught.value
        )
        assert "--except: `x*` matches none" in str(caught.value)

    def test_filters_that_leave_nothing_are_refused(self, model):
        with pytest.raises(InputError, match="no scenario is left of 10"):
            select(model, Wanted(severities=("extreme",)))


class TestCounts:
    def test_scenarios_are_counted_by_severity_and_set(self, model):
        assert select(model).lines() == [
            "10 scenarios: 3 single, 2 double, 3 common, 2 region",
            "10 failures at 168 hours = 1,680 scenarios; 10 kept",
        ]
        lines = select(model, wanted("n-1,regions", excluded=("cluster-*",))).lines()
        assert lines == [
            "8 scenarios: 3 single, 3 common, 2 region",
            "from n-1 10, regions 2; 2 the same as another; 2 filtered out",
            "8 failures at 168 hours = 1,344 scenarios; 8 kept",
        ]

    def test_a_single_scenario_is_counted_in_the_singular(self, model):
        assert select(model, wanted("surge")).lines()[0] == "1 scenario: 1 common"

    def test_classes_without_rules_are_warned_of(self, model):
        (line,) = select(model, wanted("n-2", only=("region-*-and-region-*",))).warnings()
        assert line == (
            "the standard has no rules for `extreme`: nothing is required of 1 scenario "
            "(region-west-and-region-east)"
        )

    def test_a_model_may_ask_nothing_of_its_own(self):
        model = load_model("tiny", ("standard.common=[]",)).model
        assert select(model).warnings() == []
        assert "`common`" in select(model, wanted("common")).warnings()[0]
