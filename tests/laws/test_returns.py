"""Returns: every rate found, and found only if it is one; input judged; measures consistent."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from planner.laws import returns
from planner.laws.money import annuity
from planner.laws.returns import (
    MEASURES,
    benefit_cost_ratio,
    capital_recovery,
    equivalent_annual_cost,
    incidents_to_justify,
    internal_rate_of_return,
    modified_internal_rate,
    net_present_value,
    payback_years,
    rates_of_return,
    return_on_investment,
)
from planner.laws.roots import forces_of_interest, sign_changes

NAN, INF = math.nan, math.inf

amounts = st.integers(-1_000_000, 1_000_000).map(lambda cents: cents / 100)
flow_lists = st.lists(amounts, min_size=2, max_size=13)
rates = st.floats(-0.5, 1.5)
positive = st.integers(1, 1_000_000).map(lambda cents: cents / 100)


@st.composite
def conventional(draw: st.DrawFn) -> list[float]:
    """Money is spent first and comes back later."""
    spent = draw(st.lists(positive, min_size=1, max_size=4))
    back = draw(st.lists(positive, min_size=1, max_size=12))
    return [-amount for amount in spent] + back


def gross(rate: float, flows: list[float]) -> float:
    return net_present_value(rate, [abs(flow) for flow in flows])


class TestRates:
    @given(flow_lists)
    def test_present_value_is_zero_at_each_rate(self, flows: list[float]) -> None:
        for rate in rates_of_return(flows):
            assume(rate > -0.999)  # Closer to −1 the rate itself has too few digits.
            worth = net_present_value(rate, flows)
            assert abs(worth) <= 1e-9 * gross(rate, flows)

    @given(flow_lists)
    def test_there_are_no_more_rates_than_changes_of_sign(self, flows: list[float]) -> None:
        changes = sign_changes(np.array(flows))
        found = len(forces_of_interest(np.array(flows)))
        assert found <= changes
        if changes % 2 == 1:
            assert found >= 1

    @given(flow_lists)
    def test_present_value_changes_sign_at_the_rates_only(self, flows: list[float]) -> None:
        """Between two neighbouring rates the present value keeps its sign."""
        edges = [-0.99, *(rate for rate in rates_of_return(flows) if -0.99 < rate < 50), 50.0]
        for low, high in pairwise(edges):
            if math.log1p(high) - math.log1p(low) < 1e-3:
                continue
            forces = np.linspace(math.log1p(low), math.log1p(high), 22)[1:-1]
            points = [math.expm1(force) for force in forces]
            values = [net_present_value(rate, flows) / (gross(rate, flows) or 1) for rate in points]
            assert min(values) >= -1e-9 or max(values) <= 1e-9

    @given(st.lists(st.integers(-9, 30), min_size=1, max_size=6, unique=True), st.integers(1, 9))
    def test_rates_that_flows_are_built_from_are_found(self, tenths: list[int], scale: int) -> None:
        """Flows with the factors 1 + r − g each have exactly the rates they are made of."""
        chosen = sorted(tenth / 10 for tenth in tenths)
        flows = scale * np.poly([1 + rate for rate in chosen])
        found = rates_of_return(flows)
        assert found == pytest.approx(chosen, abs=1e-6)

    @given(flow_lists, st.sampled_from([-3.0, 0.5, 1e6, 1e-6]))
    def test_rates_do_not_depend_on_the_scale_of_flows(
        self, flows: list[float], scale: float
    ) -> None:
        scaled = [scale * flow for flow in flows]
        for one, other in zip(rates_of_return(flows), rates_of_return(scaled), strict=True):
            assert math.log1p(other) == pytest.approx(math.log1p(one), abs=1e-6)

    def test_rates_are_found_over_many_years_and_changes_of_sign(self) -> None:
        flows = [(-1.0) ** year * (1 + year % 5) for year in range(61)]
        found = rates_of_return(flows)
        assert len(found) >= 1
        for rate in found:
            assert abs(net_present_value(rate, flows)) <= 1e-9 * gross(rate, flows)

    def test_a_double_root_counts_once(self) -> None:
        result = internal_rate_of_return([-100.0, 220.0, -121.0])
        assert result.rate == pytest.approx(0.10)
        assert len(result.rates) == 1
        assert "touches zero" in result.reason

    def test_a_present_value_just_below_zero_has_no_rate(self) -> None:
        assert rates_of_return([-100.0, 220.0, -121.001]) == ()
        assert len(rates_of_return([-100.0, 220.0, -120.999])) == 2

    @pytest.mark.parametrize("size", [1e-250, 1.0, 1e250])
    def test_rates_are_found_with_empty_years_and_flows_of_any_size(self, size: float) -> None:
        flows = [0.0, -size, 0.0, 4 * size, 0.0]
        assert rates_of_return(flows) == pytest.approx((1.0,))

    def test_a_rate_indistinguishable_from_minus_one_is_left_out(self) -> None:
        assert rates_of_return([-1e300, 1e-10]) == ()

    @pytest.mark.parametrize(
        ("flows", "reason"),
        [
            ([-1.0, -2.0], "all cash flows are negative: nothing comes back"),
            ([1.0, 0.0], "all cash flows are positive: nothing is invested"),
            ([0.0, 0.0], "all cash flows are zero"),
            ([1000.0, -3000.0, 2500.0], "no real rate makes the net present value zero"),
        ],
    )
    def test_a_missing_rate_comes_with_its_reason(self, flows: list[float], reason: str) -> None:
        result = internal_rate_of_return(flows)
        assert (result.rate, result.rates, result.reason) == (None, (), reason)

    def test_several_rates_are_all_listed(self) -> None:
        result = internal_rate_of_return([-100.0, 230.0, -132.0])
        assert result.rate is None
        assert result.rates == pytest.approx((0.1, 0.2))
        assert "2 rates" in result.reason
        assert "10.00 %, 20.00 %" in result.reason

    def test_flows_of_a_loan_are_reported_as_borrowing(self) -> None:
        assert internal_rate_of_return([-100.0, 150.0]).reason == ""
        loan = internal_rate_of_return([100.0, -150.0])
        assert loan.rate == pytest.approx(0.5)
        assert "borrowed" in loan.reason


class TestPresentValue:
    @given(rates, flow_lists, st.integers(-1000, 1000).map(lambda tenths: tenths / 10))
    def test_present_value_scales_with_its_flows(
        self, rate: float, flows: list[float], scale: float
    ) -> None:
        worth = net_present_value(rate, [scale * flow for flow in flows])
        rounding = 1e-9 * abs(scale) * gross(rate, flows)
        assert worth == pytest.approx(scale * net_present_value(rate, flows), abs=rounding)

    @given(conventional(), rates, rates)
    def test_present_value_falls_with_the_rate_up_to_the_internal_rate(
        self, flows: list[float], one: float, other: float
    ) -> None:
        """Beyond the internal rate a stretched investment may gain, but never become worthwhile."""
        low, high = sorted((one, other))
        (rate,) = rates_of_return(flows)
        worth = net_present_value(low, flows)
        if low <= rate:
            assert worth >= -1e-9 * gross(low, flows)
            assert net_present_value(high, flows) <= worth + 1e-9 * gross(low, flows)
        else:
            assert worth <= 1e-9 * gross(low, flows)

    @given(rates, st.lists(st.tuples(amounts, amounts), min_size=2, max_size=10))
    def test_present_values_add_up(self, rate: float, pairs: list[tuple[float, float]]) -> None:
        ones, others = [p[0] for p in pairs], [p[1] for p in pairs]
        together = net_present_value(rate, [a + b for a, b in pairs])
        apart = net_present_value(rate, ones) + net_present_value(rate, others)
        assert together == pytest.approx(apart, abs=1e-9 * (1 + gross(rate, ones + others)))

    def test_a_present_value_too_large_is_refused(self) -> None:
        with pytest.raises(ValueError, match="present value is too large"):
            net_present_value(-1 + 1e-15, [1.0] * 61)


class TestModifiedRate:
    @given(conventional())
    def test_modified_rate_equals_the_internal_rate_at_which_money_is_reinvested(
        self, flows: list[float]
    ) -> None:
        (rate,) = rates_of_return(flows)
        assume(-0.9 < rate < 10)
        assert modified_internal_rate(flows, rate, rate) == pytest.approx(rate, abs=1e-6)

    @pytest.mark.parametrize("flows", [[1.0, 2.0], [-1.0, -2.0], [0.0, 0.0]])
    def test_modified_rate_needs_flows_of_both_signs(self, flows: list[float]) -> None:
        assert modified_internal_rate(flows, 0.1, 0.1) is None

    def test_modified_rate_exists_without_an_internal_rate(self) -> None:
        flows = [1000.0, -3000.0, 2500.0]
        rate = modified_internal_rate(flows, 0.1, 0.1)
        expected = math.sqrt((1000 * 1.21 + 2500) / (3000 / 1.1)) - 1
        assert rate == pytest.approx(expected)


class TestPayback:
    @given(conventional(), st.floats(0.0, 0.5))
    def test_discounting_never_shortens_the_payback(self, flows: list[float], rate: float) -> None:
        simple, discounted = payback_years(flows), payback_years(flows, rate)
        if discounted is not None:
            assert simple is not None
            assert 0 < simple <= discounted + 1e-9
            assert discounted <= len(flows) - 1

    @given(conventional(), st.floats(0.0, 0.5))
    def test_discounted_payback_exists_where_the_present_value_is_not_negative(
        self, flows: list[float], rate: float
    ) -> None:
        worth = net_present_value(rate, flows)
        assume(abs(worth) > 1e-9 * gross(rate, flows))
        assert (payback_years(flows, rate) is not None) is (worth > 0)

    @pytest.mark.parametrize(
        ("flows", "years"),
        [
            ([-100.0, 40.0, 40.0, 40.0], 2.5),
            ([-100.0, 50.0, 50.0], 2.0),
            ([-0.3, 0.1, 0.1, 0.1], 3.0),  # Rounding leaves a little less than nothing.
            ([-100.0, 150.0, -100.0, 100.0], 2.5),  # Paid back in year 1, but not for good.
            ([-100.0, 150.0, -100.0], None),  # The end costs more than was gained.
            ([-100.0, 99.0], None),
            ([-100.0, -100.0], None),
            ([0.0, -100.0, 200.0], 1.5),
            ([5.0, 5.0], 0.0),
            ([0.0, 0.0], 0.0),
        ],
    )
    def test_payback_agrees_with_calculations_by_hand(
        self, flows: list[float], years: float | None
    ) -> None:
        assert payback_years(flows) == (None if years is None else pytest.approx(years))


class TestRatios:
    @given(
        st.lists(st.tuples(positive, positive), min_size=2, max_size=10),
        st.floats(-0.5, 1.0),
    )
    def test_return_on_investment_is_the_benefit_cost_ratio_less_one(
        self, pairs: list[tuple[float, float]], rate: float
    ) -> None:
        benefits, costs = [p[0] for p in pairs], [p[1] for p in pairs]
        ratio = benefit_cost_ratio(benefits, costs, rate)
        roi = return_on_investment(benefits, costs, rate)
        assert ratio is not None
        assert roi == pytest.approx(ratio - 1)
        net = net_present_value(rate, [b - c for b, c in pairs])
        spent = net_present_value(rate, costs)
        assert roi == pytest.approx(net / spent, rel=1e-9, abs=1e-9)

    def test_ratios_are_undefined_without_costs(self) -> None:
        assert benefit_cost_ratio([1.0, 1.0], [0.0, 0.0], 0.1) is None
        assert return_on_investment([1.0, 1.0], [0.0, 0.0], 0.1) is None

    def test_benefits_and_costs_of_different_lengths_are_refused(self) -> None:
        with pytest.raises(ValueError, match="got 3 benefits and 2 costs"):
            benefit_cost_ratio([1.0, 1.0, 1.0], [1.0, 1.0], 0.1)


class TestAnnualCost:
    @given(st.floats(0.0, 0.5), st.integers(1, 60))
    def test_capital_recovery_is_the_annuity(self, rate: float, years: int) -> None:
        assume(rate == 0 or rate > 1e-6)
        assert capital_recovery(rate, years) == pytest.approx(annuity(rate, years), rel=1e-8)

    @given(st.floats(-0.9, 1.0), st.lists(positive, min_size=2, max_size=30))
    def test_equivalent_annual_cost_is_worth_the_costs(
        self, rate: float, costs: list[float]
    ) -> None:
        payment = equivalent_annual_cost(costs, rate)
        paid = net_present_value(rate, [0.0] + [payment] * (len(costs) - 1))
        assert paid == pytest.approx(net_present_value(rate, costs), rel=1e-9)

    @pytest.mark.parametrize("rate", [0.0, 1e-300, 1e-18, -1e-18, 1e-12, -1e-12])
    def test_rates_close_to_zero_spread_evenly(self, rate: float) -> None:
        assert capital_recovery(rate, 8) == pytest.approx(0.125)

    def test_annual_cost_is_finite_at_rates_close_to_minus_one(self) -> None:
        assert capital_recovery(-1 + 1e-15, 60) == 0.0

    @pytest.mark.parametrize(("rate", "years"), [(-1.0, 5), (NAN, 5), (INF, 5), (0.1, 0)])
    def test_wrong_annual_costs_are_refused(self, rate: float, years: float) -> None:
        with pytest.raises(ValueError, match="Expected a rate above −1 and years above 0"):
            capital_recovery(rate, years)


class TestBreakEven:
    @given(positive, positive, positive, st.floats(-0.5, 0.5), st.integers(1, 40))
    def test_net_present_value_is_zero_at_the_break_even(
        self, capital: float, yearly: float, loss: float, rate: float, years: int
    ) -> None:
        number = incidents_to_justify(capital, yearly, loss, rate, years)
        flows = [-capital] + [number / years * loss - yearly] * years
        scale = net_present_value(rate, [capital] + [number / years * loss + yearly] * years)
        assert abs(net_present_value(rate, flows)) <= 1e-9 * scale

    def test_break_even_without_interest_divides_the_costs_by_the_loss(self) -> None:
        assert incidents_to_justify(1_150e6, 25e6, 1_580e6, 0.0) == pytest.approx(1_400 / 1_580)
        assert incidents_to_justify(0.0, 0.0, 1.0, 0.09) == 0.0

    def test_every_problem_of_a_break_even_is_reported(self) -> None:
        with pytest.raises(ValueError, match="capital_usd") as caught:
            incidents_to_justify(-1.0, NAN, 0.0, -2.0, 0)
        text = str(caught.value)
        for part in (
            "capital_usd -1 is not an amount of 0 or more",
            "usd_per_year nan is not an amount of 0 or more",
            "usd_per_incident 0 is not an amount above 0",
            "discount rate -2 is not above −1",
            "horizon of 0 years is not above 0",
        ):
            assert part in text


class TestInput:
    @pytest.mark.parametrize(
        "call",
        [
            lambda flows, rate: net_present_value(rate, flows),
            payback_years,
            equivalent_annual_cost,
            lambda flows, rate: modified_internal_rate(flows, rate, 0.1),
            lambda flows, rate: benefit_cost_ratio(flows, flows, rate),
        ],
    )
    @pytest.mark.parametrize(
        ("flows", "rate", "message"),
        [
            ([], -1.0, "rate -1 is not above −1; there is no"),
            ([-5.0], 0.1, "horizon is zero"),
            ([-5.0, NAN], 0.1, "not a finite number: nan in year 1"),
            ([[-5.0, 1.0]], 0.1, "array of 2 dimensions"),
        ],
    )
    def test_every_measure_of_return_refuses_wrong_flows(
        self, call, flows, rate: float, message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            call(flows, rate)

    @pytest.mark.parametrize("call", [rates_of_return, internal_rate_of_return])
    def test_rates_refuse_empty_cash_flows(self, call) -> None:
        with pytest.raises(ValueError, match="there is no cash flow"):
            call([])

    def test_every_measure_of_return_has_a_description(self) -> None:
        assert len(MEASURES) == 9
        for name, text in MEASURES.items():
            assert text.endswith(".")
            assert len(text) > 40, name
        assert returns.MEASURES is MEASURES
