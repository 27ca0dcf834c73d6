"""Events of a scenario on whole minutes, the time grid of programme and simulator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Event, NodeLoss

#: Minutes closer than this to a whole one are that one: sums of fractions are not exact.
ROUNDING = 1e-6


def minute_before(minute: float) -> float:
    """Last whole minute that is not later.

    >>> minute_before(10.25), minute_before(0.1 + 0.7 + 0.2)
    (10.0, 1.0)
    """
    return float(math.floor(minute + ROUNDING))


def minute_after(minute: float) -> float:
    """First whole minute that is not earlier.

    >>> minute_after(10.25), minute_after(10.1 + 0.9)
    (11.0, 11.0)
    """
    return float(math.ceil(minute - ROUNDING))


@dataclass(frozen=True)
class Timed:
    """An event with the whole minutes within which it lies.

    It begins with the minute in which it happens and ends with that in which it is repaired, so
    that none vanishes between two minutes.

    Parameters
    ----------
    sampled
        Whether its times are drawn at random: then it begins and ends with the next whole minute,
        which makes it as long as it is on average, and may leave nothing of it.
    """

    event: Event
    sampled: bool = False

    @cached_property
    def begins(self) -> float:
        """First minute."""
        return self.start_of(self.event.at_minute)

    @cached_property
    def ends(self) -> float:
        """Minute after its last one."""
        end = minute_after(self._repaired)
        return end if self.sampled else max(end, self.begins + 1)

    @property
    def _repaired(self) -> float:
        return self.event.at_minute + self.event.repair_minutes

    def active(self, minute: float) -> bool:
        """Whether it has begun and is not repaired yet."""
        return self.begins <= minute < self.ends

    def start_of(self, minute: float) -> float:
        """Whole minute with which something that gets worse at a moment begins."""
        return minute_after(minute) if self.sampled else minute_before(minute)

    def dark(self, model: Model) -> tuple[float, float, float]:
        """Minutes at which batteries are empty, generators run, and these run out of fuel.

        For the loss of a feed. Batteries that last until generators run or power is back are not
        empty in between, whatever the fractions of a minute.
        """
        assert isinstance(self.event, NodeLoss)
        feed, at = model.feeds[self.event.name], self.event.at_minute
        empty, runs = at + feed.ups_minutes, at + feed.generator_start_minutes
        runs_out = runs + feed.generator_hours * 60
        running = minute_after(runs) if feed.generator_start_minutes else self.begins
        lasts = runs_out >= self._repaired - ROUNDING
        until, out = self.start_of(empty), math.inf if lasts else self.start_of(runs_out)
        bridged = runs <= empty + ROUNDING and running < out
        if bridged and feed.generator_mw and self.event.generators_start:
            until = max(until, running)
        if empty >= self._repaired - ROUNDING:
            until = math.inf
        return until, running, out


def events_on_grid(events: tuple[Event, ...], sampled: bool = False) -> tuple[Timed, ...]:
    """Events on whole minutes."""
    return tuple(Timed(event, sampled) for event in events)
