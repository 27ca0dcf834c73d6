"""The infrastructure today and with the plan: a card for each region, and a map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from planner.amounts import counted, number
from planner.infrastructure.entities import Model
from planner.infrastructure.fleet import Fleet
from planner.plan.assembly import full_heat_mw
from planner.plan.records import Plan
from planner.reporting.html.templates import asset

Row = dict[str, Any]

#: Part of the globe that is drawn: west, east, south, north in degrees.
WINDOW = (-170.0, 190.0, -56.0, 76.0)
SCALE = 2.6
#: Radius of the region with most GPUs.
LARGEST_RADIUS = 26.0
#: Half the height of a label and the width of a character: names with counts, and numbers alone.
TEXT_HEIGHT, TEXT_WIDTH = 13.0, 7.0
NUMBER_HEIGHT, NUMBER_WIDTH = 15.0, 19.0


def regions(plan: Plan, model: Model) -> list[Row]:
    """Every region with its equipment before and after."""
    before, after = Fleet.existing(model), plan.fleet(model)
    most = max((*after.gpus.values(), *before.gpus.values(), 1))
    most_mw = max(
        (_installed(plan, name, key) for name in model.plants for key in ("total", "existing")),
        default=0.0,
    )
    return [_region(plan, model, name, (before, after), (most, most_mw)) for name in model.regions]


def _region(
    plan: Plan,
    model: Model,
    name: str,
    fleets: tuple[Fleet, Fleet],
    most: tuple[float, float],
) -> Row:
    place = model.regions[name]
    before, after = fleets
    clusters = [c for c, entry in model.clusters.items() if entry.region == name]
    bars = [
        _bar(
            cluster,
            model.clusters[cluster].gpu,
            "GPUs",
            "gpus",
            (before.gpus[cluster], after.gpus[cluster]),
            most[0],
        )
        for cluster in clusters
    ]
    for plant, entry in model.plants.items():
        if entry.region == name:
            mw = (_installed(plan, plant, "existing"), _installed(plan, plant, "total"))
            bars.append(_bar(plant, _plant_note(plan, plant), "MW", entry.role, mw, most[1]))
    heat = [sum(full_heat_mw(model, fleet, cluster) for cluster in clusters) for fleet in fleets]
    opened = name in after.opened
    used = bool(sum(after.gpus[c] for c in clusters))
    feeds = [f for f, feed in model.feeds.items() if feed.region == name]
    return {
        "name": name,
        "city": place.city,
        "state": "opened" if opened else "" if used or not place.candidate else "not opened",
        "bars": [bar for bar in bars if bar["before"] != "0" or bar["after"] != "0"],
        "power": f"GPUs at full load: {number(heat[0])} → {number(heat[1])} MW; power limit with "
        f"cooling {number(place.power_limit_mw)} MW",
        "feeds": counted(len(feeds), "feed") if feeds else "no feeds modelled",
        "latitude": place.latitude,
        "longitude": place.longitude,
        "gpus_before": sum(before.gpus[c] for c in clusters),
        "gpus_after": sum(after.gpus[c] for c in clusters),
    }


def _installed(plan: Plan, plant: str, key: str) -> float:
    """Capacity of all units of a plant at its design ambient, MW."""
    lines = [line for line in plan.cooling if line.plant == plant]
    return float(sum(getattr(line, key) * line.derated_mw_each for line in lines))


def _plant_note(plan: Plan, plant: str) -> str:
    lines = [line for line in plan.cooling if line.plant == plant]
    if not lines:
        return ""
    changes = [
        f"{line.added - line.retired:+,} × {line.unit}"
        for line in lines
        if line.added != line.retired
    ]
    first = lines[0]
    firm = (
        f"N+{first.redundancy}: {number(first.firm_mw)} MW firm for "
        f"{number(first.design_heat_mw)} MW of heat"
    )
    return "; ".join([firm, *changes])


def _bar(
    name: str, note: str, unit: str, kind: str, numbers: tuple[float, float], most: float
) -> Row:
    before, after = numbers
    return {
        "name": name,
        "note": note,
        "unit": unit,
        "kind": kind,
        "before": _amount(before),
        "after": _amount(after),
        "change": "" if before == after else _signed(after - before),
        "before_width": round(100 * before / most, 1) if most else 0,
        "after_width": round(100 * after / most, 1) if most else 0,
    }


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else '−'}{_amount(abs(value))}"


def world_map(rows: Sequence[Row]) -> Row | None:
    """The map, or None unless the place of every region is known.

    Labels are names with counts, and numbers alone for pages too narrow for names.
    """
    if not rows or any(row["latitude"] is None or row["longitude"] is None for row in rows):
        return None
    west, east, south, north = WINDOW
    most = max(max(row["gpus_before"], row["gpus_after"]) for row in rows)
    points = [_point(row, most) for row in rows]
    names = [TEXT_WIDTH * max(len(point["name"]), len(point["count"])) for point in points]
    numbers = [NUMBER_WIDTH * len(str(order)) for order in range(1, len(points) + 1)]
    return {
        "width": round((east - west) * SCALE),
        "height": round((north - south) * SCALE),
        "coasts": [
            " ".join(_pair(point) for point in coast.split())
            for coast in asset("coasts.txt").split(";")
        ],
        "points": points,
        "names": _labels(points, names, TEXT_HEIGHT),
        "numbers": _labels(points, numbers, NUMBER_HEIGHT),
    }


def _projected(longitude: float, latitude: float) -> tuple[float, float]:
    """Plate carrée, in units of the picture."""
    west, _, _, north = WINDOW
    return ((longitude - west) % 360) * SCALE, (north - latitude) * SCALE


def _pair(point: str) -> str:
    """A point of a coast, ``longitude,latitude``; rough on purpose: it only gives orientation."""
    longitude, latitude = map(float, point.split(","))
    x, y = _projected(longitude, latitude)
    return f"{x:.0f},{y:.0f}"


def _point(row: Row, most: float) -> Row:
    x, y = _projected(row["longitude"], row["latitude"])
    before, after = row["gpus_before"], row["gpus_after"]
    radii = [LARGEST_RADIUS * math.sqrt(gpus / most) if most else 0.0 for gpus in (before, after)]
    count = f"{before:,} → {after:,}" if before != after else f"{after:,}"
    return {
        "x": round(x, 1),
        "y": round(y, 1),
        "before": round(radii[0], 1),
        "after": round(radii[1], 1),
        "name": row["name"],
        "count": count if before or after else "not opened",
    }


def _labels(points: Sequence[Row], widths: Sequence[float], height: float) -> list[Row]:
    """Places of labels beside their circles, each where it covers least of the others."""
    reaches = [max(point["before"], point["after"], 4.0) for point in points]
    taken = [
        (point["x"] - reach, point["y"] - reach, point["x"] + reach, point["y"] + reach)
        for point, reach in zip(points, reaches, strict=True)
    ]
    east = (WINDOW[1] - WINDOW[0]) * SCALE
    labels: list[Row] = [{} for _ in points]
    for index in sorted(range(len(points)), key=lambda i: (points[i]["y"], points[i]["x"])):
        options = _options(points[index], reaches[index] + 4, height)
        boxes = [(_box(option, widths[index], height), option) for option in options]
        inside = [
            (box, option)
            for box, option in boxes
            if box[0] > 2 and box[2] < east - 2 and box[1] > 2
        ]
        box, (x, y, anchor) = min(inside or boxes, key=lambda choice: _overlap(choice[0], taken))
        taken.append(box)
        labels[index] = {"x": round(x, 1), "y": round(y, 1), "anchor": anchor}
    return labels


def _options(point: Row, reach: float, height: float) -> list[tuple[float, float, str]]:
    """Places for the middle of a label around a point, the nearest first."""
    x, y, found = point["x"], point["y"], []
    for away in (0.0, 22.0, 44.0):
        side = reach + away
        found += [
            (x + side, y, "start"),
            (x - side, y, "end"),
            (x, y - side - height, "middle"),
            (x, y + side + height, "middle"),
            (x + side, y + side, "start"),
            (x - side, y + side, "end"),
            (x + side, y - side, "start"),
            (x - side, y - side, "end"),
        ]
    return found


Box = tuple[float, float, float, float]


def _box(option: tuple[float, float, str], width: float, height: float) -> Box:
    x, y, anchor = option
    left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    return left, y - height, left + width, y + height


def _overlap(box: Box, taken: Sequence[Box]) -> float:
    total = 0.0
    for box_taken in taken:
        wide = min(box[2], box_taken[2]) - max(box[0], box_taken[0])
        high = min(box[3], box_taken[3]) - max(box[1], box_taken[1])
        total += max(0.0, wide) * max(0.0, high)
    return total
