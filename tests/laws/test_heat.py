"""Heat, derating, temperature, throttling, and how plants share their cooling."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.laws.heat import (
    buffer_step,
    capacitance_mj_per_k,
    capacity_after_losses_mw,
    carried_by_plant,
    clock_share,
    coolable_gpus,
    derated_mw,
    derated_share,
    heat_at_utilisation_mw,
    heat_mw,
    share_cooling,
    temperature_after,
    threshold_capacity_mw,
)

powers = st.floats(1e-5, 0.1)
shares = st.floats(0.0, 1.0)
counts = st.floats(0.0, 1e6)
megawatts = st.floats(0.0, 500.0)


class TestHeat:
    @given(powers, shares, counts, counts, counts, counts, st.floats(0.0, 10.0))
    def test_heat_is_linear_in_gpus_on_and_busy(
        self,
        power: float,
        static: float,
        on: float,
        on_too: float,
        busy: float,
        busy_too: float,
        factor: float,
    ) -> None:
        one, other = heat_mw(power, static, on, busy), heat_mw(power, static, on_too, busy_too)
        both = heat_mw(power, static, on + factor * on_too, busy + factor * busy_too)
        assert both == pytest.approx(one + factor * other, rel=1e-9, abs=1e-9)

    @given(powers, shares, counts, counts, counts, counts)
    def test_never_falls_when_more_is_on_or_busy(
        self, power: float, static: float, on: float, busy: float, more_on: float, more_busy: float
    ) -> None:
        assert heat_mw(power, static, on + more_on, busy + more_busy) >= heat_mw(
            power, static, on, busy
        )

    @given(powers, shares, counts)
    def test_lies_between_static_and_full_power(
        self, power: float, static: float, gpus: float
    ) -> None:
        assert heat_at_utilisation_mw(power, static, gpus, 1.0) == pytest.approx(power * gpus)
        assert heat_at_utilisation_mw(power, static, gpus, 0.0) == pytest.approx(
            power * static * gpus
        )

    def test_heat_of_the_platform_of_2023_agrees_with_its_postmortem(self) -> None:
        # 10,000 GPUs of 5 kW: 50 MW of power (postmortem); at 85 % load 50·(0.58 + 0.42·0.85) MW.
        assert heat_at_utilisation_mw(0.005, 0.58, 10_000, 1.0) == pytest.approx(50.0)
        assert heat_at_utilisation_mw(0.005, 0.58, 10_000, 0.85) == pytest.approx(46.85)


class TestDerating:
    @given(megawatts, st.floats(-40, 60), st.floats(0, 45), shares, st.floats(20, 70))
    def test_never_above_rated_never_negative(
        self, rated: float, ambient: float, reference: float, per_c: float, cutout: float
    ) -> None:
        assert 0.0 <= derated_mw(rated, ambient, reference, per_c, cutout) <= rated

    @given(megawatts, st.floats(-40, 60), st.floats(0, 20), shares)
    def test_never_rises_with_ambient(
        self, rated: float, ambient: float, rise: float, per_c: float
    ) -> None:
        cool, hot = (derated_mw(rated, a, 30.0, per_c, 50.0) for a in (ambient, ambient + rise))
        assert hot <= cool

    def test_is_rated_up_to_the_reference_and_linear_above(self) -> None:
        assert derated_mw(10.0, 20.0, 35.0, 0.01, 46.0) == 10.0
        assert derated_mw(10.0, 35.0, 35.0, 0.01, 46.0) == 10.0
        assert derated_mw(10.0, 40.0, 35.0, 0.01, 46.0) == pytest.approx(9.5)
        assert derated_mw(10.0, 46.0, 35.0, 0.01, 46.0) == pytest.approx(8.9)

    def test_stops_above_the_cut_out(self) -> None:
        assert derated_mw(10.0, 46.000001, 35.0, 0.01, 46.0) == 0.0

    def test_capacity_is_zero_where_derating_takes_all_of_it(self) -> None:
        assert derated_mw(10.0, 60.0, 35.0, 0.05, 90.0) == 0.0

    @given(
        st.lists(st.tuples(st.floats(-40, 60), shares), min_size=1, max_size=5),
        st.floats(20, 70),
    )
    def test_derating_of_many_units_equals_that_of_each(
        self, units: list[tuple[float, float]], cutout: float
    ) -> None:
        ambient, per_c = (np.array(column) for column in zip(*units, strict=True))
        together = derated_share(ambient, 25.0, per_c, cutout)
        alone = [derated_mw(1.0, a, 25.0, p, cutout) for a, p in units]
        assert together.tolist() == alone


class TestLosses:
    @given(
        st.lists(st.tuples(st.floats(0.1, 50.0), st.integers(0, 4)), min_size=1, max_size=4),
        st.integers(0, 5),
    )
    def test_equal_the_worst_of_all_ways_to_lose_units(
        self, park: list[tuple[float, int]], lost: int
    ) -> None:
        sizes, numbers = [size for size, _ in park], [count for _, count in park]
        units = [size for size, count in park for _ in range(count)]
        gone = min(lost, len(units))
        worst = min(sum(units) - sum(which) for which in combinations(units, gone))
        assert capacity_after_losses_mw(sizes, numbers, lost) == pytest.approx(worst, abs=1e-9)

    @given(
        st.dictionaries(
            st.sampled_from("abcd"), st.tuples(st.floats(0.1, 50.0), st.integers(0, 4)), min_size=1
        ),
        st.integers(0, 5),
    )
    def test_equal_the_largest_threshold_line(
        self, park: dict[str, tuple[float, int]], lost: int
    ) -> None:
        sizes = {unit: size for unit, (size, _) in park.items()}
        numbers = {unit: count for unit, (_, count) in park.items()}
        lines = [
            sum(coefficient * count for coefficient, count in terms)
            for terms in (
                threshold_capacity_mw(sizes, numbers, lost, threshold)
                for threshold in [0.0, *sizes.values()]
            )
        ]
        left = capacity_after_losses_mw(list(sizes.values()), list(numbers.values()), lost)
        assert max(lines) == pytest.approx(left, abs=1e-9)


class TestTemperature:
    @staticmethod
    def after(
        temperature: float, heat: float, cooling: float, capacitance: float, seconds: float = 60.0
    ) -> float:
        arrays = (np.array([[x]]) for x in (temperature, heat, cooling, capacitance, 65.0))
        return float(temperature_after(*arrays, seconds)[0, 0])

    @given(st.floats(0.1, 30.0), st.floats(100.0, 5000.0), st.integers(1, 200))
    def test_rises_in_a_straight_line_under_constant_excess(
        self, excess: float, capacitance: float, minutes: int
    ) -> None:
        temperature = 65.0
        for _ in range(minutes):
            temperature = self.after(temperature, 20.0 + excess, 20.0, capacitance)
        # One MW for one second is one MJ.
        assert temperature == pytest.approx(65.0 + excess * 60 * minutes / capacitance)

    @given(st.floats(65.0, 120.0), megawatts, megawatts, st.just(0.0) | st.floats(1e-3, 5000.0))
    def test_never_falls_below_the_set_point(
        self, temperature: float, heat: float, cooling: float, capacitance: float
    ) -> None:
        assert self.after(temperature, heat, cooling, capacitance) >= 65.0

    def test_temperature_stays_where_no_power_is_installed(self) -> None:
        assert self.after(70.0, 5.0, 0.0, 0.0) == 70.0

    def test_temperature_does_not_depend_on_the_time_step(self) -> None:
        twice = self.after(self.after(70.0, 30.0, 24.0, 1580.0, 30.0), 30.0, 24.0, 1580.0, 30.0)
        assert twice == pytest.approx(self.after(70.0, 30.0, 24.0, 1580.0, 60.0))

    def test_capacitance_is_in_proportion_to_the_power_installed(self) -> None:
        # 31.6 MJ/K per MW over 10,000 GPUs of 5 kW: 1.58 GJ/K.
        assert capacitance_mj_per_k(31.6, 0.005, 10_000) == pytest.approx(1580.0)


class TestClock:
    @given(st.floats(-50, 200), st.floats(0, 50), st.floats(60, 90), st.floats(0.5, 40))
    def test_lies_between_nothing_and_full_and_never_rises_with_temperature(
        self, temperature: float, rise: float, throttle: float, span: float
    ) -> None:
        limits = np.array(throttle), np.array(throttle + span)
        cool = float(clock_share(np.array(temperature), *limits))
        hot = float(clock_share(np.array(temperature + rise), *limits))
        assert 0.0 <= hot <= cool <= 1.0

    def test_is_full_up_to_throttling_and_nothing_from_shutdown(self) -> None:
        temperatures = np.array([20.0, 75.0, 80.0, 95.0, 120.0])
        clock = clock_share(temperatures, np.array(75.0), np.array(95.0))
        assert clock.tolist() == pytest.approx([1.0, 1.0, 0.75, 0.0, 0.0])


class TestCoolableGpus:
    @given(st.floats(1.0, 1e5), powers, st.floats(0.01, 1.0), shares, st.floats(0.01, 100.0))
    def test_is_the_inverse_of_heat_at_a_utilisation(
        self, gpus: float, power: float, static: float, utilisation: float, cooling: float
    ) -> None:
        arrays = (np.array([x]) for x in (gpus, power, static, utilisation, cooling))
        powered = float(coolable_gpus(*arrays)[0])
        heat = heat_at_utilisation_mw(power, static, powered, utilisation)
        assert powered <= gpus
        assert heat <= cooling * (1 + 1e-9)
        if powered < gpus:
            assert heat == pytest.approx(cooling)

    def test_all_gpus_stay_on_where_they_give_off_no_heat(self) -> None:
        arrays = (np.array([x]) for x in (100.0, 0.0, 0.5, 0.9, 0.0))
        assert coolable_gpus(*arrays).tolist() == [100.0]

    def test_no_gpus_stay_on_without_cooling(self) -> None:
        arrays = (np.array([x]) for x in (100.0, 0.005, 0.5, 0.9, 0.0))
        assert coolable_gpus(*arrays).tolist() == [0.0]


@st.composite
def cooling_cases(
    draw: st.DrawFn,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Need, capacity, and which plants serve which clusters, two scenarios at once."""
    clusters, plants = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    amounts = st.floats(0.0, 50.0)
    need = draw(st.lists(amounts, min_size=2 * clusters, max_size=2 * clusters))
    capacity = draw(st.lists(amounts, min_size=2 * plants, max_size=2 * plants))
    serves = draw(st.lists(st.booleans(), min_size=plants * clusters, max_size=plants * clusters))
    return (
        np.reshape(need, (2, clusters)),
        np.reshape(capacity, (2, plants)),
        np.reshape(serves, (plants, clusters)),
    )


class TestShareCooling:
    @given(cooling_cases())
    def test_gives_no_cluster_more_than_it_needs_or_than_its_plants_have(
        self, data: tuple[np.ndarray, np.ndarray, np.ndarray]
    ) -> None:
        need, capacity, serves = data
        cooled = share_cooling(need, capacity, serves)
        assert (cooled >= -1e-9).all()
        assert (cooled <= need + 1e-9).all()
        assert (cooled.sum(axis=1) <= capacity.sum(axis=1) + 1e-9).all()
        for group in range(2 ** serves.shape[1]):
            members = np.array([bool(group >> c & 1) for c in range(serves.shape[1])])
            reach = serves[:, members].any(axis=1)
            most = capacity[:, reach].sum(axis=1)
            assert (cooled[:, members].sum(axis=1) <= most + 1e-9).all()

    @given(cooling_cases(), st.floats(0.0, 20.0), st.integers(0, 3))
    def test_more_capacity_never_cools_a_cluster_less(
        self, data: tuple[np.ndarray, np.ndarray, np.ndarray], more: float, plant: int
    ) -> None:
        need, capacity, serves = data
        larger = capacity.copy()
        larger[:, plant % capacity.shape[1]] += more
        assert (
            share_cooling(need, larger, serves) >= share_cooling(need, capacity, serves) - 1e-9
        ).all()

    @given(st.lists(st.floats(0.1, 50.0), min_size=1, max_size=5), st.floats(0.0, 200.0))
    def test_of_one_plant_is_in_proportion_to_the_need(
        self, needs: list[float], capacity: float
    ) -> None:
        need = np.array([needs])
        cooled = share_cooling(need, np.array([[capacity]]), np.ones((1, len(needs)), bool))
        share = min(1.0, capacity / sum(needs))
        assert cooled[0].tolist() == pytest.approx([share * need for need in needs])

    def test_second_plant_carries_what_the_first_leaves(self) -> None:
        need = np.array([[6.0, 2.0]])
        serves = np.array([[True, True], [True, False]])
        cooled = share_cooling(need, np.array([[4.0, 9.0]]), serves)
        # 4 MW are shared 3 : 1; the second plant carries the other 3 MW of the first cluster.
        assert cooled.tolist() == [[6.0, 1.0]]

    @given(cooling_cases())
    def test_by_plant_adds_up_and_keeps_to_plants_that_serve(
        self, data: tuple[np.ndarray, np.ndarray, np.ndarray]
    ) -> None:
        need, capacity, serves = data
        carried = carried_by_plant(need, capacity, serves)
        assert (carried >= 0).all()
        assert not carried[:, ~serves].any()
        assert (carried.sum(axis=2) <= capacity + 1e-9).all()
        assert carried.sum(axis=1) == pytest.approx(share_cooling(need, capacity, serves), abs=1e-9)

    @given(cooling_cases())
    def test_cooling_equals_that_of_plants_taken_one_by_one(
        self, data: tuple[np.ndarray, np.ndarray, np.ndarray]
    ) -> None:
        need, capacity, serves = data
        carried = carried_by_plant(need, capacity, serves)
        for scenario in range(len(need)):
            rest = need[scenario].tolist()
            for plant, room in enumerate(capacity[scenario]):
                wanted = sum(rest[c] for c in np.flatnonzero(serves[plant]))
                met = room / max(room, wanted) if wanted > 0 else 0.0
                for c in np.flatnonzero(serves[plant]):
                    assert carried[scenario, plant, c] == pytest.approx(rest[c] * met, abs=1e-9)
                    rest[c] -= rest[c] * met


class TestTank:
    @given(megawatts, megawatts, st.floats(0, 1e5), shares)
    def test_cold_discharged_equals_heat_absorbed(
        self, short: float, spare: float, size: float, filled: float
    ) -> None:
        cold = size * filled
        covered, left = (
            float(part[0])
            for part in buffer_step(*(np.array([x]) for x in (cold, short, spare, size)), 60.0)
        )
        assert 0 <= covered <= short
        assert -1e-9 <= left <= size
        balance = cold + (spare - covered) * 60
        assert left == pytest.approx(min(size, balance), abs=1e-6)
        if covered < short:
            assert covered == pytest.approx(cold / 60)

    def test_tank_discharges_and_recharges_as_calculated_by_hand(self) -> None:
        # 120 MJ cover 2 MW for a minute; then half of the shortage of the next; then it recharges.
        covered, left = [], []
        cold = np.array([180.0])
        for short, spare in ((2.0, 0.0), (2.0, 0.0), (2.0, 0.0), (0.0, 1.5), (0.0, 9.0)):
            part, cold = buffer_step(cold, np.array([short]), np.array([spare]), 180.0, 60.0)
            covered.append(float(part[0]))
            left.append(float(cold[0]))
        assert covered == [2, 1, 0, 0, 0]
        assert left == [60, 0, 0, 90, 180]
