"""What a simulation records of every minute. Axes as in `planner.simulation.world`."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from planner.files import package_table
from planner.infrastructure.entities import Model
from planner.scenarios.services import limited_services
from planner.scenarios.standard import asks_by_zone
from planner.simulation.arrays import KINDS
from planner.simulation.system_states import Bools, Floats, Ints
from planner.simulation.world import World

#: Records with their axis after minutes and scenarios, their meaning, and whether a verdict without
#: its story looks at them.
RECORDS = package_table("planner.simulation", "records.csv")
#: Records by that axis.
AXES: Mapping[str, list[str]] = {
    axis: [row["record"] for row in rows]
    for axis, rows in groupby(RECORDS, key=lambda row: row["axis"])
}
#: Records that are no numbers with a fraction, kept by themselves.
APART = {row["record"]: KINDS[row["kind"]] for row in RECORDS if row["kind"] != "float"}
JUDGED = frozenset(row["record"] for row in RECORDS if row["judged"] == "yes")
#: Records that the cascade writes beside each other (`History.rows`).
TOGETHER = tuple(name for names in AXES.values() for name in names if name not in APART)
#: Column from which each of these stands, −1 where it is not kept.
Places = namedtuple("Places", TOGETHER)  # type: ignore[misc]


@dataclass
class History:
    """Records of every minute (`RECORDS`); first axis minutes, second scenarios.

    Attributes
    ----------
    order_minute, standby_since
        Final values of the state, shapes (S,) and (S, U).
    rows
        Most of these in one place, as the cascade writes them: all of a minute beside each other,
        shape (S, T, columns).
    places
        Column from which each of them stands there.
    """

    demand_rps: Floats
    attempts_rps: Floats
    served_rps: Floats
    zone_served_rps: Floats
    temperature_c: Floats
    clock: Floats
    off: Bools
    heat_mw: Floats
    cooling_mw: Floats
    envelope_mw: Floats
    stopped_gpus: Floats
    powered_gpus: Floats
    supplied_gpus: Floats
    load_rps: Floats
    capacity_rps: Floats
    known_capacity_rps: Floats
    wanted_rps: Floats
    cooling_capacity_mw: Floats
    service_use: Floats
    pool_use: Floats
    waiting: Floats
    stale: Floats
    retrying: Floats
    shed: Floats
    rejected: Floats
    dropped: Floats
    timed_out: Floats
    wasted: Floats
    purged: Floats
    gave_up: Floats
    cold_mj: Floats
    emergency_usd: Floats
    phase: Ints
    order_minute: Floats
    standby_since: Floats
    rows: Floats
    places: Any

    @classmethod
    def empty(
        cls, world: World, only: frozenset[str] | None = None, reuse: History | None = None
    ) -> History:
        """Room for the records of all minutes; names left out of `only` have room for none."""
        minutes, scenarios = world.minutes, len(world.timelines)
        widths = _widths(world.model)
        columns = {
            name: widths[axis]
            for axis, names in AXES.items()
            for name in names
            if (only is None or name in only) and name not in APART
        }
        shape = (scenarios, minutes, sum(columns.values()))
        rows = np.zeros(shape) if reuse is None or reuse.rows.shape != shape else reuse.rows
        by_minute = rows.transpose(1, 0, 2)
        ends = dict(zip(columns, np.cumsum([*columns.values()]).tolist(), strict=True))
        records: dict[str, Any] = {}
        for axis, names in AXES.items():
            for name in names:
                width = widths[axis]
                if name in columns:
                    record = by_minute[:, :, ends[name] - width : ends[name]]
                else:
                    kept = minutes if only is None or name in only else 0
                    made: Any = np.zeros((scenarios, kept, width), dtype=APART.get(name, float))
                    record = made.transpose(1, 0, 2)
                records[name] = record if axis else record[:, :, 0]
        starts = {name: end - columns[name] for name, end in ends.items() if columns[name]}
        places = Places(*(starts.get(name, -1) for name in TOGETHER))
        return cls(
            **records,
            order_minute=np.empty(scenarios),
            standby_since=np.empty((scenarios, len(world.units.names))),
            rows=rows,
            places=places,
        )


def by_part(record: Floats, index: int) -> Floats:
    """A record of one scenario, minutes beside each other, shape (parts, T): fast to reduce."""
    return np.ascontiguousarray(record[:, index].T)


def _widths(model: Model) -> dict[str, int]:
    """Lengths of the axes of records."""
    return {
        "K": len(model.tiers),
        "ZK": len(model.zones) * len(model.tiers) * asks_by_zone(model),
        "C": len(model.clusters),
        "N": len(model.clusters) + len(model.offers),
        "P": len(model.plants),
        "X": len(limited_services(model)),
        "": 1,
    }


def bytes_per_scenario(model: Model, only: frozenset[str] | None) -> float:
    """Memory that the records of one scenario take."""
    widths = _widths(model)
    numbers = sum(
        widths[axis]
        for axis, names in AXES.items()
        for name in names
        if only is None or name in only
    )
    return 8.0 * numbers * model.simulation.horizon_minutes
