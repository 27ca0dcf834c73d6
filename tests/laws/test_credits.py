"""Service credits: closed forms, published schedules, chance."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.laws.credits import MINUTES_PER_MONTH, credit_share, credit_usd, monthly_credit

DATASETS = Path(__file__).resolve().parents[2] / "datasets"
STEPS = ((0.999, 0.10), (0.99, 0.25), (0.95, 1.0))
SCHEDULES = st.lists(st.tuples(st.floats(0.01, 1.0), st.floats(0, 1)), max_size=4)
MINUTES = st.floats(0, 3 * MINUTES_PER_MONTH)


def published() -> dict[str, list[tuple[float, float]]]:
    """Schedules of datasets/sla_credits.csv that have steps."""
    found = defaultdict(list)
    text = (DATASETS / "sla_credits.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        if row["credit_pct"]:
            step = (float(row["threshold_below_pct"]) / 100, float(row["credit_pct"]) / 100)
            found[f"{row['provider']} {row['service']}"].append(step)
    return dict(found)


class TestShare:
    def test_a_credit_is_due_strictly_below_its_step(self) -> None:
        got = credit_share([1.0, 0.999, 0.9989, 0.99, 0.98, 0.95, 0.94, 0.0], STEPS)

        assert got.tolist() == [0, 0, 0.10, 0.10, 0.25, 0.25, 1.0, 1.0]

    def test_rounding_never_makes_a_credit_due(self) -> None:
        """43.8 minutes of 43,800 are a thousandth, whatever the last digit says."""
        assert credit_usd([43.8, 43.81], STEPS, 1000.0).tolist() == [0.0, 100.0]
        assert monthly_credit([43.8], [1e-6], [(0.999, 0.1)], 1.0).probability[0] < 1e-12

    def test_the_largest_credit_counts_in_any_order_of_steps(self) -> None:
        assert credit_share(0.5, STEPS[::-1]) == credit_share(0.5, STEPS) == 1.0
        assert credit_share(0.5, [(0.9, 0.1), (0.99, 0.3)]) == 0.3

    @pytest.mark.parametrize("steps", [[(0.0, 0.1)], [(1.1, 0.1)], [(0.9, -0.1)], [(0.9, 1.1)]])
    def test_wrong_steps_are_refused(self, steps) -> None:
        for call in (
            lambda: credit_share(0.5, steps),
            lambda: credit_usd(5.0, steps, 1.0),
            lambda: monthly_credit([5.0], [1.0], steps, 1.0),
        ):
            with pytest.raises(ValueError, match="Expected steps"):
                call()

    @pytest.mark.parametrize("availability", [-0.1, 1.1, math.nan])
    def test_an_availability_out_of_range_is_refused(self, availability) -> None:
        with pytest.raises(ValueError, match="availability in"):
            credit_share([0.5, availability], STEPS)

    def test_wrong_minutes_and_bills_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"unserved_minutes ≥ 0.*bill ≥ 0"):
            credit_usd([-1.0], STEPS, math.inf)
        with pytest.raises(ValueError, match="as many minutes as rates"):
            monthly_credit([1.0], [1.0, 2.0], STEPS, 1.0)
        with pytest.raises(ValueError, match="times_per_year"):
            monthly_credit([1.0], [-1.0], STEPS, 1.0)


class TestPublished:
    def test_published_schedules_of_three_providers_are_in_the_catalogue(self) -> None:
        schedules = published()

        openai = np.array(schedules["OpenAI API and ChatGPT Enterprise"])
        assert openai == pytest.approx(np.array([(0.999, 0.10), (0.99, 0.25)]))
        assert {name.split()[0] for name in schedules} == {"OpenAI", "Azure", "AWS"}

    @pytest.mark.parametrize(
        ("name", "shares"),
        [
            ("OpenAI API and ChatGPT Enterprise", [0, 0.10, 0.25, 0.25]),
            ("Azure Azure OpenAI", [0, 0.10, 0.25, 1.0]),
            ("AWS EC2 region level", [0.10, 0.10, 0.30, 1.0]),
        ],
    )
    def test_published_schedules_give_the_stated_credits(self, name, shares) -> None:
        """Half an hour, two hours, ten hours and three days."""
        hours = np.array([0.5, 2.0, 10.0, 72.0])

        got = credit_usd(60 * hours, published()[name], 2e6)

        assert got == pytest.approx(2e6 * np.array(shares))

    @pytest.mark.parametrize("name", published())
    def test_more_downtime_is_never_a_smaller_credit(self, name) -> None:
        credit = credit_usd(np.linspace(0, 2.5 * MINUTES_PER_MONTH, 500), published()[name], 1e6)

        assert credit[0] == 0
        assert np.all(np.diff(credit) >= 0)
        assert credit.max() <= 3e6


class TestOccurrence:
    def test_an_outage_over_months_is_credited_month_by_month(self) -> None:
        """Two months and ten minutes: two full bills, nothing for the rest."""
        minutes = np.array([[1.0, 2.0], [0.0, 2.0]]) * MINUTES_PER_MONTH
        minutes[1, 1] += 10.0

        assert credit_usd(minutes, STEPS, 50.0).tolist() == [[50.0, 100.0], [0.0, 100.0]]
        assert credit_usd(MINUTES_PER_MONTH, [(0.99, 0.25)], 50.0) == 12.5

    @given(MINUTES, SCHEDULES)
    def test_the_credit_of_an_outage_lies_between_those_of_its_full_months(
        self, minutes, steps
    ) -> None:
        months = math.ceil(minutes / MINUTES_PER_MONTH)
        got = credit_usd(minutes, steps, 100.0)

        assert 0 <= got <= 100 * months + 1e-9
        assert got >= 100 * (months - 1) * credit_share(0.0, steps) - 1e-9


class TestMonth:
    def test_one_kind_of_outage_agrees_with_its_closed_form(self) -> None:
        """Hours of outage are Poisson: none 0, one to seven 10 %, eight and more 25 %."""
        rate = 24.0
        month = monthly_credit([60.0], [rate], STEPS[:2], 3e6)

        chance = [math.exp(-2) * 2**n / math.factorial(n) for n in range(60)]
        assert month.probability == pytest.approx((sum(chance[1:8]), sum(chance[8:])), rel=1e-9)
        expected = 3e6 * (0.10 * sum(chance[1:8]) + 0.25 * sum(chance[8:]))
        assert month.expected_usd_per_month == pytest.approx(expected, rel=1e-9)
        assert month.expected_availability == pytest.approx(1 - 120 / 43_800, rel=1e-9)

    def test_a_month_has_no_more_minutes_than_its_own(self) -> None:
        """Half-month outages, two a month on average: two or more leave nothing, not less."""
        month = monthly_credit([MINUTES_PER_MONTH / 2], [24.0], STEPS, 1e6)

        none, one = math.exp(-2), 2 * math.exp(-2)
        assert month.expected_availability == pytest.approx(none + one / 2, rel=1e-6)

    def test_frequent_outages_are_credited_every_month(self) -> None:
        """So often that a month without is out of the question: always the step of its mean."""
        month = monthly_credit([0.2], [12e3], STEPS, 1e6)  # 200 minutes a month, deviation 6

        assert month.probability == pytest.approx((1.0, 0.0, 0.0), abs=1e-12)
        assert month.expected_usd_per_month == pytest.approx(1e5)
        assert month.expected_availability == pytest.approx(1 - 200 / 43_800)

    def test_credits_of_rare_outages_add_up(self) -> None:
        """Two in a month are rare: the expected credit is the sum of rate times credit."""
        minutes, rates = np.array([20.0, 60.0, 900.0, 5e4]), np.array([4e-5, 3e-5, 2e-5, 1e-5])

        month = monthly_credit(minutes, rates, STEPS, 1e6)

        expected = float(rates @ credit_usd(minutes, STEPS, 1e6)) / 12
        assert month.expected_usd_per_month == pytest.approx(expected, rel=1e-4)

    def test_expected_credit_agrees_with_enumeration(self) -> None:
        """All numbers of two kinds that matter, each weighed."""
        minutes, rates = np.array([30.0, 400.0]), np.array([12.0, 3.6])
        numbers = np.stack(np.meshgrid(np.arange(40), np.arange(30)), axis=-1).reshape(-1, 2)
        factorials = np.array([math.factorial(n) for n in range(40)], dtype=float)
        chance = np.prod(
            np.exp(-rates / 12) * (rates / 12) ** numbers / factorials[numbers], axis=1
        )
        down = np.minimum(numbers @ minutes, MINUTES_PER_MONTH)
        share = credit_share(1 - down / MINUTES_PER_MONTH, STEPS)

        month = monthly_credit(minutes, rates, STEPS, 1.0)

        assert month.expected_usd_per_month == pytest.approx(float(chance @ share), rel=1e-9)
        by_step = [float(chance @ (share == credit)) for _, credit in STEPS]
        assert month.probability == pytest.approx(by_step, rel=1e-9, abs=1e-12)

    def test_expected_credit_agrees_with_a_sample(self) -> None:
        """Sixty thousand months drawn with a seed, one kind lasting longer than a month."""
        minutes, rates = np.array([7.3, 91.0, 1300.0, 50_000.0]), np.array([30.0, 2.0, 0.5, 0.1])
        rng, months = np.random.default_rng(11), 60_000
        counts = rng.poisson(rates / 12, (months, 4))
        down = counts[:, :3] @ minutes[:3]
        # The longest fills its month and leaves 6200 minutes to the next.
        down += counts[:, 3] * MINUTES_PER_MONTH + np.roll(counts[:, 3], 1) * 6_200.0
        share = credit_share(np.maximum(0.0, 1 - down / MINUTES_PER_MONTH), STEPS)

        month = monthly_credit(minutes, rates, STEPS, 1.0)

        error = 4 * share.std() / math.sqrt(months)
        assert month.expected_usd_per_month == pytest.approx(share.mean(), abs=error)
        for (_, credit), probability in zip(STEPS, month.probability, strict=True):
            seen = np.mean(share == credit)
            error = 4 * math.sqrt(probability * (1 - probability) / months)
            assert seen == pytest.approx(probability, abs=error)
        up = np.maximum(0.0, 1 - down / MINUTES_PER_MONTH)
        assert month.expected_availability == pytest.approx(
            up.mean(), abs=4 * up.std() / math.sqrt(months)
        )

    @given(
        st.lists(st.tuples(MINUTES, st.floats(0, 20)), max_size=4),
        SCHEDULES,
        st.tuples(MINUTES, st.floats(0, 20)),
    )
    def test_expected_credit_is_within_the_bill_and_rises_with_outages(
        self, kinds, steps, more
    ) -> None:
        def month(all_of):
            minutes, rates = [minute for minute, _ in all_of], [rate for _, rate in all_of]
            return monthly_credit(np.array(minutes), np.array(rates), steps, 100.0)

        one, other = month(kinds), month([*kinds, more])

        assert 0 <= one.expected_usd_per_month <= 100 * (1 + 1e-9)
        assert sum(one.probability) <= 1 + 1e-9
        assert 0 <= one.expected_availability <= 1
        assert other.expected_availability <= one.expected_availability + 1e-6

    def test_no_outages_or_no_steps_give_no_credit(self) -> None:
        quiet = monthly_credit([], [], STEPS, 1e6)
        assert quiet.expected_usd_per_month == 0
        assert (quiet.probability, quiet.expected_availability) == ((0.0, 0.0, 0.0), 1.0)
        free = monthly_credit([60.0], [12.0], [], 1e6)
        assert (free.expected_usd_per_month, free.probability) == (0.0, ())
