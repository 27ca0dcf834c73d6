"""What `plan check` prints of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from planner.amounts import counted, listed
from planner.infrastructure.entities import Model
from planner.infrastructure.failures import Scenario
from planner.infrastructure.fleet import pue_by_part
from planner.infrastructure.graph import (
    build_graph,
    shared_supports,
    single_points_by_zone,
    single_points_of_failure,
)
from planner.infrastructure.loading import LoadedModel
from planner.infrastructure.supply import without_feed
from planner.reporting.terminal import new_console, print_json
from planner.scenarios.generators import all_scenarios
from planner.scenarios.standard import floors

#: Scenarios named of which nothing is asked.
MOST_NAMED = 5


def show_check(loaded: LoadedModel, as_json: bool) -> None:
    """Print what a model holds and what its graph says."""
    model, graph = loaded.model, build_graph(loaded.model)
    scenarios = all_scenarios(model)
    counts = {
        section: len(getattr(model, section))
        for section in (
            "regions",
            "clusters",
            "plants",
            "feeds",
            "services",
            "tiers",
            "zones",
            "offers",
            "measures",
        )
    }
    points = single_points_of_failure(graph)
    by_zone = single_points_by_zone(model, graph)
    silent = [one.name for one in scenarios if not _asked(model, one)]
    shared, unfed = _shared_cooling(model, graph), without_feed(model)
    drawn = {region: pue_by_part(model, region) for region in model.regions}
    if as_json:
        print_json(
            {
                "model": {"name": loaded.name, "sha256": loaded.sha256},
                "replaced_lists": loaded.replaced,
                "counts": counts,
                "scenarios": [scenario.name for scenario in scenarios],
                "not_judged": silent,
                "single_points_of_failure": points,
                "single_points_of_failure_by_zone": by_zone,
                "shared_cooling_supports": shared,
                "without_feed": unfed,
                "pue": drawn,
            }
        )
        return
    console = new_console()
    _show_held(console, loaded, counts, scenarios)
    console.print()
    console.print("[bold]Single points of failure: what takes a tier down if lost alone[/bold]")
    for nodes, tiers in _by_nodes(points).items():
        services = [name.removeprefix("service:") for name in nodes if name.startswith("service:")]
        places = [name for name in nodes if not name.startswith("service:")]
        console.print(f"  {escape(', '.join(tiers))}")
        console.print(f"    places and machines: {escape(', '.join(places) or 'none')}")
        console.print(f"    services, with all replicas: {escape(', '.join(services) or 'none')}")
    _show_zones(console, by_zone)
    console.print()
    console.print("[bold]Emergency cooling and what it shares with the primary[/bold]")
    for pair, nodes_shared in shared.items():
        text = f"shares {', '.join(nodes_shared)}" if nodes_shared else "independent"
        console.print(f"  {escape(pair)}: {escape(text)}")
    if not shared:
        console.print("  no emergency plants")
    if unfed:
        console.print()
        console.print("[bold]Not on any feed, in a region with feeds[/bold]")
    for region, loads in unfed.items():
        console.print(f"  {escape(region)}: {escape(', '.join(loads))}")
        console.print(
            "    These draw on the power limit of the region, and no loss of a feed takes"
        )
        console.print("    them down: list them in `powers` of the feeds that supply them")
    console.print()
    console.print("[bold]Power drawn per MW of GPUs at full load (PUE)[/bold]")
    for region, parts in drawn.items():
        named = ", ".join(f"{part} {mw:.3f}" for part, mw in parts.items() if part != "pue" and mw)
        line = Text(f"{region}: {parts['pue']:.2f}" + (f" ({named})" if named else ""))
        console.print(Padding(line, (0, 0, 0, 2), expand=False))


def _show_held(
    console: Console,
    loaded: LoadedModel,
    counts: Mapping[str, int],
    scenarios: Sequence[Scenario],
) -> None:
    """What the model holds, and what of it promises nothing."""
    model = loaded.model
    silent = [one.name for one in scenarios if not _asked(model, one)]
    console.print(f"[bold]{escape(loaded.name)} is valid.[/bold] {escape(model.description)}")
    held = ", ".join(
        counted(count, section.removesuffix("s")) for section, count in counts.items() if count
    )
    console.print(f"It has {held}; {counted(len(scenarios), 'scenario')}.")
    if not scenarios:
        console.print(
            "[bold yellow]Nothing in it can fail[/]: `generators` or `scenarios` say what may, and "
            "`standard` what must be served then."
        )
    if silent:
        names = escape(listed(silent, MOST_NAMED))
        console.print(f"[bold yellow]The standard requires nothing[/] of {names}.")
    if loaded.replaced:
        console.print()
        console.print("[bold]Inherited lists that it replaces[/bold]")
        for line in loaded.replaced:
            console.print(f"  {escape(line)}")


def _asked(model: Model, scenario: Scenario) -> bool:
    return any(floor.least_served for floor in floors(model, scenario.severity))


def _show_zones(console: Console, points: Mapping[str, Mapping[str, tuple[str, ...]]]) -> None:
    """What leaves zones in the dark, tiers with the same nodes together."""
    console.print()
    console.print("[bold]Single points of failure by zone: what leaves it without service[/bold]")
    grouped: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for zone, tiers in points.items():
        for tier, nodes in tiers.items():
            if nodes:
                grouped.setdefault(nodes, {}).setdefault(zone, []).append(tier)
    for nodes, zones in grouped.items():
        told = "; ".join(f"{zone}: {', '.join(tiers)}" for zone, tiers in zones.items())
        console.print(f"  {escape(told)}")
        console.print(f"    {escape(', '.join(nodes))}")
    if not grouped:
        console.print("  nothing")


def _by_nodes(points: dict[str, tuple[str, ...]]) -> dict[tuple[str, ...], list[str]]:
    grouped: dict[tuple[str, ...], list[str]] = {}
    for tier, nodes in points.items():
        grouped.setdefault(nodes, []).append(tier)
    return grouped


def _shared_cooling(model: Model, graph: Any) -> dict[str, tuple[str, ...]]:
    """Shared supports of every emergency plant and the primary plants of the same clusters."""
    shared: dict[str, tuple[str, ...]] = {}
    for name, plant in model.plants.items():
        if plant.role != "emergency":
            continue
        for other, primary in model.plants.items():
            if primary.role == "primary" and set(primary.cools) & set(plant.cools):
                shared[f"{name} / {other}"] = shared_supports(graph, name, other)
    return shared
