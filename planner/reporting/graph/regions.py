"""Cards of regions: feeds, plants and clusters side by side, with the software hosted below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from planner.infrastructure.graph import node
from planner.reporting.graph.facts import Scene, change_lines, fact_lines, states_of
from planner.reporting.graph.shapes import (
    Box,
    Label,
    Polyline,
    Rect,
    stack_size,
    stacked,
    text_width,
)

NAME, FACT, SMALL = 12.0, 10.0, 9.0
PAD = 8.0
#: Distance between boxes below each other.
ROW_GAP = 10.0
#: Width that a lane of a bus takes, and what is free beside all lanes.
LANE, MARGIN = 8.0, 14.0
#: Longest text of a box before its middle is left out.
MOST_WIDTH = 250.0
BADGE = 16.0
SQUARE, SQUARE_GAP = 15.0, 3.0
MOST_SQUARES = 20
PLANES = ("edge", "service", "state", "control")

type Texts = list[tuple[str, float, str]]


def texts_of(scene: Scene, name: str) -> Texts:
    """What a box says: its name, facts, and what a plan changes."""
    data = scene.graph.nodes[name]
    texts: Texts = []
    if data["kind"] not in ("ups", "generator"):
        texts.append((str(data["name"]), NAME, "name"))
    texts += [(line, FACT, "fact") for line in fact_lines(scene, name)]
    return texts + [(line, FACT, role) for line, role in change_lines(scene, name)]


def box_size(scene: Scene, name: str) -> tuple[float, float]:
    """Width and height of the box of a node, with room for its mark."""
    width, height = stack_size(texts_of(scene, name))
    return min(width, MOST_WIDTH) + 2 * PAD + BADGE, height + PAD


def node_box(scene: Scene, name: str, rect: Rect) -> Box:
    """Box of a node with its texts and its mark."""
    states = states_of(scene, name)
    labels = stacked(
        rect.x + PAD, rect.y + PAD / 2, texts_of(scene, name), rect.width - 2 * PAD - BADGE
    )
    data = scene.graph.nodes[name]
    mark = mark_of(states)
    if mark:
        labels += (Label(rect.right - 5, rect.y + 16, mark, 13.0, "badge", "end"),)
    return Box(rect, data["kind"], labels, name, data["plane"], states)


def mark_of(states: frozenset[str]) -> str:
    """Sign in the corner of a box, for those who do not see its colour."""
    if states & {"failed", "fallen"}:
        return "×"
    return "!" if states & {"single", "software"} else ""


@dataclass(frozen=True)
class CardWidths:
    """Widths that all cards share.

    Parameters
    ----------
    feed, plant, cluster
        Widths of the three columns of boxes; 0 where there are none.
    first_gap, second_gap
        Between feeds and plants, and between plants and clusters.
    inner
        Width of a card without its padding.
    """

    feed: float
    plant: float
    cluster: float
    first_gap: float
    second_gap: float
    inner: float


@dataclass(frozen=True)
class Part:
    """Boxes and lines of a part of the page, from its own origin."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Polyline, ...] = ()

    def moved(self, x: float, y: float) -> Part:
        """The same somewhere else."""
        boxes = tuple(_moved(box, x, y) for box in self.boxes)
        lines = tuple(
            replace(line, points=tuple((px + x, py + y) for px, py in line.points))
            for line in self.lines
        )
        return Part(self.width, self.height, boxes, lines)


def _moved(box: Box, x: float, y: float) -> Box:
    rect = replace(box.rect, x=box.rect.x + x, y=box.rect.y + y)
    labels = tuple(replace(label, x=label.x + x, y=label.y + y) for label in box.labels)
    return replace(box, rect=rect, labels=labels)


def members(scene: Scene, region: str) -> dict[str, list[str]]:
    """Feeds, plants and clusters of a region, as nodes in the order of the model."""
    model = scene.model
    tables: Mapping[str, Mapping[str, object]] = {
        "feed": model.feeds,
        "plant": model.plants,
        "cluster": model.clusters,
    }
    return {
        kind: [
            node(kind, name)
            for name, asset in table.items()
            if getattr(asset, "region", "") == region
        ]
        for kind, table in tables.items()
    }


def shared_columns(scene: Scene) -> CardWidths:
    """Widths of the columns that all cards need."""
    held = [members(scene, region) for region in scene.regions]

    def widest(kind: str) -> float:
        sizes = (_size(scene, name)[0] for kinds in held for name in kinds[kind])
        return max(sizes, default=0.0)

    feed, plant, cluster = widest("feed"), widest("plant"), widest("cluster")
    feeds, plants = (max(len(kinds[kind]) for kinds in held) for kind in ("feed", "plant"))
    first = 2 * MARGIN + LANE * feeds if feed else 0.0
    # The buses of the feeds come up between plants and clusters too.
    second = 2 * MARGIN + LANE * (plants + feeds) if plant or feed else 0.0
    hardware = feed + first + plant + second + cluster
    titles = [stack_size(_title(scene, region))[0] + BADGE for region in scene.regions]
    items = (size for region in scene.regions for size, _, _ in _software(scene, region))
    return CardWidths(feed, plant, cluster, first, second, max(hardware, *titles, *items, 220.0))


def _size(scene: Scene, name: str) -> tuple[float, float]:
    """Size of a box, that of a feed with its batteries and generators."""
    width, height = box_size(scene, name)
    inside = _behind(scene, name)
    if inside:
        chips = [_chip_width(scene, chip) for chip in inside]
        width = max(width, sum(chips) + 4 * (len(chips) - 1) + 2 * PAD)
        height += FACT * 2 + 2
    return width, height


def _behind(scene: Scene, name: str) -> list[str]:
    """Batteries and generators of a feed."""
    data = scene.graph.nodes[name]
    if data["kind"] != "feed":
        return []
    return [
        chip for kind in ("ups", "generator") if (chip := node(kind, data["name"])) in scene.graph
    ]


def _chip_width(scene: Scene, name: str) -> float:
    return text_width(fact_lines(scene, name)[0], SMALL) + 10


def _title(scene: Scene, region: str) -> Texts:
    name = node("region", region)
    (facts,) = fact_lines(scene, name)
    bought = "".join(f" · {line}" for line, _ in change_lines(scene, name))
    return [(region, 14.0, "name"), (facts + bought, FACT, "bought" if bought else "fact")]


def region_card(scene: Scene, region: str, columns: CardWidths) -> Part:
    """Card of a region; the region's own box holds all others."""
    title = _title(scene, region)
    width = columns.inner + 2 * MARGIN
    top = PAD + stack_size(title)[1] + PAD
    hardware = _hardware(scene, region, columns).moved(MARGIN, top)
    top += hardware.height + (PAD if hardware.height else 0)
    software = _flow(scene, region, columns.inner).moved(MARGIN, top)
    height = top + software.height + PAD
    name = node("region", region)
    states = states_of(scene, name)
    labels = stacked(MARGIN, PAD / 2, title, columns.inner - BADGE)
    mark = mark_of(states)
    if mark:
        labels += (Label(width - MARGIN, 20, mark, 15.0, "badge", "end"),)
    card = Box(Rect(0, 0, width, height), "region", labels, name, None, states)
    boxes = (card, *hardware.boxes, *software.boxes)
    return Part(width, height, boxes, hardware.lines)


def _hardware(scene: Scene, region: str, columns: CardWidths) -> Part:
    held = members(scene, region)
    lefts = {"feed": 0.0, "plant": columns.feed + columns.first_gap}
    lefts["cluster"] = lefts["plant"] + columns.plant + columns.second_gap
    boxes: list[Box] = []
    rects: dict[str, Rect] = {}
    bottom = 0.0
    for kind, names in held.items():
        y = 0.0
        for name in names:
            rect = Rect(lefts[kind], y, getattr(columns, kind), _size(scene, name)[1])
            rects[name] = rect
            boxes += _with_chips(scene, name, rect)
            y = rect.bottom + ROW_GAP
        bottom = max(bottom, y - ROW_GAP)
    lines = _cooling_lines(scene, held, rects)
    power, depth = _power_lines(scene, held, rects, bottom)
    return Part(columns.inner, bottom + depth, tuple(boxes), tuple(lines + power))


def _with_chips(scene: Scene, name: str, rect: Rect) -> list[Box]:
    boxes = [node_box(scene, name, rect)]
    x = rect.x + PAD
    for part in _behind(scene, name):
        chip = Rect(x, rect.bottom - FACT * 2 - 2, _chip_width(scene, part), FACT * 2 - 3)
        text = fact_lines(scene, part)[0]
        states = states_of(scene, part)
        label = Label(chip.x + 5, chip.y + 12, text, SMALL)
        boxes.append(Box(chip, scene.graph.nodes[part]["kind"], (label,), part, None, states))
        x = chip.right + 4
    return boxes


def _targets(scene: Scene, source: str, relation: str, among: Iterable[str]) -> list[str]:
    edges = scene.graph.edges
    return [
        name
        for name in among
        if (source, name) in edges and edges[source, name]["relation"] == relation
    ]


def _cooling_lines(
    scene: Scene, held: Mapping[str, Sequence[str]], rects: Mapping[str, Rect]
) -> list[Polyline]:
    """A bus for each plant, on a lane of its own, to its clusters or back to loops before it."""
    lines: list[Polyline] = []
    for index, plant in enumerate(held["plant"]):
        start = rects[plant]
        x = start.right + MARGIN / 2 + LANE * index + LANE / 2
        ends = [
            (name, _port(rects[name], held["plant"], index, 0.08, 0.48))
            for name in _targets(scene, plant, "cools", (*held["cluster"], *held["plant"]))
        ]
        lines += _bus(scene, "cools", plant, (start.right, start.middle), x, rects, ends)
    return lines


def _port(rect: Rect, sources: Sequence[str], index: int, low: float, high: float) -> float:
    """Height at which the bus of one of several sources ends at a box."""
    share = (index + 0.5) / len(sources)
    return rect.y + rect.height * (low + (high - low) * share)


def _power_lines(
    scene: Scene, held: Mapping[str, Sequence[str]], rects: Mapping[str, Rect], bottom: float
) -> tuple[list[Polyline], float]:
    """A bus for each feed: to the plants beside it, and below them to the clusters."""
    lines: list[Polyline] = []
    depth = 0.0
    for index, feed in enumerate(held["feed"]):
        start = rects[feed]
        x = start.right + MARGIN / 2 + LANE * index + LANE / 2
        plants = _targets(scene, feed, "powers", held["plant"])
        clusters = _targets(scene, feed, "powers", held["cluster"])
        ends = [(plant, _port(rects[plant], held["feed"], index, 0.2, 0.8)) for plant in plants]
        lines += _bus(scene, "powers", feed, (start.right, start.middle), x, rects, ends)
        if not clusters:
            continue
        depth += LANE
        y = bottom + depth
        lane = rects[clusters[0]].x - MARGIN - LANE * (len(held["feed"]) - index) + LANE / 2
        way = ((start.right, start.middle), (x, start.middle), (x, y), (lane, y))
        ports = [
            (cluster, _port(rects[cluster], held["feed"], index, 0.56, 0.94))
            for cluster in clusters
        ]
        lines.append(Polyline(way, "powers", feed, arrow=False, states=_falls(scene, feed)))
        lines += _bus(scene, "powers", feed, (lane, y), lane, rects, ports)
    return lines, depth


def _bus(
    scene: Scene,
    kind: str,
    source: str,
    start: tuple[float, float],
    x: float,
    rects: Mapping[str, Rect],
    ends: Sequence[tuple[str, float]],
) -> list[Polyline]:
    """A lane that leaves a source and taps off to each target, all corners square."""
    return [
        Polyline(
            _without_repeats((start, (x, start[1]), (x, y), (_side(rects[name], x), y))),
            kind,
            source,
            name,
            states=_falls(scene, source),
        )
        for name, y in ends
    ]


def _side(rect: Rect, x: float) -> float:
    """The side of a box that faces a lane."""
    return rect.x if x < rect.x else rect.right


def _without_repeats(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    return (points[0], *(after for before, after in pairwise(points) if after != before))


def _falls(scene: Scene, source: str) -> frozenset[str]:
    return states_of(scene, source) & {"fallen", "failed", "spared", "absent"}


#: Width of an item, its title or service, and its replicas.
type Item = tuple[float, str, list[str]]


def _software(scene: Scene, region: str) -> list[Item]:
    """Services with replicas in a region, by plane."""
    graph = scene.graph
    replicas: dict[str, list[str]] = {}
    for name in graph.successors(node("region", region)):
        if graph.nodes[name]["kind"] == "replica":
            replicas.setdefault(graph.nodes[name]["service"], []).append(name)
    services = scene.model.services
    order = sorted(replicas, key=lambda name: PLANES.index(services[name].plane))
    items = []
    for service in order:
        count = min(len(replicas[service]), MOST_SQUARES)
        squares = count * (SQUARE + SQUARE_GAP)
        badge = _badge_room(scene, service)
        text = min(text_width(service, FACT), MOST_WIDTH)
        items.append((text + squares + 14 + badge, service, replicas[service]))
    return items


def _badge_room(scene: Scene, service: str) -> float:
    """Room for the mark of a service that is drawn in the card of its region."""
    own = service in scene.homes
    return BADGE if own and mark_of(states_of(scene, node("service", service))) else 0.0


def _flow(scene: Scene, region: str, width: float) -> Part:
    """Services and their replicas in lines, like words."""
    boxes: list[Box] = []
    x, y, line_height = 0.0, 0.0, 0.0
    for item in _software(scene, region):
        if x and x + item[0] > width:
            x, y = 0.0, y + line_height + 5
            line_height = 0.0
        made = _replica_item(scene, region, item, x, y)
        boxes += made
        x += item[0] + 6
        line_height = max(line_height, made[0].rect.height)
    return Part(width, y + line_height, tuple(boxes))


def _replica_item(scene: Scene, region: str, item: Item, x: float, y: float) -> list[Box]:
    """A service's name with a square for each of its replicas."""
    width, service, replicas = item
    rows = -(-len(replicas) // MOST_SQUARES)
    rect = Rect(x, y, width, rows * (SQUARE + SQUARE_GAP) + 5)
    plane = scene.model.services[service].plane
    own = scene.homes.get(service) == region
    name = node("service", service) if own else None
    states = states_of(scene, name) if name else frozenset[str]()
    squares = min(len(replicas), MOST_SQUARES) * (SQUARE + SQUARE_GAP)
    room = width - squares - 14 - _badge_room(scene, service)
    labels = stacked(x + 6, y + 3.5, [(service, FACT, "fact")], room + 0.01)
    if mark_of(states):
        labels += (Label(x + 6 + room + 3, y + 15, mark_of(states), 12.0, "badge"),)
    boxes = [Box(rect, "service" if own else "group", labels, name, plane, states)]
    left = rect.right - squares - 1
    for index, replica in enumerate(replicas):
        row, column = divmod(index, MOST_SQUARES)
        square = Rect(
            left + column * (SQUARE + SQUARE_GAP),
            y + 4 + row * (SQUARE + SQUARE_GAP),
            SQUARE,
            SQUARE,
        )
        marked = states_of(scene, replica)
        text = mark_of(marked) if marked & {"failed", "fallen"} else f"{index + 1}"
        size = SMALL if len(text) < 3 else 6.5
        label = Label(square.x + SQUARE / 2, square.y + 11, text, size, "fact", "middle")
        boxes.append(Box(square, "replica", (label,), replica, plane, marked))
    return boxes
