"""Scenarios that run the same course on a fleet: the cascade is given the same numbers for them.

The cascade is deterministic, and a scenario does not depend on those that are simulated with it. So
scenarios for which it is given the same numbers have the same outcome, and one of them stands for
all: those to which a failure is added that takes down nothing that the fleet has, or nothing that
counts, such as one of two feeds each of which carries everything.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from planner.scenarios.onset import happens_to
from planner.scenarios.system_state import dependency_index
from planner.simulation.supply import SharedPower
from planner.simulation.world import World


def courses(world: World) -> list[bytes]:
    """Digest of all that the outcome of each scenario depends on, its class included.

    Equal digests mean equal verdicts, but for names, as long as no cluster that something depends
    on shuts itself down (`depends_on_graph`): what is up then is worked out anew on the graph.
    """
    rows = _rows(world)
    usual = zip(world.usual_rps, world.usual_c, strict=True)
    hours = [_digest(rps.tobytes(), celsius.tobytes()) for rps, celsius in usual]
    return [_course(world, rows, hours, s) for s in range(len(world.timelines))]


def depends_on_graph(world: World) -> bool:
    """Whether what is up may depend on clusters that shut themselves down."""
    return any(service.runs_on for service in world.model.services.values())


def _digest(*parts: bytes) -> bytes:
    made = blake2b(digest_size=16)
    for part in parts:
        made.update(len(part).to_bytes(8, "little"))
        made.update(part)
    return made.digest()


def _rows(world: World) -> list[bytes]:
    """System states as the cascade sees them; an offer of which nothing is reserved never is up."""
    states, reserved = world.system_states, world.offers.rps > 0
    arrays: list[NDArray[np.generic]] = [
        states.offer_share * reserved,
        *(
            array
            for name, array in zip(states._fields, states, strict=True)
            if name not in ("offer_share", "power")
        ),
    ]
    supplies = [_supply(supply) for supply in world.stacker.supplies]
    return [
        _digest(supplies[power], *(np.ascontiguousarray(array[row]).tobytes() for array in arrays))
        for row, power in enumerate(states.power.tolist())
    ]


def _supply(supply: SharedPower) -> bytes:
    parts = (supply.limits_mw, supply.clusters, supply.plants, supply.usual, supply.sheds)
    return _digest(*(part.tobytes() for part in parts))


def _course(world: World, rows: list[bytes], hours: list[bytes], s: int) -> bytes:
    timeline, reaction = world.timelines[s], world.reaction
    scenario = timeline.scenario
    interval = world.interval[:, s]
    begins = [0, *(np.flatnonzero(np.diff(interval)) + 1).tolist()]
    spans: list[tuple[int, bytes]] = []
    for minute in begins:
        row = rows[interval[minute]]
        if not spans or spans[-1][1] != row:
            spans.append((minute, row))
    index = dependency_index(world.model, world.graph)
    fleet = world.stacker.fleet
    lost_regions = [event.name for event in scenario.events if event.kind == "region"]
    policy = bool(world.model.policies.surviving_capacity_share)
    terms = (
        spans,
        scenario.severity,
        scenario.emergency_budget_usd,
        hours[world.hour[s]],
        timeline.end_minute,
        timeline.order_minute,
        timeline.clock.starts,
        sorted(lost_regions) if policy else [],
        any(happens_to(index, fleet, world.bearing, event) for event in scenario.events),
    )
    reactions = [np.ascontiguousarray(values[s]).tobytes() for values in vars(reaction).values()]
    return _digest(repr(terms).encode(), *reactions)
