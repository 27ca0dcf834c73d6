"""Temperature of a cluster against the solution of its differential equation.

With heat and cooling constant the temperature is a line. Above the throttle temperature the clock
falls linearly with the temperature, so heat does, and the temperature approaches its equilibrium
exponentially (Newton's law of cooling)::

    C·dT/dt = P·(σ + (1 − σ)·(T_s − T)/(T_s − T_t)) − Q
    T(t) = T* + (T_0 − T*)·exp(−t/τ)
    τ = C·(T_s − T_t)/(P·(1 − σ)),   T* = T_s − (T_s − T_t)·(Q/P − σ)/(1 − σ)

P full power, Q cooling, C capacitance, σ static share, T_t and T_s throttle and shutdown
temperature. Figures are those of the platform of 2023: 50 MW, 24 MW of 60 MW of cooling left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from planner.laws.heat import clock_share, heat_mw, temperature_after

GPUS = 10_000.0
THROTTLE_C = 75.0
SHUTDOWN_C = 95.0


@dataclass(frozen=True)
class Cluster:
    """A cluster at full load."""

    power_mw: float = 50.0
    cooling_mw: float = 24.0
    capacitance_mj_per_k: float = 1580.0
    static_share: float = 0.58
    start_c: float = 65.0

    @property
    def time_constant_seconds(self) -> float:
        """τ of the approach above the throttle temperature."""
        dynamic_mw = self.power_mw * (1 - self.static_share)
        return self.capacitance_mj_per_k * (SHUTDOWN_C - THROTTLE_C) / dynamic_mw

    @property
    def equilibrium_c(self) -> float:
        """Temperature at which throttled heat equals the cooling."""
        clock = (self.cooling_mw / self.power_mw - self.static_share) / (1 - self.static_share)
        return SHUTDOWN_C - (SHUTDOWN_C - THROTTLE_C) * clock

    def exact_c(self, seconds: float) -> float:
        """Temperature by the solution, for a cluster that warms from below the throttle point."""
        rate = (self.power_mw - self.cooling_mw) / self.capacitance_mj_per_k
        until = max(0.0, THROTTLE_C - self.start_c) / rate
        if seconds <= until:
            return self.start_c + rate * seconds
        first = max(self.start_c, THROTTLE_C)
        decay = math.exp(-(seconds - until) / self.time_constant_seconds)
        return self.equilibrium_c + (first - self.equilibrium_c) * decay

    def simulated_c(self, minutes: int, step_seconds: float) -> list[float]:
        """Temperature by the laws, step by step, from the start on."""
        temperature = np.array([self.start_c])
        timeline = [self.start_c]
        for _ in range(round(minutes * 60 / step_seconds)):
            clock = clock_share(temperature, np.array(THROTTLE_C), np.array(SHUTDOWN_C))
            heat = heat_mw(self.power_mw / GPUS, self.static_share, GPUS, GPUS * clock)
            temperature = temperature_after(
                temperature,
                heat,
                np.array([self.cooling_mw]),
                np.array([self.capacitance_mj_per_k]),
                np.array([20.0]),
                step_seconds,
            )
            timeline.append(float(temperature[0]))
        return timeline

    def error_c(self, minutes: int, step_seconds: float) -> float:
        """Largest difference between the two over some minutes."""
        timeline = self.simulated_c(minutes, step_seconds)
        return max(abs(c - self.exact_c(i * step_seconds)) for i, c in enumerate(timeline))


class TestConstantHeat:
    @pytest.mark.parametrize("step_seconds", [60.0, 15.0])
    def test_temperature_under_constant_heat_is_linear_whatever_the_step(
        self, step_seconds: float
    ) -> None:
        """Below the throttle point: 26 MW over 1.58 GJ/K is 0.987 K in a minute."""
        timeline = Cluster(start_c=60.0).simulated_c(15, step_seconds)
        rate = 26.0 / 1580.0
        assert timeline == pytest.approx(
            [60.0 + rate * step_seconds * i for i in range(len(timeline))]
        )

    def test_temperature_falls_to_the_set_point_at_the_rate_of_spare_cooling(self) -> None:
        timeline = Cluster(cooling_mw=60.0, start_c=30.0).simulated_c(40, 60.0)
        rate = -10.0 / 1580.0
        assert timeline == pytest.approx(
            [max(20.0, 30.0 + rate * 60.0 * i) for i in range(len(timeline))]
        )


class TestThrottling:
    FAILURE = Cluster()
    #: Minutes until the cluster of the failure reaches shutdown, by the solution.
    MINUTES = 51

    def test_heat_cannot_fall_far_enough_when_cooling_is_below_the_static_heat(self) -> None:
        assert self.FAILURE.equilibrium_c > SHUTDOWN_C
        assert self.FAILURE.exact_c(self.MINUTES * 60) < SHUTDOWN_C
        assert self.FAILURE.exact_c((self.MINUTES + 1) * 60) > SHUTDOWN_C

    def test_at_a_minute_the_error_is_below_a_fifth_of_a_kelvin(self) -> None:
        assert self.FAILURE.error_c(self.MINUTES, 60.0) < 0.2

    def test_shutdown_comes_in_the_minute_that_the_solution_gives(self) -> None:
        timeline = self.FAILURE.simulated_c(self.MINUTES + 5, 60.0)
        reached = next(i for i, c in enumerate(timeline) if c >= SHUTDOWN_C)
        assert reached - 1 <= self.MINUTES + 1 <= reached + 1

    @pytest.mark.parametrize("cooling_mw", [24.0, 36.0, 44.0])
    @pytest.mark.parametrize("start_c", [75.0, 80.0])
    def test_the_error_falls_in_proportion_to_the_step(
        self, cooling_mw: float, start_c: float
    ) -> None:
        """The method is of first order, so half the step makes half the error."""
        cluster = Cluster(cooling_mw=cooling_mw, start_c=start_c)
        errors = [cluster.error_c(25, seconds) for seconds in (60.0, 30.0, 15.0)]
        assert errors[0] < 0.2
        assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.15)
        assert errors[1] / errors[2] == pytest.approx(2.0, abs=0.15)

    @pytest.mark.parametrize("seconds", [30.0, 60.0, 300.0])
    def test_the_error_stays_below_what_theory_allows(self, seconds: float) -> None:
        """Euler on an exponential errs by at most ΔT·(h/2τ)·(t/τ)·exp(−t/τ) to first order."""
        cluster = Cluster(cooling_mw=36.0, start_c=THROTTLE_C)
        gap = cluster.equilibrium_c - THROTTLE_C
        allowed = gap * seconds / (2 * cluster.time_constant_seconds) / math.e
        assert cluster.error_c(120, seconds) == pytest.approx(allowed, rel=0.15)

    @pytest.mark.parametrize(("start_c", "cooling_mw"), [(75.0, 36.0), (94.0, 36.0), (75.0, 48.0)])
    def test_temperature_settles_where_throttled_heat_equals_the_cooling(
        self, start_c: float, cooling_mw: float
    ) -> None:
        """At any step, from below and from above: the equilibrium has no error of its own."""
        cluster = Cluster(cooling_mw=cooling_mw, start_c=start_c)
        assert THROTTLE_C < cluster.equilibrium_c < SHUTDOWN_C
        for seconds in (60.0, 300.0):
            settled = cluster.simulated_c(600, seconds)[-1]
            assert settled == pytest.approx(cluster.equilibrium_c, abs=1e-4)
