"""Cash flows: one example worked out by hand, and what holds for every build."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from finance.positions import assumptions, bases, positions, purchases
from hypothesis import given
from hypothesis import strategies as st

from planner.finance.appraisal import appraise, returns
from planner.finance.assumptions import Assumptions
from planner.finance.builds import Purchase, Running
from planner.finance.cashflow import CashFlow, Losses, Position, asset_flows, cash_flow, value_after
from planner.infrastructure.policies import TaxLives

NOTHING = Position("base", (), (), Losses(), 0, 0.0)
#: Ten GPUs at 1,000, a life of 3 years, worth 120 each after it.
TEN_GPUS = Purchase("servers", "west", "accelerator", "west", 10, 1000.0, 3.0, 120.0)
PLAIN = Assumptions(discount_rate=0.1, horizon_years=5, tax_rate=0.0)


class TestWorkedOutByHand:
    """Ten GPUs for five years, with inflation of 10 %, electricity 5 %, demand 10 %, tax 25 %.

    Prices are at p = 1.1^t: 1.1, 1.21, 1.331, 1.4641, 1.61051. The GPUs are bought again in year 3.

    ====================  =========  ========  ========  ===========  ========  ===========
    year                          0         1         2            3         4            5
    ====================  =========  ========  ========  ===========  ========  ===========
    capital, 10,000·p       −10,000         0         0      −13,310         0            0
    salvage (below)               0         0         0     1,597.20         0    5,725.075
    upkeep, −300·p                0   −330.00   −363.00      −399.30   −439.23     −483.153
    energy, −100·1.05^t           0   −105.00   −110.25    −115.7625  −121.551     −127.628
    value, 4,000·1.21^t           0  4,840.00  5,856.40    7,086.244  8,574.36   10,374.970
    emergency, −100·…             0   −121.00   −146.41    −177.1561  −214.359     −259.374
    before tax              −10,000  4,284.00  5,236.74   −5,318.775  7,799.22   15,229.889
    ====================  =========  ========  ========  ===========  ========  ===========

    Salvage: in year 3 the first ten earn 1,200·1.331. At the horizon the second ten are 2 of 3
    years old; at its prices they earn 1,200·1.61051 = 1,932.612 in the end, so they have lost two
    thirds of 13,310 − 1,932.612: 13,310 − 7,584.925 = 5,725.075.
    """

    BASE = Position(
        "base",
        (),
        (
            Running("upkeep", "west", "west", 500.0, "servers"),
            Running("energy", "west", "west", 400.0, "electricity"),
        ),
        Losses(9000.0, 0.0, 50.0),
        10,
        0.0,
    )
    BUILD = Position(
        "build",
        (TEN_GPUS,),
        (
            Running("upkeep", "west", "west", 800.0, "servers"),
            Running("energy", "west", "west", 500.0, "electricity"),
        ),
        Losses(5000.0, 0.0, 150.0),
        20,
        0.0,
    )
    ASSUMED = Assumptions(
        discount_rate=0.1,
        horizon_years=5,
        tax_rate=0.25,
        inflation_per_year=0.1,
        electricity_inflation_per_year=0.05,
        demand_growth_per_year=0.1,
        depreciation="straight-line",
        tax_lives=TaxLives(gpus=3),
    )

    def flows(self, method: str) -> CashFlow:
        assumed = replace(self.ASSUMED, depreciation=method)
        return cash_flow(self.BASE, self.BUILD, assumed)

    @pytest.mark.parametrize("method", ["straight-line", "macrs"])
    def test_cash_flow_before_tax_agrees_with_that_by_hand(self, method: str) -> None:
        flows = self.flows(method)

        near(flows.capital, [-10_000, 0, 0, -13_310, 0, 0])
        near(flows.salvage, [0, 0, 0, 1597.20, 0, 5725.0747])
        near(flows.running["upkeep"], [0, -330, -363, -399.3, -439.23, -483.153])
        near(flows.running["energy"], [0, -105, -110.25, -115.7625, -121.5506, -127.6282])
        near(flows.avoided["value"], [0, 4840, 5856.4, 7086.244, 8574.3552, 10_374.9698])
        near(flows.avoided["emergency"], [0, -121, -146.41, -177.1561, -214.3589, -259.3742])
        near(flows.avoided["credits"], [0, 0, 0, 0, 0, 0])
        near(flows.before_tax, [-10_000, 4284, 5236.74, -5318.7746, 7799.2157, 15_229.8891])

    def test_cash_flow_after_straight_line_tax_agrees_with_that_by_hand(self) -> None:
        flows = self.flows("straight-line")

        # 10,000/3 for three years, 13,310/3 for two; a third of 13,310 is in the books at the end.
        near(flows.depreciation, [0, 3333.3333, 3333.3333, 3333.3333, 4436.6667, 4436.6667])
        near(flows.book_value, [0, 0, 0, 0, 0, 4436.6667])
        # Profit: year 1 4,284 − 3,333.33 = 950.67; year 2 5,236.74 − 3,333.33 = 1,903.41;
        # year 3 6,394.025 + 1,597.20 − 3,333.33 = 4,657.89; year 4 7,799.216 − 4,436.67 = 3,362.55;
        # year 5 9,504.814 + (5,725.075 − 4,436.667) − 4,436.667 = 6,356.556. A quarter is paid.
        near(flows.tax, [0, -237.6667, -475.8517, -1164.4730, -840.6373, -1589.1389])
        near(flows.net, [-10_000, 4046.3333, 4760.8883, -6483.2476, 6958.5785, 13_640.7502])
        # −10,000 + 4,046.33/1.1 + 4,760.89/1.21 − 6,483.25/1.331 + 6,958.58/1.4641 + …
        # = −10,000 + 3,678.485 + 3,934.618 − 4,870.960 + 4,752.803 + 8,469.833.
        assert returns(flows, 0.1, 0.25).npv_usd == pytest.approx(5964.779, abs=1e-3)

    def test_cash_flow_after_accelerated_tax_agrees_with_that_by_hand(self) -> None:
        flows = self.flows("macrs")

        # Class of 3 years, as printed: 33.33, 44.45, 14.81 and 7.41 %, the last not reached:
        # 741 of 10,000 are written off in year 3 when they are sold; of 13,310 there are 33.33 %
        # and 44.45 % written off by year 5, so that 22.22 % = 2,957.482 are left.
        near(flows.depreciation, [0, 3333, 4445, 1481, 4436.223, 5916.295])
        near(flows.book_value, [0, 0, 0, 741, 0, 2957.482])
        # Profit: 951.00; 791.74; 6,394.025 + (1,597.20 − 741) − 1,481 = 5,769.225; 3,362.993;
        # 9,504.814 + (5,725.075 − 2,957.482) − 5,916.295 = 6,356.112. A quarter is paid.
        near(flows.tax, [0, -237.75, -197.935, -1442.3063, -840.7482, -1589.0280])
        # 3,678.409 + 4,164.302 − 5,079.700 + 4,752.727 + 8,469.902 − 10,000.
        assert returns(flows, 0.1, 0.25).npv_usd == pytest.approx(5985.639, abs=1e-3)


def near(found: np.ndarray, wanted: list[float]) -> None:
    """Equal to a hundredth of a cent."""
    assert found.tolist() == pytest.approx(wanted, abs=1e-4)


class TestLives:
    def test_an_asset_outlives_the_horizon(self) -> None:
        asset = replace(TEN_GPUS, life_years=20.0, salvage_usd_each=0.0)

        flows = asset_flows(asset, PLAIN)

        # A quarter of its life is over.
        assert flows.capital.tolist() == [10_000, 0, 0, 0, 0, 0]
        assert flows.proceeds.tolist() == pytest.approx([0, 0, 0, 0, 0, 7500])
        assert flows.depreciation.tolist() == pytest.approx([0, 500, 500, 500, 500, 500])
        assert flows.book_value.tolist() == pytest.approx([0, 0, 0, 0, 0, 7500])

    def test_a_life_that_ends_at_the_horizon_leaves_its_salvage(self) -> None:
        flows = asset_flows(replace(TEN_GPUS, life_years=5.0), PLAIN)

        assert flows.capital.tolist() == [10_000, 0, 0, 0, 0, 0]
        assert flows.proceeds.tolist() == pytest.approx([0, 0, 0, 0, 0, 1200])

    def test_a_life_ends_within_a_year(self) -> None:
        flows = asset_flows(replace(TEN_GPUS, life_years=2.5), PLAIN)

        # Bought again after two years and a half, which the ends of years 2 and 3 share.
        assert flows.capital.tolist() == [10_000, 0, 5_000, 5_000, 0, 0]
        assert flows.depreciation.tolist() == pytest.approx([0, *[4000] * 5])
        # The second life ends at the horizon.
        assert flows.proceeds.tolist() == pytest.approx([0, 0, 600, 600, 0, 1200])
        assert flows.book_value.tolist() == pytest.approx([0] * 6)

    def test_a_life_below_a_year(self) -> None:
        flows = asset_flows(replace(TEN_GPUS, life_years=0.4), replace(PLAIN, horizon_years=2))

        # Bought today, at 0.4, 0.8, 1.2 and 1.6 years: year 0 holds what is paid today alone.
        assert flows.capital.tolist() == pytest.approx([10_000, 32_000, 8_000])
        # 0.4 and 0.8, most of 1.2 and a part of 1.6; the rest of these and what ends in year 2.
        assert flows.proceeds.tolist() == pytest.approx([0, 1200 * 3.2, 1200 * 1.8])
        assert flows.depreciation.tolist() == pytest.approx([0, 25_000, 25_000])

    def test_a_horizon_of_one_year(self) -> None:
        flows = asset_flows(TEN_GPUS, replace(PLAIN, horizon_years=1))

        assert flows.capital.tolist() == [10_000, 0]
        # A third of 8,800 is lost.
        assert flows.proceeds.tolist() == pytest.approx([0, 7066.6667])

    def test_longer_than_schedules_go(self) -> None:
        flows = asset_flows(replace(TEN_GPUS, life_years=1e9), PLAIN)

        assert flows.capital.sum() == 10_000
        assert flows.proceeds[-1] == pytest.approx(10_000)

    def test_retirement_earns_its_salvage_today(self) -> None:
        retired = replace(TEN_GPUS, quantity=-10, usd_each=120.0, salvage_usd_each=0.0)

        flows = cash_flow(
            NOTHING, replace(NOTHING, purchases=(retired,)), replace(PLAIN, tax_rate=0.25)
        )

        assert flows.salvage.tolist() == [1200, 0, 0, 0, 0, 0]
        # All of it is profit: what exists counts as written off.
        assert flows.tax.tolist() == [-300, 0, 0, 0, 0, 0]
        assert not flows.capital.any()

    def test_salvage_is_earned_at_the_prices_of_its_year(self) -> None:
        flows = asset_flows(TEN_GPUS, replace(PLAIN, inflation_per_year=0.5))

        assert flows.proceeds[3] == pytest.approx(1200 * 1.5**3)

    def test_value_may_rise_to_its_salvage(self) -> None:
        assert value_after(100.0, 150.0, 1, 2.0) == 125.0


class TestOneYearlyCost:
    """The annuity of the programme, the cycle of purchases and the equivalent yearly cost agree."""

    @given(st.floats(0.05, 70.0), st.integers(1, 40))
    def test_without_interest_for_every_life_and_horizon(self, life: float, years: int) -> None:
        bought = replace(TEN_GPUS, life_years=life, salvage_usd_each=0.0)
        terms = Assumptions(discount_rate=0.0, horizon_years=years, tax_rate=0.0)

        found = appraise(NOTHING, replace(NOTHING, purchases=(bought,)), terms)

        assert found.owning_usd_per_year == pytest.approx(10_000 / life)
        assert found.ownership.usd_per_year == pytest.approx(10_000 / life)

    @pytest.mark.parametrize(
        ("life", "years"), [(1.5, 12), (2.5, 10), (0.4, 6), (4.75, 19), (3.2, 16), (5.0, 10)]
    )
    @pytest.mark.parametrize("rate", [0.03, 0.09, 0.15])
    def test_with_interest_over_whole_cycles(self, life: float, years: int, rate: float) -> None:
        bought = replace(TEN_GPUS, life_years=life, salvage_usd_each=0.0)
        terms = replace(PLAIN, discount_rate=rate, horizon_years=years)

        found = appraise(NOTHING, replace(NOTHING, purchases=(bought,)), terms)

        # Sharing a payment among the ends of its year is off by the curvature of interest alone.
        near = 0.002 if life > 1 else 0.02
        assert found.ownership.usd_per_year == pytest.approx(found.owning_usd_per_year, rel=near)

    @given(purchases(retirements=False), assumptions(tax_rate=0.25))
    def test_all_that_is_paid_is_written_off(self, one: Purchase, assumed: Assumptions) -> None:
        flows = asset_flows(one, assumed)

        off = flows.depreciation.sum() + flows.book_value.sum()
        assert off == pytest.approx(flows.capital.sum(), abs=1e-6)
        assert flows.depreciation.min() >= -1e-6


#: Ten GPUs that were bought for 800 each two years ago, of a life of five; new ones cost 1,000.
OLD_GPUS = Purchase("servers", "west", "accelerator", "west", 10, 1000.0, 5.0, 100.0, 2.0, 800.0)


class TestWhatExists:
    def test_an_existing_asset_is_bought_again_at_the_end_of_its_life(self) -> None:
        flows = asset_flows(OLD_GPUS, replace(PLAIN, horizon_years=9, inflation_per_year=0.1))

        # In three years and in eight, at the prices of then; the last is a fifth over in year 9.
        last = 10_000 * 1.1**8
        bought = [0, 0, 0, 10_000 * 1.1**3, 0, 0, 0, 0, last, 0]
        assert flows.capital.tolist() == pytest.approx(bought)
        left = last - (last - 1000 * 1.1**9) / 5
        sold = [0, 0, 0, 1000 * 1.1**3, 0, 0, 0, 0, 1000 * 1.1**8, left]
        assert flows.proceeds.tolist() == pytest.approx(sold)
        # 1,600 a year of what was paid, then a fifth of 13,310 and of 21,436.
        off = [0, *[1600] * 3, *[2662] * 5, last / 5]
        assert flows.depreciation.tolist() == pytest.approx(off)
        assert not flows.inherited.any()

    def test_outlives_the_horizon(self) -> None:
        flows = asset_flows(OLD_GPUS, replace(PLAIN, horizon_years=2))

        assert not flows.capital.any()
        # Four fifths of 8,000 − 1,000 are lost by then; a fifth of 8,000 is in the books.
        assert flows.proceeds.tolist() == pytest.approx([0, 0, 2400])
        assert flows.inherited.tolist() == pytest.approx([0, 0, 2400])
        assert flows.book_value.tolist() == pytest.approx([0, 0, 1600])
        # It was paid for before: owning it costs nothing meanwhile, and earns nothing.
        assert (
            appraise(
                NOTHING, replace(NOTHING, held=(OLD_GPUS,)), replace(PLAIN, horizon_years=2)
            ).ownership.present_usd
            == 0
        )

    def test_an_asset_older_than_its_life_is_bought_again_today(self) -> None:
        flows = asset_flows(replace(OLD_GPUS, age_years=7.0), PLAIN)

        assert flows.capital.tolist() == [10_000, 0, 0, 0, 0, 0]
        assert flows.book_value.tolist() == pytest.approx([0] * 6)

    def test_an_asset_kept_by_both_changes_nothing(self) -> None:
        base = replace(NOTHING, held=(OLD_GPUS,))

        flows = cash_flow(base, replace(base, name="build"), replace(PLAIN, tax_rate=0.25))

        assert not flows.net.any()

    def test_a_retired_asset_writes_off_its_book_value(self) -> None:
        """Four of ten go: 3/5 of 800 each are still in the books, and no others are bought."""
        base = replace(NOTHING, held=(OLD_GPUS,))
        gone = replace(OLD_GPUS, quantity=-4, usd_each=100.0, salvage_usd_each=0.0)
        build = replace(NOTHING, purchases=(gone,), held=(replace(OLD_GPUS, quantity=6),))

        flows = cash_flow(base, build, replace(PLAIN, tax_rate=0.25))

        assert flows.salvage[0] == 400
        assert flows.book_value[0] == pytest.approx(4 * 480)
        assert flows.tax[0] == pytest.approx(0.25 * (1920 - 400))
        # 640 a year less are written off, and in year 3 nobody buys four for 4,000.
        assert flows.depreciation[1] == pytest.approx(-640)
        assert flows.capital[3] == pytest.approx(4_000)

    def test_accelerated(self) -> None:
        terms = replace(PLAIN, depreciation="macrs", tax_lives=TaxLives(gpus=5))

        flows = asset_flows(OLD_GPUS, terms)

        # Of 8,000 the third to fifth year write off 19.2, 11.52 and 11.52 %; 5.76 % are left then.
        off = [0, 1536, 921.6, 921.6, 2000, 3200]
        assert flows.depreciation.tolist() == pytest.approx(off)
        assert flows.book_value[3] == pytest.approx(460.8)

    def test_cost_of_owning_is_that_of_the_programme(self) -> None:
        build = replace(NOTHING, held=(OLD_GPUS,))

        # 900 each over five years at 10 %, from the third year on.
        assert appraise(build, build, PLAIN).owning_usd_per_year == pytest.approx(
            10 * 900 * 0.1 / (1 - 1.1**-5) / 1.1**3
        )


class TestFactors:
    def test_prices_follow_their_factor(self) -> None:
        lines = (
            Running("upkeep", "west", "west", 10.0, "servers"),
            Running("upkeep", "west", "west", 100.0, "building"),
            Running("upkeep", "chillers", "west", 1000.0, "cooling"),
        )
        cooler = replace(TEN_GPUS, category="cooling")
        build = replace(NOTHING, purchases=(TEN_GPUS, cooler), running=lines)

        flows = cash_flow(NOTHING, build, replace(PLAIN, gpu_price=2.0, cooling_price=3.0))

        assert flows.capital[0] == -10_000 * (2 + 3)
        assert flows.running["upkeep"][1] == -(10 * 2 + 100 + 1000 * 3)

    def test_losses_follow_their_factor(self) -> None:
        base = replace(NOTHING, losses=Losses(100.0, 10.0, 1.0))

        flows = cash_flow(
            base, NOTHING, replace(PLAIN, failure_rate=2.0, outage_value=3.0, surge=5.0)
        )

        assert flows.avoided["value"].tolist() == [0] + [600] * 5
        assert flows.avoided["credits"].tolist() == [0] + [20] * 5
        assert flows.avoided["emergency"].tolist() == [0] + [10] * 5
        assert base.losses.usd == 111

    def test_other_flows_are_taxed_like_the_rest(self) -> None:
        other_usd = np.array([50.0, 0.0, -40.0, 0.0, 0.0, 100.0])

        flows = cash_flow(NOTHING, NOTHING, replace(PLAIN, tax_rate=0.25), other_usd)

        assert flows.net.tolist() == [37.5, 0, -30, 0, 0, 75]


class TestWhateverIsBought:
    @given(purchases(), assumptions())
    def test_all_that_is_spent_is_written_off(
        self, purchase: Purchase, assumed: Assumptions
    ) -> None:
        flows = asset_flows(purchase, assumed)

        written = flows.depreciation.sum() + flows.book_value.sum()
        assert written == pytest.approx(flows.capital.sum(), abs=1e-6)
        for field in fields(flows):
            assert (getattr(flows, field.name) >= -1e-6).all()

    @given(bases(), positions(), assumptions())
    def test_taxes_are_their_share_of_all_there_is(
        self, base: Position, build: Position, assumed: Assumptions
    ) -> None:
        """In the end all that is spent is written off, sooner or later."""
        flows = cash_flow(base, build, assumed)

        assert flows.tax.sum() == pytest.approx(
            -assumed.tax_rate * flows.before_tax.sum(), rel=1e-9, abs=1e-2
        )

    @given(bases(), positions(), assumptions(tax_rate=0.0))
    def test_without_tax_nothing_is_deducted(
        self, base: Position, build: Position, assumed: Assumptions
    ) -> None:
        flows = cash_flow(base, build, assumed)

        assert not flows.tax.any()
        assert (flows.net == flows.before_tax).all()

    @given(bases(), assumptions())
    def test_a_build_that_changes_nothing_moves_no_money(
        self, base: Position, assumed: Assumptions
    ) -> None:
        flows = cash_flow(base, replace(base, name="same"), assumed)

        parts = (flows.capital, flows.salvage, flows.tax, flows.net, flows.before_tax)
        for part in (*parts, *flows.running.values(), *flows.avoided.values()):
            assert not part.any()

    @given(bases(), positions(), assumptions(), st.sampled_from([0.5, 3.0, 1e-3]))
    def test_another_currency_only_scales_the_flows(
        self, base: Position, build: Position, assumed: Assumptions, factor: float
    ) -> None:
        net = cash_flow(base, build, assumed).net
        scaled = cash_flow(times(base, factor), times(build, factor), assumed).net

        assert scaled == pytest.approx(net * factor, rel=1e-9, abs=1e-6)

    @given(bases(), positions(), assumptions(), st.data())
    def test_losses_avoided_later_are_nothing_today(
        self, base: Position, build: Position, assumed: Assumptions, data: st.DataObject
    ) -> None:
        """Year 0 knows neither running cost nor losses; every other year knows all that runs."""
        flows = cash_flow(base, build, assumed)
        year = data.draw(st.integers(1, assumed.horizon_years))

        yearly = [*flows.running.values(), *flows.avoided.values()]
        assert all(part[0] == 0 for part in yearly)
        index = (1 + assumed.inflation_per_year) * (1 + assumed.demand_growth_per_year)
        was, now = base.losses.under(assumed).usd, build.losses.under(assumed).usd
        avoided = sum(part[year] for part in flows.avoided.values())
        assert avoided == pytest.approx((was - now) * index**year, rel=1e-9, abs=1e-6)


def times(position: Position, factor: float) -> Position:
    """The same at other prices."""
    losses = position.losses
    return replace(
        position,
        purchases=tuple(
            replace(
                one,
                usd_each=one.usd_each * factor,
                salvage_usd_each=one.salvage_usd_each * factor,
            )
            for one in position.purchases
        ),
        running=tuple(
            replace(one, usd_per_year=one.usd_per_year * factor) for one in position.running
        ),
        losses=Losses(
            losses.value_usd * factor, losses.credits_usd * factor, losses.emergency_usd * factor
        ),
    )


@given(bases(), positions(), assumptions())
def test_the_rate_of_return_does_not_depend_on_currency(
    base: Position, build: Position, assumed: Assumptions
) -> None:
    small = appraise(base, build, assumed).returns
    large = appraise(times(base, 1000.0), times(build, 1000.0), assumed).returns

    assert small is not None
    assert large is not None
    assert large.npv_usd == pytest.approx(1000 * small.npv_usd, rel=1e-9, abs=1e-3)
    assert large.irr.rates == pytest.approx(small.irr.rates, rel=1e-6, abs=1e-6)
    assert (large.irr.rate is None) == (small.irr.rate is None)
