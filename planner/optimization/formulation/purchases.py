"""Here and now: what is bought, the N+k rule, and the policies.

==========  =====================================  ================================
symbol      attribute                              meaning
==========  =====================================  ================================
n[p,u]      ``Purchases.units`` plus existing      cooling units
b[c], G[c]  ``Purchases.blocks``, ``gpus``         GPU blocks, GPUs
e[v]        ``Purchases.instances`` plus existing  emergency instances
o[r]        ``Purchases.opened``                   candidate region opened
w[p,λ]      local to `surviving_capacity`          threshold λ chosen
φ, σ        ``GpuType.power_mw, static_share``     heat per GPU, static share of it
q[u]        ``ProblemData.unit_mw``                derated capacity of a unit
v_c         ``ProblemData.draw_per_power``         MW drawn per MW of GPUs
w_p         ``ProblemData.draw_per_heat``          MW drawn per MW of heat
==========  =====================================  ================================
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from types import MappingProxyType

from planner.infrastructure.fleet import heat_of, retirable_blocks, retirable_units, with_chillers
from planner.infrastructure.graph import node, shared_supports
from planner.infrastructure.prices import gpu_assets, unit_asset
from planner.laws.heat import heat_at_utilisation_mw, threshold_capacity_mw
from planner.optimization.formulation import measures
from planner.optimization.formulation.algebra import Expression, sum_of
from planner.optimization.formulation.families import Family
from planner.optimization.formulation.labels import joined
from planner.optimization.formulation.power import require_power
from planner.optimization.formulation.programme import Programme, Row
from planner.optimization.formulation.relevance import normal_limits
from planner.optimization.formulation.simulated import Gain
from planner.scenarios.timeline import Outage


def add_variables(programme: Programme) -> None:
    """Create n, b, e, o with their bounds; fixed and forbidden purchases become bounds too."""
    model = programme.data.model
    fixed, forbidden = model.policies.fixed, model.policies.forbidden
    for plant, entry in model.plants.items():
        for unit in programme.data.units(plant):
            barred = {plant, unit} & set(forbidden.cooling) or unit not in entry.options
            most = 0 if barred else entry.max_added
            settled = fixed.cooling.get(plant, {}).get(unit)
            low, high = _bounds(settled, most)
            _add_retired_units(programme, plant, unit, settled)
            programme.purchases.units[plant, unit] = programme.variable(
                "units", plant, unit, low=low, high=high, integer=True
            )
    for cluster, site in model.clusters.items():
        blocks = (site.max_gpus - site.existing_gpus) // site.block_gpus
        most = 0 if cluster in forbidden.gpus else blocks
        wanted = fixed.gpus.get(cluster)
        settled = None if wanted is None else -(-wanted // site.block_gpus)
        low, high = _bounds(settled, most)
        _add_retired_blocks(programme, cluster, settled)
        programme.purchases.blocks[cluster] = programme.variable(
            "blocks", cluster, low=low, high=high, integer=True
        )
    for offer, terms in model.offers.items():
        supply = terms.available_gpus // terms.gpus_per_instance
        most = 0 if offer in forbidden.emergency else max(0, supply - terms.existing_instances)
        low, high = _bounds(fixed.emergency.get(offer), most)
        programme.purchases.instances[offer] = programme.variable(
            "instances", offer, low=low, high=high, integer=True
        )
    for region, place in model.regions.items():
        if place.candidate:
            settled_open = fixed.regions.get(region)
            low, high = _bounds(None if settled_open is None else int(settled_open), 1)
            programme.purchases.opened[region] = programme.variable(
                "opened", region, low=low, high=high, integer=True
            )


def _bounds(fixed: int | None, high: float) -> tuple[float, float]:
    if fixed is None:
        return 0.0, float(high)
    return max(0.0, float(fixed)), max(0.0, float(fixed))


def _add_retired_units(programme: Programme, plant: str, unit: str, settled: int | None) -> None:
    most = retirable_units(programme.data.model, plant, unit)
    low, high = _bounds(None if settled is None else -settled, most)
    if high:
        programme.purchases.retired[plant, unit] = programme.variable(
            "retired", plant, unit, low=low, high=high, integer=True
        )


def _add_retired_blocks(programme: Programme, cluster: str, settled: int | None) -> None:
    most = retirable_blocks(programme.data.model, cluster)
    low, high = _bounds(None if settled is None else -settled, most)
    if high:
        programme.purchases.retired_blocks[cluster] = programme.variable(
            "retired_blocks", cluster, low=low, high=high, integer=True
        )


def bought_or_retired(programme: Programme) -> None:
    """Nothing is bought while one of its kind is retired, where the swap alone would save money.

    It would where upkeep is a share of an old price above today's. A plan states only the number
    left, so such a swap could not be told from doing nothing: ``bought ≤ most·w``,
    ``retired ≤ most·(1 − w)``.
    """
    model, rate = programme.data.model, programme.data.model.finance.discount_rate
    purchases = programme.purchases
    pairs = [
        ((plant, unit), purchases.units[plant, unit], gone, (unit_asset(model, plant, unit),))
        for (plant, unit), gone in purchases.retired.items()
    ] + [
        ((cluster,), purchases.blocks[cluster], gone, tuple(gpu_assets(model, cluster).values()))
        for cluster, gone in purchases.retired_blocks.items()
    ]
    for name, bought, gone, assets in pairs:
        if sum(asset.swapped_usd_per_year(rate) for asset in assets) >= 0:
            continue
        which = programme.variable("bought_or_retired", *name, high=1.0, integer=True)
        row = 1 * bought <= (bought.high or 0.0) * which
        programme.define(row, Family.BOUGHT_OR_RETIRED, *name, "bought")
        row = 1 * gone <= (gone.high or 0.0) * (1 - which)
        programme.define(row, Family.BOUGHT_OR_RETIRED, *name, "retired")


def open_regions(programme: Programme) -> None:
    """Purchases in a candidate region need it to be opened, and none is opened without GPUs.

    ``b[c] ≤ B[c]·o[r]``, ``n[p,u] ≤ N[p,u]·o[r]``, ``o[r] ≤ Σ_c b[c]``
    """
    model = programme.data.model
    for region, opened in programme.purchases.opened.items():
        clusters = programme.data.clusters_in(region)
        for cluster in clusters:
            most = programme.purchases.blocks[cluster].high or 0.0
            row = programme.purchases.blocks[cluster] <= most * opened
            programme.define(row, Family.OPEN_REGION, region, cluster)
        for (plant, unit), count in programme.purchases.units.items():
            if model.plants[plant].region == region:
                row = count <= (count.high or 0.0) * opened
                programme.define(row, Family.OPEN_REGION, region, plant, unit)
        used = sum_of(programme.purchases.blocks[cluster] for cluster in clusters)
        programme.define(opened <= used, Family.OPEN_REGION, region)


def regions_in_use(programme: Programme) -> None:
    """Whether a region holds GPUs, if it is no candidate and may be empty and a policy asks for it.

    ``g[c] ≤ most[c]·u[r]``, ``u[r] ≤ Σ_c g[c]``, g being blocks after purchases and retirements
    """
    data, policies = programme.data, programme.data.model.policies
    if not (policies.least_regions or policies.spare_block_per_region):
        return
    for region, place in data.model.regions.items():
        clusters = data.clusters_in(region)
        empty = not any(least_gpus(programme, cluster) for cluster in clusters)
        if place.candidate or not clusters or not empty:
            continue
        used = programme.variable("holds_gpus", region, high=1, integer=True)
        programme.normal.holding[region] = used
        for cluster in clusters:
            entry = data.model.clusters[cluster]
            existing = entry.existing_gpus // entry.block_gpus
            most = existing + (programme.purchases.blocks[cluster].high or 0.0)
            row = blocks_held(programme, cluster) <= most * used
            programme.define(row, Family.HOLDS_GPUS, region, cluster)
        held = sum_of(blocks_held(programme, cluster) for cluster in clusters)
        programme.define(used <= held, Family.HOLDS_GPUS, region)


def blocks_held(programme: Programme, cluster: str) -> Expression:
    """GPU blocks of a cluster after purchases and retirements."""
    entry = programme.data.model.clusters[cluster]
    held = 1 * programme.purchases.blocks[cluster] + entry.existing_gpus // entry.block_gpus
    if cluster in programme.purchases.retired_blocks:
        held = held - 1 * programme.purchases.retired_blocks[cluster]
    return held


def most_gpus(programme: Programme, cluster: str) -> float:
    """Most GPUs that a cluster can end up with."""
    entry = programme.data.model.clusters[cluster]
    blocks = programme.purchases.blocks[cluster].high or 0.0
    return entry.existing_gpus + entry.block_gpus * blocks


def least_gpus(programme: Programme, cluster: str) -> float:
    """Fewest GPUs that a cluster can end up with, fixed purchases not counted."""
    entry = programme.data.model.clusters[cluster]
    retired = programme.purchases.retired_blocks.get(cluster)
    gone = 0.0 if retired is None else entry.block_gpus * (retired.high or 0.0)
    return entry.existing_gpus - gone


def surviving_capacity(
    programme: Programme,
    plant: str,
    units: frozenset[str],
    lost: int,
    rise_c: float,
    named: Mapping[str, int] = MappingProxyType({}),
) -> Expression:
    """Capacity of some unit types of a plant without their ``lost`` largest units, MW.

    Units lost by name (``named``, number by type) are taken away before the largest.

    With sizes q[u] the capacity left is ``max over λ of Σ_u min(q_u, λ)·n_u − k·λ`` for λ among the
    sizes and 0. One λ is chosen with binaries w, Σ w = 1:

    ``left ≤ Σ_u min(q_u, λ)·n_u − k·λ + M_λ·(1 − w_λ)``

    where M_λ is the most by which the value at another λ can exceed that at this one within the
    bounds of n. A single size needs no choice.
    """
    key = (plant, units, lost, rise_c, frozenset(named.items()))
    if key not in programme.surviving:
        programme.surviving[key] = _surviving_capacity(
            programme,
            plant,
            [u for u in programme.data.units(plant) if u in units],
            lost,
            rise_c,
            named,
        )
    return programme.surviving[key]


def _surviving_capacity(
    programme: Programme,
    plant: str,
    units: list[str],
    lost: int,
    rise_c: float,
    named: Mapping[str, int],
) -> Expression:
    sizes = {unit: programme.data.unit_mw(plant, unit, rise_c) for unit in units}
    counts = {unit: programme.unit_count(plant, unit) - named.get(unit, 0) for unit in units}
    bounds = {unit: _count_bounds(programme, plant, unit, named.get(unit, 0)) for unit in units}
    thresholds = _thresholds(sizes, bounds, lost)
    lines = [_line(sizes, counts, lost, threshold) for threshold in thresholds]
    if len(lines) <= 1:
        return lines[0] if lines else Expression()
    programme = programme.first
    # No unit is named with a space; a point would part the number.
    gone = [f"{unit} less {count}" for unit, count in named.items()]
    name = (plant, joined(*units), *gone, str(lost), f"{rise_c:.17g}".replace(".", "p"))
    left = programme.variable("left", *name)
    chosen = [
        programme.variable("threshold", *name, str(i), high=1, integer=True)
        for i in range(len(lines))
    ]
    programme.define(sum_of(chosen) == 1, Family.ONE_THRESHOLD, *name)
    for index, (threshold, line) in enumerate(zip(thresholds, lines, strict=True)):
        big = max(
            _largest_excess(sizes, bounds, lost, another, threshold)
            for another in thresholds
            if another != threshold
        )
        row = left <= line + big * (1 - chosen[index])
        programme.define(row, Family.THRESHOLD, *name, str(index))
    return 1 * left


def _thresholds(
    sizes: dict[str, float], bounds: dict[str, tuple[float, float]], lost: int
) -> list[float]:
    """Sizes that may be the best threshold; 0 too where fewer units may exist than are lost."""
    thresholds = sorted({size for size in sizes.values() if size > 0})
    if not lost:
        return thresholds[-1:]
    least = sum(low for unit, (low, _) in bounds.items() if sizes[unit] > 0)
    return [0.0, *thresholds] if least < lost else thresholds


def _count_bounds(programme: Programme, plant: str, unit: str, gone: int) -> tuple[float, float]:
    existing = programme.data.model.plants[plant].existing.get(unit, 0) - gone
    variable = programme.purchases.units[plant, unit]
    least, most = existing + (variable.low or 0.0), existing + (variable.high or 0.0)
    retired = programme.purchases.retired.get((plant, unit))
    if retired is None:
        return least, most
    return least - (retired.high or 0.0), most - (retired.low or 0.0)


def _line(
    sizes: dict[str, float], counts: dict[str, Expression], lost: int, threshold: float
) -> Expression:
    terms = threshold_capacity_mw(sizes, counts, lost, threshold)
    return sum_of([coefficient * count for coefficient, count in terms])


def _largest_excess(
    sizes: dict[str, float],
    bounds: dict[str, tuple[float, float]],
    lost: int,
    from_threshold: float,
    threshold: float,
) -> float:
    """Most by which the value at one threshold can exceed that at another within the bounds."""
    excess = -lost * (from_threshold - threshold)
    for unit, size in sizes.items():
        slope = min(size, from_threshold) - min(size, threshold)
        low, high = bounds[unit]
        excess += slope * (high if slope > 0 else low)
    return max(0.0, excess)


def design_heat(programme: Programme) -> None:
    """Primary plants carry the full heat of their clusters with their k largest units lost.

    ``Σ_{c} heat[c,p] ≤ firm[p]``, ``Σ_{p primary} heat[c,p] ≥ (1 + margin)·φ_c·G[c]``
    """
    _cover(programme, "primary", Family.DESIGN_HEAT, Family.DESIGN_HEAT_FIRM)


def emergency_cover(programme: Programme) -> None:
    """Emergency plants carry a share of the design heat by themselves.

    ``Σ_{p emergency} heat[c,p] ≥ share·φ_c·G[c]`` with the same ``firm[p]`` as for primary plants.
    """
    if programme.data.model.emergency_share:
        _cover(programme, "emergency", Family.EMERGENCY_COVER, Family.EMERGENCY_COVER_FIRM)


def _independent(
    programme: Programme, cluster: str, plant: str, carried: Expression, most: float
) -> None:
    """An emergency plant counts only if no single failure takes the primary plant down with it.

    ``heat[c,e] ≤ most·(up_x[e] + up_x[p])`` for every node x whose loss takes both e and p down
    with nothing bought; the row is named after x.
    """
    data = programme.data
    pairs = product(with_chillers(data.model, [plant]), data.chain_of(cluster, "primary"))
    for part, primary in pairs:
        for shared in shared_supports(data.graph, part, primary):
            outage = Outage(failed=frozenset({shared}))
            left = [measures.up(programme, outage, node("plant", name)) for name in (part, primary)]
            if any(supporter.certain for supporter in left):
                continue
            either = left[0].expression + left[1].expression
            subject = f"{part} / {primary}: {shared}"
            row = Row(Family.INDEPENDENT_COOLING, subject, "", most)
            programme.require(carried <= most * either, row, cluster, part, primary, shared)


def _cover(programme: Programme, role: str, family: Family, firm_family: Family) -> None:
    data, share = programme.data, programme.data.model.cooled_share(role)
    carried: dict[tuple[str, str], Expression] = {}
    for cluster in data.model.clusters:
        gpu = data.gpu(cluster)
        if not gpu.power_mw:
            continue
        plants = data.plants_of(cluster, role)
        for plant in plants:
            part = programme.variable(f"heat.{family}", cluster, plant)
            carried[cluster, plant] = 1 * part
            if role == "primary":
                programme.normal.design[cluster, plant] = part
            if role == "emergency" and data.model.policies.independent_emergency_cooling:
                most = gpu.power_mw * data.model.clusters[cluster].max_gpus
                _independent(programme, cluster, plant, carried[cluster, plant], most)
        heat = heat_at_utilisation_mw(gpu.power_mw, gpu.static_share, programme.gpus(cluster), 1.0)
        total = sum_of(carried[cluster, plant] for plant in plants)
        most = gpu.power_mw * data.model.clusters[cluster].max_gpus * share
        row = Row(family, cluster, "", most)
        programme.require(total >= share * heat, row, cluster)
    for plant, entry in data.model.plants.items():
        parts = [carried[pair] for pair in heat_of(data.model, plant) if pair in carried]
        if entry.role != role or not parts:
            continue
        units = frozenset(data.units(plant))
        firm = surviving_capacity(programme, plant, units, entry.redundancy, 0.0)
        programme.define(sum_of(parts) <= firm, firm_family, plant)


def power_limit(programme: Programme) -> None:
    """IT at full load and its cooling stay within the power of the region and of its feeds.

    ``Σ_{c in l} v_c·φ_c·G[c] + Σ_{p in l} w_p·Σ_c heat[c,p] ≤ power[l] + Σ_m brought[l,m]·y[m]``
    for every set of loads l that share all their sources: all loads of the region under its own
    limit, and those that hang on certain feeds alone under the capacity of these.
    """
    data = programme.data
    for region in data.model.regions:
        for limit in normal_limits(data, region):
            drawn = [
                data.draw_per_power(limit, c)
                * heat_at_utilisation_mw(
                    data.gpu(c).power_mw, data.gpu(c).static_share, programme.gpus(c), 1.0
                )
                for c in data.clusters_in(region)
                if node("cluster", c) in limit.loads
            ]
            # The design margin is capacity, not heat: it draws no power.
            drawn += [
                data.draw_per_heat(limit, plant) / (1 + data.model.policies.cooling_margin) * heat
                for (_, plant), heat in programme.normal.design.items()
                if data.draw_per_heat(limit, plant)
            ]
            require_power(programme, limit, sum_of(drawn))


def surviving_capacity_share(programme: Programme) -> None:
    """A share of all GPUs remains without any one region.

    ``Σ_{c not in r} G[c] ≥ share·Σ_c G[c]`` for every region r
    """
    data = programme.data
    share = data.model.policies.surviving_capacity_share
    if not share:
        return
    total = sum_of(programme.gpus(c) for c in data.model.clusters)
    for region in data.model.regions:
        lost = sum_of(programme.gpus(c) for c in data.clusters_in(region))
        amount = float(sum(c.max_gpus for c in data.model.clusters.values()))
        row = Row(Family.SURVIVING_CAPACITY_SHARE, region, "", amount)
        programme.require(total - lost >= share * total, row, region)


def least_regions(programme: Programme) -> None:
    """At least so many regions hold GPUs: ``Σ_r u[r] ≥ least``, u = o for candidates."""
    least = programme.data.model.policies.least_regions
    if least:
        used = sum_of(programme.in_use(region) for region in programme.data.model.regions)
        row = Row(Family.LEAST_REGIONS, "regions", "", float(least))
        programme.require(used >= least, row)


def capital_budget(programme: Programme) -> None:
    """Capital stays within its budget: ``Σ price·bought ≤ budget``."""
    budget = programme.data.model.policies.capital_budget_usd
    if budget is not None:
        row = Row(Family.CAPITAL_BUDGET, "capital", "", budget)
        programme.require(capital_usd(programme) <= budget, row)


def capital_usd(programme: Programme) -> Expression:
    """Capital of all purchases less the salvage value of what is retired, USD."""
    model, purchases = programme.data.model, programme.purchases
    terms = []
    for (plant, unit), count in purchases.units.items():
        asset = unit_asset(model, plant, unit)
        terms.append(asset.price_usd * count)
        terms.append(-asset.salvage_usd * programme.retired_units(plant, unit))
    for cluster, blocks in programme.purchases.blocks.items():
        size = model.clusters[cluster].block_gpus
        for asset in gpu_assets(model, cluster).values():
            terms.append(asset.price_usd * size * blocks)
            terms.append(-asset.salvage_usd * programme.retired_gpus(cluster))
    terms += [model.regions[name].fixed_usd * opened for name, opened in purchases.opened.items()]
    terms += [
        model.measures[name].capital_usd * bought for name, bought in purchases.measures.items()
    ]
    return sum_of(terms)


def simulated_cuts(programme: Programme, first: int = 0) -> None:
    """Purchases make up for what earlier plans were short of in simulation.

    ``Σ_p share_p·(n_p − bought_p) ≥ 1`` for every breach, n being what is bought less retired

    Parameters
    ----------
    first
        Number of the first cut that has no row yet.
    """
    for number, cut in enumerate(programme.data.learned[first:], first):
        terms = (gain.share * (_net(programme, gain) - gain.bought) for gain in cut.gains)
        row = Row(Family.SIMULATED_CUT, cut.subject, cut.scenario, cut.short)
        programme.require(sum_of(terms) >= 1, row, cut.scenario, cut.subject, str(number))


def _net(programme: Programme, gain: Gain) -> Expression:
    """Number bought less retired."""
    purchases, asset = programme.purchases, gain.asset
    if gain.kind == "cooling":
        plant, unit = asset.split("/")
        return 1 * purchases.units[plant, unit] - programme.retired_units(plant, unit)
    if gain.kind == "gpus":
        gone = purchases.retired_blocks.get(asset)
        return 1 * purchases.blocks[asset] - (Expression() if gone is None else 1 * gone)
    bought = purchases.instances if gain.kind == "emergency" else purchases.measures
    return 1 * bought[asset]
