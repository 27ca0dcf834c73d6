"""A recorded incident: what happened when, what was done, and what the replay is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, Strict, StringConstraints

from planner.files import package_table
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fields import LARGEST, Entity, Flag, Name, PositiveAmount, Text

MINUTES_PER_DAY = 24 * 60
MOST_CALIBRATED = 4

#: A time of day.
START_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
Start = Annotated[str, Strict(), StringConstraints(pattern=START_PATTERN)]
#: A time of day; ` +1` is the next day, and so on.
CLOCK_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]( \+[1-7])?$"
Clock = Annotated[str, Strict(), StringConstraints(pattern=CLOCK_PATTERN)]
Words = Annotated[Text, StringConstraints(min_length=1)]
Number = Annotated[float, Strict(), Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Confidence = Literal["quoted", "derived", "engineering_estimate", "memory_unverified"]

#: What can be compared at a moment, or (`minute`) the moment at which something happens.
QuantityName = Literal[
    "temperature_c",
    "minute",
    "success_rate",
    "traffic_ratio",
    "waiting_requests",
    "pending_requests",
    "response_seconds",
    "heat_mw",
    "cooling_mw",
    "cooling_capacity_mw",
]
EventName = Literal[
    "temperature_above",
    "temperature_below",
    "shutdown",
    "restored",
    "powered_below",
    "powered_above",
    "cooling_short",
    "standby_cooling",
    "utilisation_above",
    "traffic_ratio_above",
    "reroute",
    "timeouts",
    "success_below",
    "success_above",
    "pool_exhausted",
    "service_overloaded",
    "queue_full",
    "queue_below",
    "pending_below",
    "alarm",
    "first_action",
    "emergency_ordered",
    "emergency_capacity",
]


@dataclass(frozen=True)
class Terms:
    """What a quantity or an event is of, and what can be observed of it.

    Parameters
    ----------
    subject
        What its subject names; tiers may be several, none meaning all.
    threshold
        Whether an event happens at a threshold.
    tolerance
        Largest difference that counts as agreement, unless the milestone has its own.
    least, most
        Bounds of what can be observed.
    """

    subject: str
    threshold: bool
    tolerance: float | None
    least: float
    most: float


def _terms(kind: str) -> dict[str, Terms]:
    return {
        row["name"]: Terms(
            row["subject"],
            bool(row["threshold"]),
            float(row["tolerance"]) if row["tolerance"] else None,
            float(row["least"] or 0.0),
            float(row["most"] or LARGEST),
        )
        for row in package_table("planner.replay", "terms.csv")
        if row["kind"] == kind
    }


QUANTITIES, EVENTS = _terms("quantity"), _terms("event")


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Milestone(Entity):
    """One line of the record that the replay is compared with, or that it was given."""

    time: Clock
    """Time of day; a time before that of minute 0 is of the next day."""
    what: Words
    """What happened, in words."""
    quantity: QuantityName = "minute"
    """What was observed; none is needed for an action that the replay was given."""
    subject: Annotated[tuple[Name, ...], BeforeValidator(_several)] = ()
    """What it was observed of: a cluster, a plant, a service, an offer, or tiers."""
    event: EventName | None = None
    """With `minute`: what happens at that time."""
    threshold: Number | None = None
    """Value at which the event happens."""
    after: Clock | None = None
    """Time of day before which the event does not count."""
    last: Flag = False
    """Whether the last minute of the event counts instead of the first."""
    observed: Number | None = None
    """Value of the record; for `minute` it follows from the time."""
    calibrated: Flag = False
    """Whether a parameter was fitted to it."""
    forced: Flag = False
    """Whether it is a recorded action that the replay was given; it is not scored."""
    tolerance: PositiveAmount | None = None
    """Largest difference that counts as agreement; none means that of the quantity."""
    confidence: Confidence | None = None
    """How sure the figure is; none means as sure as the incident."""
    note: Text = ""
    """Where the record contradicts itself, or what the replay cannot know."""

    @property
    def agreement(self) -> float | None:
        """Largest difference that counts as agreement; None if there is nothing to score."""
        if self.forced:
            return None
        return self.tolerance or QUANTITIES[self.quantity].tolerance


class Calibrated(Entity):
    """A parameter that was fitted to milestones, with the range that physics leaves it."""

    parameter: Words
    """Dotted path in the model, `*` being every entry, or in the incident from `scenario.` on."""
    value: Number | None = None
    """Value in use, which the model or the scenario has; none means that it is not said again."""
    unit: Words
    """Its unit."""
    low: Number
    """Least value that is physically possible."""
    high: Number
    """Largest value that is physically possible."""
    against: tuple[Clock, ...] = Field(min_length=1)
    """Times of the milestones it was fitted to."""
    why: Text = ""
    """Where the range comes from."""


class Incident(Entity):
    """A recorded incident."""

    title: Words
    """What it was, for people."""
    source: Words
    """Where the record comes from."""
    confidence: Confidence
    """How sure the record is."""
    model: Words
    """Shipped model, or a model file, relative to this one."""
    set: tuple[Words, ...] = ()
    """`path=value` settings: how the model differs from the day."""
    clock: Start
    """Time of day of minute 0."""
    time_zone: Text = ""
    """Time zone of the times, for people."""
    scenario: Scenario
    """What failed, and how people and automation reacted."""
    calibrated: tuple[Calibrated, ...] = Field(default=(), max_length=MOST_CALIBRATED)
    """Parameters fitted to the record."""
    milestones: tuple[Milestone, ...] = Field(min_length=1)
    """What the replay is compared with."""

    def minute(self, time: str) -> int:
        """Minutes from minute 0 to a time of day."""
        return minutes_between(self.clock, time)


def minutes_between(start: str, time: str) -> int:
    """Minutes from one time of day to another, which is never the earlier one.

    >>> minutes_between("16:05", "16:30"), minutes_between("23:50", "00:10")
    (25, 20)
    >>> minutes_between("08:41", "09:00 +1")
    1459
    """
    minutes = _of_day(time) - _of_day(start)
    return minutes if minutes >= 0 else minutes + MINUTES_PER_DAY


def _of_day(time: str) -> int:
    clock, _, days = time.partition(" +")
    hours, minutes = clock.split(":")
    return int(days or 0) * MINUTES_PER_DAY + int(hours) * 60 + int(minutes)


def clock_at(start: str, minute: float) -> str:
    """Time of day some minutes after a start, without the day.

    >>> clock_at("23:50", 20)
    '00:10'
    """
    hours, minutes = divmod((_of_day(start) + round(minute)) % MINUTES_PER_DAY, 60)
    return f"{hours:02d}:{minutes:02d}"
