"""Published generating systems: loss of load and unserved energy of independent units.

* Billinton & Allan, *Reliability Evaluation of Power Systems*, 2nd edition (Plenum 1996), chapter
  2: outage tables of small systems and their loss-of-load expectation.
* IEEE Reliability Test System: IEEE Trans. Power Apparatus and Systems 98 (1979) 2047-2054 (units
  and hourly load); exact indices in R. N. Allan, R. Billinton & N. M. K. Abdel-Gawad, "The IEEE
  reliability test system: extensions to and evaluation of the generating system", IEEE Trans.
  Power Systems 1 (1986) 1-7.
* Roy Billinton Test System: R. Billinton et al., "A reliability test system for educational
  purposes: basic data", IEEE Trans. Power Systems 4 (1989) 1238-1244, with the same load shape.

The published figures are as remembered from these sources. The load model is hundreds of figures:
agreement to all digits printed shows that it was carried over rightly.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from planner.laws.adequacy import (
    OutageTable,
    equal_units,
    forced_outage_rate,
    mean_shortage,
    shortage_probability,
    state_table,
)

Floats = NDArray[np.float64]

#: Units, capacity of one in MW, forced outage rate.
RTS = (
    (5, 12.0, 0.02),
    (4, 20.0, 0.10),
    (6, 50.0, 0.01),
    (4, 76.0, 0.02),
    (3, 100.0, 0.04),
    (4, 155.0, 0.04),
    (3, 197.0, 0.05),
    (1, 350.0, 0.08),
    (2, 400.0, 0.12),
)
RBTS = (
    (2, 40.0, 0.03),
    (1, 20.0, 0.025),
    (1, 10.0, 0.02),
    (1, 40.0, 0.02),
    (4, 20.0, 0.015),
    (2, 5.0, 0.01),
)
#: The same from failures a year and hours to repair.
RBTS_RATES = {
    (40.0, 0.03): (6.0, 45.0),
    (10.0, 0.02): (4.0, 45.0),
    (20.0, 0.025): (5.0, 45.0),
    (5.0, 0.01): (2.0, 45.0),
    (40.0, 0.02): (3.0, 60.0),
    (20.0, 0.015): (2.4, 55.0),
}

#: Peak of each week in percent of that of the year.
WEEKS = """
86.2 90.0 87.8 83.4 88.0 84.1 83.2 80.6 74.0 73.7 71.5 72.7 70.4 75.0 72.1 80.0 75.4 83.7 87.0 88.0
85.6 81.1 90.0 88.7 89.6 86.1 75.5 81.6 80.1 88.0 72.2 77.6 80.0 72.9 72.6 70.5 78.0 69.5 72.4 72.4
74.3 74.4 80.0 88.1 88.5 90.9 94.0 89.0 94.2 97.0 100.0 95.2
"""
#: Peak of each day from Monday in percent of that of the week.
DAYS = "93 100 98 96 94 77 75"
#: Hours from midnight in percent of the peak of the day: on weekdays, at weekends.
WINTER = (
    "67 63 60 59 59 60 74 86 95 96 96 95 95 95 93 94 99 100 100 96 91 83 73 63",
    "78 72 68 66 64 65 66 70 80 88 90 91 90 88 87 87 91 100 99 97 94 92 87 81",
)
SUMMER = (
    "64 60 58 56 56 58 64 76 87 95 99 100 99 100 100 97 96 96 93 92 92 93 87 72",
    "74 70 66 65 64 62 62 66 81 86 91 93 93 92 91 91 92 94 95 95 100 93 88 80",
)
BETWEEN = (
    "63 62 60 58 59 65 72 85 95 99 100 99 93 92 90 88 90 92 96 98 96 90 80 70",
    "75 73 69 66 65 65 68 74 83 89 92 94 91 90 90 86 85 88 92 100 97 95 90 85",
)


def percents(text: str) -> Floats:
    return np.array(text.split(), dtype=float) / 100


def season(week: int) -> tuple[str, str]:
    if 18 <= week <= 30:
        return SUMMER
    return WINTER if week <= 8 or week >= 44 else BETWEEN


def load_of(peak_mw: float) -> Floats:
    """Load of 364 days of 24 hours, MW."""
    return np.array(
        [
            peak_mw * week * day * percents(season(number)[weekday >= 5])
            for number, week in enumerate(percents(WEEKS), start=1)
            for weekday, day in enumerate(percents(DAYS))
        ]
    )


def table_of(units: tuple[tuple[int, float, float], ...], step: float | None = None) -> OutageTable:
    return state_table([equal_units(size, rate, count) for count, size, rate in units], step)


def loss_of_load_hours(table: OutageTable, load: Floats) -> float:
    """LOLE in hours where the load is that of each hour (in days with daily peaks)."""
    return float(shortage_probability(table, load).sum())


def expected_unserved(table: OutageTable, load: Floats) -> float:
    """LOEE in MWh."""
    return float(mean_shortage(table, load).sum())


def test_outage_table_of_two_units_of_3_mw_and_one_of_5_is_as_published() -> None:
    """Billinton & Allan, table 2.3 and following: forced outage rate 0.02."""
    table = table_of(((2, 3.0, 0.02), (1, 5.0, 0.02)))
    assert table.out.tolist() == [0.0, 3.0, 5.0, 6.0, 8.0, 11.0]
    exact = [0.941192, 0.038416, 0.019208, 0.000392, 0.000784, 0.000008]
    assert table.probability == pytest.approx(exact, abs=1e-12)


def test_outage_table_of_two_units_of_25_mw_and_one_of_50_is_as_published() -> None:
    """Billinton & Allan, section 2.2.4; λ = 0.01 and μ = 0.49 a day."""
    rate = forced_outage_rate(0.01 * 365, 24 / 0.49)
    table = table_of(((2, 25.0, rate), (1, 50.0, rate)))
    assert rate == pytest.approx(0.02)
    assert table.at_least == pytest.approx([1, 0.058808, 0.020392, 0.000792, 0.000008], abs=1e-12)


def test_loss_of_load_of_that_system_in_days() -> None:
    """Billinton & Allan, section 2.3.2: daily peaks of a year, 2.15108 days a year."""
    peaks = np.repeat([57.0, 52.0, 46.0, 41.0, 34.0], [12, 83, 107, 116, 47])
    table = table_of(((2, 25.0, 0.02), (1, 50.0, 0.02)))
    assert loss_of_load_hours(table, peaks) == pytest.approx(2.15108, abs=5e-6)


class TestReliabilityTestSystem:
    def test_reliability_test_system_has_the_published_load(self) -> None:
        load = load_of(2850.0)
        assert load.size == 8736
        assert load.max() == 2850.0

    def test_reliability_test_system_has_the_published_units(self) -> None:
        table = table_of(RTS)
        assert table.installed == 3405.0
        # No unit out, and the cumulative probability of the first outage.
        assert table.at_least[:2] == pytest.approx([1.0, 0.763604], abs=1e-6)

    def test_hourly_indices_are_those_published(self) -> None:
        table, load = table_of(RTS), load_of(2850.0)
        assert loss_of_load_hours(table, load) == pytest.approx(9.39418, abs=5e-6)
        assert expected_unserved(table, load) == pytest.approx(1176.0, abs=0.5)

    def test_daily_index_is_that_published(self) -> None:
        peaks = load_of(2850.0).max(axis=1)
        assert loss_of_load_hours(table_of(RTS), peaks) == pytest.approx(1.36886, abs=5e-6)

    def test_on_a_grid_of_20_mw_within_two_percent(self) -> None:
        exact, table, load = table_of(RTS), table_of(RTS, 20.0), load_of(2850.0)
        assert len(table.out) <= 3405 / 20 + 2 < len(exact.out)
        coarse, fine = loss_of_load_hours(table, load), loss_of_load_hours(exact, load)
        assert coarse == pytest.approx(fine, rel=0.02)
        assert expected_unserved(table, load) > expected_unserved(exact, load)


class TestRoyBillintonTestSystem:
    def test_roy_billinton_indices_are_those_published(self) -> None:
        table, load = table_of(RBTS), load_of(185.0)
        assert table.installed == 240.0
        assert loss_of_load_hours(table, load) == pytest.approx(1.0916, abs=5e-5)
        assert expected_unserved(table, load) == pytest.approx(9.8613, abs=1e-4)

    @pytest.mark.parametrize(("unit", "rates"), RBTS_RATES.items())
    def test_roy_billinton_rates_are_those_published(
        self, unit: tuple[float, float], rates: tuple[float, float]
    ) -> None:
        """Published to three decimals, from hours up of 8,760 less repairs."""
        assert forced_outage_rate(*rates) == pytest.approx(unit[1], abs=3e-4)
