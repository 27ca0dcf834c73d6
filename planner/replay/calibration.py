"""Fitting the values that an incident declares as calibrated to the milestones marked so.

Least squares within the physical ranges (SciPy's trust-region reflective method). Residuals are in
tolerances of their milestones. A replay goes by whole minutes, so residuals have small stairs:
slopes are taken over a share of each range, the search begins at the values stated and at the best
of some points spread over the ranges, and the best values of all that were tried are kept.

References
----------
M. A. Branch, T. F. Coleman & Y. Li, *SIAM Journal on Scientific Computing* 21 (1999) 1-23 (the
method); G. A. F. Seber & C. J. Wild, *Nonlinear Regression* (Wiley 1989), sections 2.1 and 3.4
(standard errors and what cannot be told apart, from the Jacobian).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from planner.errors import InputError
from planner.infrastructure.entities import Model
from planner.replay.checks import SCENARIO, model_values, value_paths
from planner.replay.comparison import Reading, Replay, replay
from planner.replay.incident import Calibrated, Incident
from planner.replay.loading import LoadedIncident
from planner.replay.milestones import event_moment

Floats = NDArray[np.float64]

#: Share of a range over which slopes are taken, to either side.
STEP = 1 / 64
#: Points spread over the ranges to begin at, a power of two; digits of fitted values.
POINTS, DIGITS = 16, 4
#: Most steps of the search from one point.
MOST_STEPS = 25
#: Slope over a whole range, in tolerances, below which a value changes nothing.
NO_SLOPE = 0.05
#: Ratio of largest to smallest singular value of the Jacobian beyond which values stand in for
#: each other.
ILL_CONDITIONED = 100.0
#: Where a milestone has no tolerance: share of what was observed that counts as one.
SHARE = 0.1


@dataclass(frozen=True)
class FittedValue:
    """A declared value before and after.

    Parameters
    ----------
    before, value
        Value stated, and that of least squares.
    standard_error
        Of the value, None where there are no more milestones than values or it is not identified.
    """

    entry: Calibrated
    before: float
    value: float
    standard_error: float | None

    @property
    def at_bound(self) -> bool:
        """Whether it is at an end of its range."""
        return self.value in (self.entry.low, self.entry.high)


@dataclass(frozen=True)
class Calibration:
    """What was fitted to which milestones, and how well that is determined.

    Parameters
    ----------
    before, after
        The replay with the values stated, and with the fitted ones.
    readings
        Places of the milestones fitted to, among those of the incident.
    residuals
        Simulated less observed in tolerances, before and after.
    warnings
        What the milestones do not determine.
    replays
        Simulations that it took.
    """

    fitted: tuple[FittedValue, ...]
    before: Replay
    after: Replay
    readings: tuple[int, ...]
    residuals: tuple[tuple[float, float], ...]
    warnings: tuple[str, ...]
    replays: int

    @property
    def root_mean_square(self) -> tuple[float, float]:
        """Of the residuals before and after, in tolerances."""
        before, after = np.sqrt(np.mean(np.square(self.residuals), axis=0)).tolist()
        return before, after


def calibrate(loaded: LoadedIncident) -> Calibration:
    """Fit what an incident declares as calibrated, and nothing else.

    Raises
    ------
    InputError
        If it declares nothing, or the model does not take a value of a range.
    """
    from scipy.optimize import least_squares
    from scipy.stats import qmc

    if not loaded.incident.calibrated:
        message = "declares nothing as `calibrated`: state a parameter with its range there"
        raise InputError.single(loaded.name, message)
    fit = _Fit(loaded)
    spread = qmc.Sobol(len(fit.low), seed=0).random(POINTS)
    best = min(spread, key=lambda place: float(np.square(fit.residuals(place)).sum()))
    for begin in (fit.place_of(fit.stated), best):
        least_squares(
            fit.residuals, begin, fit.slopes, bounds=(0.0, 1.0), x_scale=1.0, xtol=1e-4,
            ftol=1e-6, gtol=1e-8, max_nfev=MOST_STEPS,
        )  # fmt: skip
    return _calibration(fit)


def _calibration(fit: _Fit) -> Calibration:
    place = fit.best
    value = fit.values_at(place)
    slopes = fit.slopes(place)
    warnings, errors = _identified(fit, slopes, fit.residuals(place))
    before, after = fit.residuals(fit.place_of(fit.stated)), fit.residuals(place)
    entries = fit.incident.calibrated
    return Calibration(
        tuple(map(FittedValue, entries, fit.stated.tolist(), value.tolist(), errors)),
        replay(fit.loaded),
        replay(fit.with_values(value)),
        fit.targets,
        tuple(zip(before.tolist(), after.tolist(), strict=True)),
        warnings,
        len(fit.known),
    )


@dataclass(eq=False)
class _Fit:
    """An incident whose declared values vary; places are shares of their ranges."""

    loaded: LoadedIncident
    known: dict[bytes, Floats] = field(default_factory=dict)
    places: dict[bytes, Floats] = field(default_factory=dict)

    @property
    def incident(self) -> Incident:
        return self.loaded.incident

    @cached_property
    def low(self) -> Floats:
        return np.array([entry.low for entry in self.incident.calibrated])

    @cached_property
    def high(self) -> Floats:
        return np.array([entry.high for entry in self.incident.calibrated])

    @cached_property
    def whole(self) -> NDArray[np.bool_]:
        """Which values are minutes of the scenario, of which only whole ones differ."""
        names = [entry.parameter for entry in self.incident.calibrated]
        of_time = [n.startswith(f"{SCENARIO}.") and "_minute" in n for n in names]
        return np.array(of_time)

    @cached_property
    def stated(self) -> Floats:
        data = self._data
        return np.array([model_values(data, e.parameter)[0] for e in self.incident.calibrated])

    @cached_property
    def _data(self) -> dict[str, Any]:
        model = self.loaded.loaded.model.model_dump(mode="json")
        return model | {SCENARIO: self.incident.scenario.model_dump(mode="json")}

    @cached_property
    def targets(self) -> tuple[int, ...]:
        """Milestones that something is fitted against."""
        times = {time for entry in self.incident.calibrated for time in entry.against}
        places = enumerate(self.incident.milestones)
        return tuple(i for i, one in places if one.calibrated and one.time in times)

    def place_of(self, values: Floats) -> Floats:
        """Values as shares of their ranges."""
        shares: Floats = np.clip((values - self.low) / (self.high - self.low), 0.0, 1.0)
        return shares

    def values_at(self, place: Floats) -> Floats:
        """Values at shares of their ranges, to some digits."""
        values = self.low + place * (self.high - self.low)
        rounded = np.array([float(f"{value:.{DIGITS}g}") for value in values])
        rounded = np.where(self.whole, np.round(rounded), rounded)
        clipped: Floats = np.clip(rounded, self.low, self.high)
        return clipped

    def with_values(self, values: Floats) -> LoadedIncident:
        """The incident with other values."""
        data = self._data
        for entry, value in zip(self.incident.calibrated, values.tolist(), strict=True):
            for path in value_paths(data, entry.parameter):
                data = _with(data, path, value)
        try:
            model = Model.model_validate({k: v for k, v in data.items() if k != SCENARIO})
            scenario = type(self.incident.scenario).model_validate(data[SCENARIO])
        except ValidationError as error:
            ranges = ", ".join(entry.parameter for entry in self.incident.calibrated)
            message = f"the model does not take all values within the ranges of {ranges}"
            raise InputError.single(self.loaded.name, message) from error
        return replace(
            self.loaded,
            incident=self.incident.replace(scenario=scenario),
            loaded=self.loaded.loaded.set_to(model, ()),
        )

    def residuals(self, place: Floats) -> Floats:
        """Simulated less observed at each target, in tolerances."""
        values = self.values_at(np.asarray(place))
        key = values.tobytes()
        if key not in self.known:
            outcome = replay(self.with_values(values))
            self.known[key] = np.array([_residual(outcome, target) for target in self.targets])
            self.places[key] = np.array(place)
        return self.known[key]

    @property
    def best(self) -> Floats:
        """The place with the least residuals of all that were tried, the first of equal ones."""
        key = min(self.known, key=lambda key: float(np.square(self.known[key]).sum()))
        return self.places[key]

    def slopes(self, place: Floats) -> Floats:
        """Change of each residual over the whole range of each value, (targets, values)."""
        columns, steps = [], np.where(self.whole, 1 / (self.high - self.low), STEP)
        for index, step in enumerate(steps.tolist()):
            ends = np.clip(place[index] + np.array([-step, step]), 0.0, 1.0)
            lower, upper = (np.where(np.arange(len(place)) == index, end, place) for end in ends)
            change = self.residuals(upper) - self.residuals(lower)
            columns.append(change / (ends[1] - ends[0]))
        return np.stack(columns, axis=1)


def _with(data: Any, path: tuple[str | int, ...], value: float) -> Any:
    """Plain data with a number at a path replaced; a whole one stays whole."""
    if not path:
        return round(value) if isinstance(data, int) else value
    head, rest = path[0], path[1:]
    if isinstance(data, Mapping):
        return {**data, head: _with(data[head], rest, value)}
    return [_with(one, rest, value) if i == head else one for i, one in enumerate(data)]


def _residual(outcome: Replay, target: int) -> float:
    """Of a milestone; what never happens counts as happening at the end."""
    reading = outcome.readings[target]
    milestone, incident = reading.milestone, outcome.incident
    simulated = reading.simulated
    if milestone.event is not None:
        after = incident.minute(milestone.after) if milestone.after else 0
        simulated = event_moment(
            outcome.world, outcome.history, milestone.event, milestone.subject,
            milestone.threshold or 0.0, after, milestone.last,
        )  # fmt: skip
        simulated = float(outcome.world.minutes) if simulated is None else simulated
    if simulated is None:
        return 1 / SHARE
    return (simulated - reading.observed) / tolerance(reading)


def tolerance(reading: Reading) -> float:
    """Difference that counts as one tolerance."""
    return reading.milestone.agreement or SHARE * abs(reading.observed) or 1.0


def _identified(
    fit: _Fit, slopes: Floats, residuals: Floats
) -> tuple[tuple[str, ...], list[float | None]]:
    """What the milestones do not determine, and standard errors of what they do."""
    names = [entry.parameter for entry in fit.incident.calibrated]
    count, free = len(names), len(residuals) - len(names)
    warnings = [
        f"{name} changes none of its milestones: any value of its range fits as well"
        for name, column in zip(names, slopes.T, strict=True)
        if np.linalg.norm(column) < NO_SLOPE
    ]
    if free < 0:
        warnings.append(f"{count} values are fitted to {len(residuals)} milestones: too few")
    _, sizes, directions = np.linalg.svd(slopes)
    sizes = np.append(sizes, np.zeros(count - len(sizes)))
    weak = [
        names[i]
        for size, direction in zip(sizes, directions, strict=True)
        if size < sizes[0] / ILL_CONDITIONED
        for i in np.flatnonzero(np.abs(direction) > SHARE)
    ]
    together = list(dict.fromkeys(weak))
    if len(together) > 1 and free >= 0:
        warnings.append(f"{' and '.join(together)} stand in for each other: fix one of them")
    if warnings or free <= 0:
        return tuple(warnings), [None] * count
    variance = float(residuals @ residuals) / free * np.linalg.inv(slopes.T @ slopes)
    return (), (np.sqrt(np.diag(variance)) * (fit.high - fit.low)).tolist()
