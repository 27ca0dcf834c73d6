"""Normal operation of a fleet as it is: the dispatch of its plan, or what is left of it.

tiny: 1,000 and 400 GPUs of 5 kW (half of it static) that serve 1 request/s each, up to 95 %; all
1,000 requests/s may be served on either side, at any hour. West pays 80 USD/MWh, east 60.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from optimization.drawing import drawn_model
from support import EXACT

from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet, as_existing
from planner.infrastructure.loading import LoadedModel, load_model
from planner.infrastructure.measures import with_measures
from planner.optimization.case import Case
from planner.optimization.costs import CostItem, operation_items
from planner.optimization.operation import operation_of
from planner.optimization.programme import build
from planner.optimization.solving import solve
from planner.scenarios.generators import all_scenarios

HOURS = 8760.0
WEST, EAST = 80.0 * HOURS, 60.0 * HOURS


def by_asset(items: tuple[CostItem, ...]) -> dict[str, float]:
    """Yearly cost by asset, nothing left out."""
    return {item.asset: item.usd_per_year for item in items if item.usd_per_year}


def planned(model: Model, scenarios: int = 0) -> tuple[Fleet, tuple[CostItem, ...]]:
    """A plan for some scenarios of a model, and what it says about its operation."""
    programme = build(Case(model, all_scenarios(model)[:scenarios], {}))
    solution = solve(programme, EXACT)
    assert solution.status == "optimal"
    return solution.fleet, operation_items(programme, solution)


def fleet_of_tiny(model: Model, west: int, east: int, **units: dict[str, int]) -> Fleet:
    """A fleet of so many GPUs, with the cooling that exists unless said otherwise."""
    fleet = Fleet.existing(model)
    cooling = {name: units.get(name.replace("-", "_"), of) for name, of in fleet.units.items()}
    return replace(fleet, gpus={"west-gpus": west, "east-gpus": east}, units=cooling)


class TestOfAPlan:
    """What a plan says about its own operation is found again from its fleet alone."""

    @pytest.mark.parametrize(
        ("name", "overrides", "scenarios"),
        [
            ("tiny", (), 100),
            ("tiny", ("policies.spare_block_per_region=true",), 0),
            (
                "tiny",
                ("zones.east-users.transport_usd_per_million_requests={west: 3.0, east: 900.0}",),
                0,
            ),
            ("chatgpt-2023", (), 3),
            ("chatgpt-2023", ("policies.least_regions=4",), 0),
            (
                "chatgpt-2023-measures",
                (
                    "policies.fixed={measures: {tank-us-west: true, second-feed-us-west: true}}",
                    "clusters.us-west-primary.may_retire=true",
                ),
                0,
            ),
        ],
    )
    def test_energy_and_transport(
        self, name: str, overrides: tuple[str, ...], scenarios: int
    ) -> None:
        model = load_model(name, overrides).model
        fleet, stated = planned(model, scenarios)

        found = by_asset(operation_of(model, fleet))

        assert found == pytest.approx(by_asset(stated), rel=1e-6, abs=0.01)
        assert sum(found.values()) > 0

    @pytest.mark.parametrize("seed", [0, 2, 4, 7, 9, 14, 21, 22, 23, 29, 36, 38])
    def test_of_random_models(self, seed: int) -> None:
        model = drawn_model(seed)
        programme = build(Case(model, (), {}))
        solution = solve(programme, EXACT)
        assert solution.status == "optimal"

        found = operation_of(model, solution.fleet)

        # Other flows may cost the same.
        stated = sum(item.usd_per_year for item in operation_items(programme, solution))
        assert sum(item.usd_per_year for item in found) == pytest.approx(stated, rel=1e-6, abs=0.1)


class TestOfWhatIsThere:
    def test_the_cheaper_side_serves_first(self, tiny: LoadedModel) -> None:
        found = by_asset(operation_of(tiny.model, Fleet.existing(tiny.model)))

        # East serves 380 of its 400; west the other 620 with 1,000.
        west, east = 0.005 * (500 + 310), 0.005 * (200 + 190)
        assert found == pytest.approx(
            {
                "west-gpus": west * WEST,
                "west-chillers/chiller-3": west * 0.15 * WEST,
                "east-gpus": east * EAST,
                "east-chillers/chiller-1": east * 0.16 * EAST,
            }
        )

    def test_too_little_for_the_peak(self, tiny: LoadedModel) -> None:
        """475 requests/s are served; the rest costs nothing here."""
        found = by_asset(operation_of(tiny.model, fleet_of_tiny(tiny.model, 500, 0)))

        heat = 0.005 * (250 + 237.5)
        assert found == pytest.approx(
            {"west-gpus": heat * WEST, "west-chillers/chiller-3": heat * 0.15 * WEST}
        )

    def test_nothing_there(self, tiny: LoadedModel) -> None:
        assert by_asset(operation_of(tiny.model, fleet_of_tiny(tiny.model, 0, 0))) == {}

    def test_too_little_cooling(self, tiny: LoadedModel) -> None:
        """Of 4.05 MW in the west 3 MW are cooled; all requests are served all the same."""
        fleet = fleet_of_tiny(tiny.model, 1000, 400, west_chillers={"chiller-3": 1, "chiller-1": 0})

        found = by_asset(operation_of(tiny.model, fleet))

        assert found["west-gpus"] == pytest.approx(4.05 * WEST)
        assert found["west-chillers/chiller-3"] == pytest.approx(3 * 0.15 * WEST)
        assert found["east-gpus"] == pytest.approx(1.95 * EAST)

    def test_heat_of_heavy_requests_turns_none_away(self) -> None:
        """25 MW for each request per second, and nothing to cool them."""
        model = load_model(
            "tiny",
            (
                "gpus.accelerator.power_mw=0.05",
                "gpus.accelerator.rps=0.001",
                "zones.west-users.demand_rps=0.7",
                "zones.east-users.demand_rps=0.3",
            ),
        ).model
        none = {"chiller-3": 0, "chiller-1": 0}
        fleet = fleet_of_tiny(model, 1000, 400, west_chillers=none, east_chillers=none)

        found = by_asset(operation_of(model, fleet))

        # Of 400 in the east 380 are busy, of 1,000 in the west 620.
        west, east = 0.05 * (500 + 310), 0.05 * (200 + 190)
        assert found == pytest.approx({"west-gpus": west * WEST, "east-gpus": east * EAST})

    def test_a_spare_block_is_kept_where_it_can_be(self) -> None:
        model = load_model("tiny", ("policies.spare_block_per_region=true",)).model

        roomy = by_asset(operation_of(model, fleet_of_tiny(model, 1000, 400)))
        tight = by_asset(operation_of(model, fleet_of_tiny(model, 700, 400)))

        # 285 in the east with a block of 100 (95 requests/s) free, 380 if there is no room for it:
        # west would have to serve 715 with 600 GPUs.
        assert roomy["east-gpus"] == pytest.approx(0.005 * (200 + 142.5) * EAST)
        assert tight["east-gpus"] == pytest.approx(0.005 * (200 + 190) * EAST)

    def test_transport(self) -> None:
        """All requests of the east travel: 3 USD a million, 300 a second for a year."""
        price = "zones.east-users.transport_usd_per_million_requests={west: 3.0}"
        model = load_model("tiny", (price,)).model

        found = by_asset(operation_of(model, fleet_of_tiny(model, 1100, 0)))

        assert found["normal operation"] == pytest.approx(3.0 * 300 * 3600 * HOURS / 1e6)

    def test_measures_take_effect(self) -> None:
        """A tank and a second feed do not change what runs."""
        loaded = load_model("chatgpt-2023-measures")
        bought = frozenset({"tank-us-west", "second-feed-us-west"})
        fleet = replace(Fleet.existing(loaded.model), measures=bought)

        found = by_asset(operation_of(loaded.model, fleet))

        changed = with_measures(loaded.model, bought)
        assert found == by_asset(operation_of(changed, replace(fleet, measures=frozenset())))
        assert found == by_asset(operation_of(loaded.model, Fleet.existing(loaded.model)))


class TestAsExisting:
    def test_the_fleet_is_what_exists(self, reference: LoadedModel) -> None:
        model = reference.model
        fleet = Fleet.after(
            model,
            {("us-west-liquid", "chiller-3.5"): 4, ("us-west-liquid", "loop-36"): -1},
            {"us-west-primary": -500, "eu-west": 1000},
            {"aws-p4d": 7},
            frozenset({"eu-west"}),
        )

        place = as_existing(model, fleet)

        found = Fleet.existing(place)
        assert (found.gpus, found.instances) == (fleet.gpus, fleet.instances)
        for plant, units in found.units.items():
            assert {u: n for u, n in units.items() if n} == {
                u: n for u, n in fleet.units[plant].items() if n
            }
        assert not place.regions["eu-west"].candidate
        assert place.regions["asia-pacific"].candidate

    def test_nothing_is_left_to_buy(self, reference: LoadedModel) -> None:
        place = as_existing(reference.model, Fleet.existing(reference.model))
        programme = build(Case(place, (), {}))

        columns = (programme.units, programme.blocks, programme.instances)
        for table in columns:
            assert all(one.upBound == 0 for one in table.values())
        assert not programme.retired
        assert not programme.retired_blocks
