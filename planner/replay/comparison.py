"""An incident simulated on the model as it was, and compared with its record."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from planner.infrastructure.fleet import Fleet
from planner.replay.checks import SCENARIO, model_values
from planner.replay.incident import Calibrated, Incident, Milestone
from planner.replay.loading import LoadedIncident
from planner.replay.milestones import event_minute, value_at
from planner.simulation.cascade import simulate
from planner.simulation.history import History
from planner.simulation.world import World


@dataclass(frozen=True)
class Reading:
    """A milestone and what the simulation makes of it.

    Parameters
    ----------
    milestone
        What was recorded.
    minute
        Minutes from minute 0 to its time.
    observed
        Recorded value; of an event the minutes from minute 0.
    simulated
        Simulated value; None if it never happens.
    """

    milestone: Milestone
    minute: int
    observed: float
    simulated: float | None

    @property
    def difference(self) -> float | None:
        """Simulated less observed."""
        return None if self.simulated is None else self.simulated - self.observed

    @property
    def within(self) -> bool | None:
        """Whether the difference is within the tolerance; None if that is not scored."""
        tolerance = self.milestone.agreement
        if tolerance is None:
            return None
        return self.difference is not None and abs(self.difference) <= tolerance + 1e-9


@dataclass(frozen=True)
class Fit:
    """A calibrated parameter and the value in use, which settings of a user may have changed."""

    entry: Calibrated
    value: float


@dataclass(frozen=True)
class Replay:
    """An incident, its simulation and their comparison."""

    name: str
    incident: Incident
    model: str
    sha256: str
    overrides: tuple[str, ...]
    world: World
    history: History
    readings: tuple[Reading, ...]
    fits: tuple[Fit, ...]

    def counts(self) -> dict[str, int]:
        """How many milestones there are, are scored, agree and do not."""
        kinds = Counter(
            "forced"
            if reading.milestone.forced
            else "calibrated"
            if reading.milestone.calibrated
            else ""
            for reading in self.readings
        )
        scored = [reading for reading in self.readings if reading.within is not None]
        met = [reading for reading in scored if reading.within]
        return {
            "milestones": len(self.readings),
            "forced": kinds["forced"],
            "calibrated": kinds["calibrated"],
            "predicted": kinds[""],
            "scored": len(scored),
            "within": len(met),
            "outside": len(scored) - len(met),
            "calibrated_within": sum(reading.milestone.calibrated for reading in met),
        }


def replay(loaded: LoadedIncident) -> Replay:
    """Simulate an incident on what existed, and compare it with its record."""
    incident, model = loaded.incident, loaded.loaded.model
    world, history = simulate(model, Fleet.existing(model), (incident.scenario,))
    data = model.model_dump(mode="json")
    data[SCENARIO] = incident.scenario.model_dump(mode="json")
    return Replay(
        name=loaded.name,
        incident=incident,
        model=loaded.loaded.name,
        sha256=loaded.loaded.sha256,
        overrides=loaded.loaded.overrides,
        world=world,
        history=history,
        readings=tuple(
            read(incident, milestone, world, history) for milestone in incident.milestones
        ),
        fits=tuple(
            Fit(entry, model_values(data, entry.parameter)[0]) for entry in incident.calibrated
        ),
    )


def read(incident: Incident, milestone: Milestone, world: World, history: History) -> Reading:
    """Compare one milestone with a simulation."""
    minute = incident.minute(milestone.time)
    observed = float(minute) if milestone.observed is None else milestone.observed
    return Reading(
        milestone, minute, observed, _simulated(incident, milestone, world, history, minute)
    )


def _simulated(
    incident: Incident, milestone: Milestone, world: World, history: History, minute: int
) -> float | None:
    subject = milestone.subject
    if milestone.quantity != "minute":
        return value_at(world, history, milestone.quantity, subject, minute)
    if milestone.event is None:
        return None  # an action that the simulation has no trace of
    threshold = 0.0 if milestone.threshold is None else milestone.threshold
    after = incident.minute(milestone.after) if milestone.after else 0
    found = event_minute(world, history, milestone.event, subject, threshold, after, milestone.last)
    return None if found is None else float(found)
