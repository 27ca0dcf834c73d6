"""Power, cooling, heat and temperature in one minute of one scenario."""

from __future__ import annotations

import numpy as np

from planner.laws.compiling import compilable
from planner.laws.heat import (
    buffer_step,
    carry_heat,
    clock_share,
    coolable_gpus,
    derated_share,
    heat_at_utilisation_mw,
    heat_mw,
    temperature_after,
)
from planner.laws.power import Supply, fair_shares
from planner.laws.ratios import ratio
from planner.laws.recovery import envelope_mw, tripped_share
from planner.simulation.arrays import Cooling, Records
from planner.simulation.limits import Limits
from planner.simulation.restoration import stop
from planner.simulation.system_states import Floats
from planner.simulation.world import SECONDS

#: Heat short of cooling by less than this is rounding.
NEGLIGIBLE_MW = 1e-9


@compilable
def cool(
    clusters: Records,
    plants: Records,
    units: Records,
    cooling: Cooling,
    ambient_c: Floats,
    minute: int,
) -> None:
    """Capacity of each plant: running units, and standby units that have started."""
    for c in range(len(clusters)):
        clusters[c].ambient_c, clusters[c].units_back = ambient_c[clusters[c].region], True
    for p in range(len(plants)):
        cooling.capacity_mw[p], plants[p].running_units = 0.0, 0.0
    for u in range(len(units)):
        unit, plant = units[u], plants[units[u].plant]
        share = derated_share(
            ambient_c[unit.region], unit.reference_c, unit.derating_per_c, unit.cutout_c
        )
        ready = unit.count
        if unit.standby and minute - unit.standby_since < unit.start_minutes:
            ready = 0.0
        unit.started = min(unit.started, ready)
        if unit.started < ready and _hottest_c(clusters, cooling, unit.plant) <= unit.start_below_c:
            _start_units(unit, plant, ready, minute)
        unit.there_mw = unit.started * (unit.capacity_mw * share)
        cooling.capacity_mw[unit.plant] += unit.there_mw
        plant.running_units += unit.started if share > 0 else 0.0
    for p in range(len(plants)):
        if plants[p].running_units < plants[p].restart_units:
            for place in range(cooling.first_of[p], cooling.first_of[p + 1]):
                clusters[cooling.heat_of[place]].units_back = False


@compilable
def _hottest_c(clusters: Records, cooling: Cooling, plant: int) -> float:
    """Temperature of the hottest cluster whose heat a plant carries."""
    hottest = -np.inf
    for place in range(cooling.first_of[plant], cooling.first_of[plant + 1]):
        hottest = max(hottest, clusters[cooling.heat_of[place]].temperature_c)
    return hottest


@compilable
def _start_units(unit: Records, plant: Records, ready: float, minute: int) -> None:
    """Units that are there and do not run start one after the other."""
    while unit.started < ready and plant.next_start < minute + 1:
        unit.started = min(unit.started + 1.0, ready)
        plant.next_start = max(plant.next_start, minute) + plant.start_interval


@compilable
def supply(
    clusters: Records, platform: Records, heat_mw: Floats, limits: Limits, place: int
) -> bool:
    """GPUs that draw power, clusters under checks among them, and their heat at the limit.

    Returns whether there are limits that they may exceed.
    """
    limited = limits.sheds[limits.first[place] : limits.first[place + 1]].any()
    for c in range(len(clusters)):
        cluster = clusters[c]
        there = not cluster.off or cluster.checking > 0
        drawing = cluster.gpus - cluster.stopped_gpus if there else 0.0
        if limited and not platform[0].switches_off:
            drawing = min(drawing, cluster.left_on)
        cluster.supplied_gpus = drawing
        heat_mw[c] = heat_at_utilisation_mw(
            cluster.power_mw, cluster.static_share, drawing, cluster.utilisation
        )
    return bool(limited)


@compilable
def shed(
    clusters: Records, platform: Records, cooling: Cooling, limits: Limits, place: int
) -> None:
    """GPUs that there is power for, and what plants then carry at most.

    Where power is less than usual, loads that it does not carry go off at once. Where it is as
    usual, emergency cooling gets what is left of it until operators switch off GPUs in its favour.
    """
    first, last = limits.first[place], limits.first[place + 1]
    if not platform[0].switches_off:
        _leave_emergency_cooling(cooling, limits, first, last)
    for limit in range(first, last):
        limits.left_mw[limit] = limits.limits_mw[limit]
    _share(False, cooling, limits, first, last)
    for c in range(len(clusters)):
        clusters[c].supplied_gpus *= limits.sharing.shares[c]


@compilable
def _share(of_plants: bool, cooling: Cooling, limits: Limits, first: int, last: int) -> None:
    """Shares of clusters, or of emergency plants, that some limits allow."""
    loads = Supply(
        of_plants,
        cooling.heat_mw,
        cooling.capacity_mw,
        limits.clusters[first:last],
        limits.plants[first:last],
        cooling.first,
        cooling.cooled,
        cooling.rejects_to,
    )
    may_shed = limits.emergency if of_plants else limits.every
    fair_shares(limits.left_mw[first:last], may_shed, loads, limits.sharing)


@compilable
def _leave_emergency_cooling(cooling: Cooling, limits: Limits, first: int, last: int) -> None:
    """Emergency plants get what clusters and other plants leave of the usual power."""
    there = False
    for p in range(len(limits.emergency)):
        there = there or (limits.emergency[p] and cooling.capacity_mw[p] > 0)
    if not there:
        return
    for limit in range(first, last):
        limits.left_mw[limit] = limits.limits_mw[limit] if limits.usual[limit] else np.inf
        for c in range(len(cooling.heat_mw)):
            limits.left_mw[limit] -= cooling.heat_mw[c] * limits.clusters[limit, c]
    _share(True, cooling, limits, first, last)
    for p in range(len(cooling.capacity_mw)):
        cooling.capacity_mw[p] *= limits.sharing.shares[p]


@compilable
def power(clusters: Records, platform: Records, cooling: Cooling) -> None:
    """Full heat of GPUs that are supplied, those powered of them, and their clock.

    Cooling limits them once operators switch off GPUs, who then keep a share of it free to cool
    down hot clusters. Clusters under checks are powered but take no requests.
    """
    now = platform[0]
    for c in range(len(clusters)):
        cluster = clusters[c]
        cluster.full_mw = heat_at_utilisation_mw(
            cluster.power_mw, cluster.static_share, cluster.supplied_gpus, cluster.utilisation
        )
        cooling.heat_mw[c] = cluster.full_mw
    _carry_with_reserve(clusters, cooling, now.cooldown_share if now.switches_off else 0.0)
    for c in range(len(clusters)):
        cluster = clusters[c]
        carried = cluster.full_mw - cooling.heat_mw[c]
        # Cooling equal to the heat within rounding must not switch anything off.
        coolable = cluster.supplied_gpus
        if carried < cluster.full_mw * (1 - 1e-12):
            coolable = coolable_gpus(
                cluster.supplied_gpus,
                cluster.power_mw,
                cluster.static_share,
                cluster.utilisation,
                carried,
            )
        if now.switches_off:
            coolable = min(coolable, cluster.left_on + now.restart_per_minute)
            cluster.powered_gpus, cluster.left_on = coolable, coolable
        else:
            # What operators have switched off stays off until they react to what fails next.
            most = max(coolable, cluster.left_on)
            cluster.powered_gpus = min(cluster.supplied_gpus, most)
            cluster.left_on = max(cluster.powered_gpus, cluster.left_on)
        cluster.clock = 1.0
        if cluster.temperature_c > cluster.throttle_c:
            cluster.clock = clock_share(
                cluster.temperature_c,
                cluster.throttle_c,
                cluster.shutdown_c + cluster.shutdown_spread_c,
            )


@compilable
def _carry_with_reserve(clusters: Records, cooling: Cooling, share: float) -> None:
    """Plants carry heat away, those of clusters too hot to restart without a share of capacity."""
    if share <= 0:
        _carry(cooling)
        return
    for p in range(len(cooling.capacity_mw)):
        hot = False
        for place in range(cooling.first_of[p], cooling.first_of[p + 1]):
            cluster = clusters[cooling.heat_of[place]]
            hot = hot or cluster.temperature_c > cluster.restart_c
        cooling.part_mw[p] = cooling.capacity_mw[p] * (1.0 - share if hot else 1.0)
    _carry_up_to(cooling.part_mw, cooling)


@compilable
def _carry(cooling: Cooling) -> None:
    """Plants carry heat away; what nobody carries is left."""
    _carry_up_to(cooling.capacity_mw, cooling)


@compilable
def _carry_up_to(capacity_mw: Floats, cooling: Cooling) -> None:
    """The same with other capacities of plants."""
    carry_heat(
        cooling.heat_mw,
        capacity_mw,
        cooling.first,
        cooling.cooled,
        cooling.carried_mw,
        cooling.rejects_to,
    )


@compilable
def heat_up(
    clusters: Records,
    plants: Records,
    targets: Records,
    platform: Records,
    cooling: Cooling,
    limits: Limits,
    place: int,
) -> None:
    """Heat of the work done, what is carried of it, and the temperature one minute later."""
    for c in range(len(clusters)):
        cluster = clusters[c]
        busy = targets[c].work_rps / cluster.rps
        cluster.heat_mw = heat_mw(
            cluster.power_mw, cluster.static_share, cluster.powered_gpus, busy
        )
        above = min(cluster.temperature_c - cluster.setpoint_c, cluster.pull_down_c)
        wanted = cluster.heat_mw + above * cluster.capacitance / SECONDS
        cluster.envelope_mw = min(_lost_outside_mw(cluster, platform[0].ventilates), wanted)
        cluster.cooling_mw = wanted - cluster.envelope_mw
    if limits.first[place + 1] > limits.first[place]:
        _cool_down_within_power(clusters, plants, cooling, limits, place)
    for c in range(len(clusters)):
        cooling.heat_mw[c] = clusters[c].cooling_mw
    _carry(cooling)
    for c in range(len(clusters)):
        clusters[c].cooling_mw -= cooling.heat_mw[c]
    _use_tanks(clusters, plants, cooling)
    for c in range(len(clusters)):
        cluster = clusters[c]
        cluster.start_c = cluster.temperature_c
        cluster.temperature_c = temperature_after(
            cluster.temperature_c,
            cluster.heat_mw,
            cluster.cooling_mw + cluster.envelope_mw,
            cluster.capacitance,
            cluster.setpoint_c,
            SECONDS,
        )


@compilable
def _cool_down_within_power(
    clusters: Records, plants: Records, cooling: Cooling, limits: Limits, place: int
) -> None:
    """Leave plants the capacity that there is power for beside what GPUs draw.

    What carries the heat of the work comes first; what cools hot rooms and tanks gets the rest.
    """
    first, now_mw, more_mw = cooling.first, cooling.part_mw, cooling.more_mw
    for c in range(len(clusters)):
        cooling.heat_mw[c] = max(clusters[c].heat_mw - clusters[c].envelope_mw, 0.0)
    _carry(cooling)
    for p in range(len(plants)):
        now_mw[p] = cooling.carried_mw[first[p] : first[p + 1]].sum()
    for c in range(len(clusters)):
        cooling.heat_mw[c] = clusters[c].cooling_mw
    _carry(cooling)
    extra = 0.0
    for p in range(len(plants)):
        carried = cooling.carried_mw[first[p] : first[p + 1]].sum()
        refill = (plants[p].buffer_mj - plants[p].cold_mj) / SECONDS if plants[p].buffer_up else 0.0
        more_mw[p] = max(min(cooling.capacity_mw[p], carried + refill) - now_mw[p], 0.0)
        extra += more_mw[p]
    if extra <= 0:
        return
    for limit in range(limits.first[place], limits.first[place + 1]):
        left, wanted = limits.limits_mw[limit], 0.0
        for c in range(len(clusters)):
            left -= limits.clusters[limit, c] * clusters[c].heat_mw
        for p in range(len(plants)):
            left -= limits.plants[limit, p] * now_mw[p]
            wanted += limits.plants[limit, p] * more_mw[p]
        if wanted <= max(left, 0.0):
            continue
        for p in range(len(plants)):
            if limits.plants[limit, p] > 0:
                most = now_mw[p] + more_mw[p] * max(left, 0.0) / wanted
                cooling.capacity_mw[p] = min(cooling.capacity_mw[p], most)


@compilable
def _lost_outside_mw(cluster: Records, ventilates: bool) -> float:
    """Heat that goes to the air outside; nobody opens doors to air that is warmer."""
    exchange = cluster.envelope_mw_per_k
    if ventilates and cluster.temperature_c > cluster.ambient_c:
        exchange += cluster.ventilation_mw_per_k
    if exchange <= 0:
        return 0.0
    return float(
        envelope_mw(
            cluster.temperature_c, cluster.ambient_c, exchange, cluster.capacitance, SECONDS
        )
    )


@compilable
def _use_tanks(clusters: Records, plants: Records, cooling: Cooling) -> None:
    """Tanks take up heat beyond what units carry; spare units cool them again."""
    there = False
    for p in range(len(plants)):
        there = there or plants[p].buffer_mj > 0
    if not there:
        return
    first, spare, cold_mw, wanted = cooling.first, cooling.part_mw, cooling.cold_mw, cooling.more_mw
    for p in range(len(plants)):
        spare[p], wanted[p] = cooling.capacity_mw[p], 0.0
        cold_mw[p] = plants[p].cold_mj / SECONDS if plants[p].buffer_up else 0.0
    for p in range(len(plants)):
        carried = cooling.carried_mw[first[p] : first[p + 1]].sum()
        spare[p] -= carried
        if plants[p].rejects_to >= 0:
            # A loop brings the tank of its chillers what it can carry beyond.
            spare[plants[p].rejects_to] -= carried
            cold_mw[p] = max(spare[p], 0.0)
    for c in range(len(clusters)):
        gone = clusters[c].cooling_mw + clusters[c].envelope_mw
        cooling.heat_mw[c] = max(clusters[c].heat_mw - gone, 0.0)
    _carry_up_to(cold_mw, cooling)
    for p in range(len(plants)):
        behind = plants[p].rejects_to if plants[p].rejects_to >= 0 else p
        wanted[behind] += cooling.carried_mw[first[p] : first[p + 1]].sum()
    for p in range(len(plants)):
        behind = plants[p].rejects_to if plants[p].rejects_to >= 0 else p
        cold, size = cold_mw[behind] * SECONDS, plants[behind].buffer_mj
        covered, left = buffer_step(cold, wanted[behind], max(spare[behind], 0.0), size, SECONDS)
        if plants[p].buffer_up and behind == p:
            plants[p].cold_mj = left
        part = ratio(covered, wanted[behind], most=1.0)
        for place in range(first[p], first[p + 1]):
            clusters[cooling.cooled[place]].cooling_mw += cooling.carried_mw[place] * part


@compilable
def signal_standby(
    clusters: Records,
    plants: Records,
    units: Records,
    platform: Records,
    cooling: Cooling,
    minute: int,
) -> None:
    """Standby units get their start signal once running units have fallen short of the heat.

    They start by themselves or, where they need operators, when those react to the failure after
    which cooling fell short. Operators look at the full heat: they do not leave GPUs off that
    standby units could cool.
    """
    running, waiting = cooling.part_mw, False
    for p in range(len(plants)):
        running[p] = 0.0
    for u in range(len(units)):
        if units[u].standby:
            waiting = waiting or np.isinf(units[u].standby_since)
        else:
            running[units[u].plant] += units[u].there_mw
    if not waiting:
        return
    for c in range(len(clusters)):
        full = clusters[c].full_mw if platform[0].switches_off else 0.0
        cooling.heat_mw[c] = max(clusters[c].heat_mw, full)
    _carry_up_to(running, cooling)
    for p in range(len(plants)):
        plant = plants[p]
        for place in range(cooling.first[p], cooling.first[p + 1]):
            if cooling.heat_mw[cooling.cooled[place]] > NEGLIGIBLE_MW:
                plant.cooling_short = True
                if plant.rejects_to >= 0:
                    plants[plant.rejects_to].cooling_short = True
    for p in range(len(plants)):
        plant = plants[p]
        if plant.cooling_short:
            plant.start_due = min(plant.start_due, platform[0].standby_due)
    for u in range(len(units)):
        unit, plant = units[u], plants[units[u].plant]
        told = unit.automatic or minute >= plant.start_due
        if unit.standby and plant.cooling_short and told and np.isinf(unit.standby_since):
            unit.standby_since = minute


@compilable
def protect(clusters: Records, platform: Records) -> None:
    """Clusters at their shutdown temperature shut themselves down, rack by rack where they spread.

    What shuts down stays off until operators have reacted to the latest failure.
    """
    now = platform[0]
    for c in range(len(clusters)):
        cluster = clusters[c]
        last_c = cluster.shutdown_c + cluster.shutdown_spread_c
        # The clock reaches 0 only in the limit; within a thousandth of a degree counts as there.
        if cluster.temperature_c >= last_c - 1e-3 and cluster.gpus > 0:
            if not cluster.off:
                cluster.back_from = now.restart_due
            stop(cluster, now)
            cluster.tripped = True
        elif cluster.shutdown_spread_c > 0 and not cluster.off:
            share = tripped_share(
                cluster.temperature_c, cluster.shutdown_c, cluster.shutdown_spread_c
            )
            if share * cluster.gpus > cluster.stopped_gpus:
                if cluster.stopped_gpus <= 0:
                    cluster.back_from = now.restart_due
                cluster.stopped_gpus, cluster.checking = share * cluster.gpus, np.nan
