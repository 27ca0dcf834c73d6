"""A drawn graph as SVG, in light and dark, and as PNG through matplotlib."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any

from planner.reporting.graph.facts import Scene, change_lines, fact_lines, software_only
from planner.reporting.graph.shapes import Box, Drawing, Label, Polyline
from planner.reporting.html.templates import filled

FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
#: Colours by role, for light and for dark backgrounds. Planes: fill and frame.
LIGHT = {
    "page": "#ffffff", "ink": "#1c2430", "soft_ink": "#4f5b6b", "frame": "#8a95a3",
    "card": "#f5f7f9", "box": "#ffffff", "band": "#f5f7f9", "red": "#b3261e", "red_fill": "#fbe3e1",
    "green": "#1b6e3c", "green_fill": "#dff3e5", "power": "#a86a00", "cool": "#0b6fae",
    "edge": "#dbe9fb", "edge_frame": "#2f6db5", "service": "#eae0f8", "service_frame": "#7446b3",
    "state": "#fcebcf", "state_frame": "#a8690a", "control": "#d5f0ea", "control_frame": "#12796a",
    "on_red": "#ffffff",
}  # fmt: skip
DARK = {
    "page": "#12161c", "ink": "#e8edf3", "soft_ink": "#aab6c4", "frame": "#6b7787",
    "card": "#1a2028", "box": "#232b35", "band": "#1a2028", "red": "#ff8a80", "red_fill": "#54201d",
    "green": "#7fd79b", "green_fill": "#1d3f2a", "power": "#f0b94d", "cool": "#63b8f2",
    "edge": "#1d3552", "edge_frame": "#76aef0", "service": "#372650", "service_frame": "#b48cf0",
    "state": "#473310", "state_frame": "#e3ab4c", "control": "#123f38", "control_frame": "#4cc3b0",
    "on_red": "#2b0907",
}  # fmt: skip
DASHES = {"soft": (5.0, 4.0), "any_of": (1.5, 3.0)}
#: How strongly what a loss spares is drawn.
SPARED = 0.55


def svg_text(scene: Scene, drawing: Drawing, page: bool = False) -> str:
    """A drawing as SVG.

    Parameters
    ----------
    page
        Whether it is part of a page, which then gives it its own roles and keys.
    """
    width, height = f"{drawing.width:.0f}", f"{drawing.height:.0f}"
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    role = 'role="group"' if page else 'role="img"'
    title = escape(f"Infrastructure of {scene.name}")
    behind = [box for box in drawing.boxes if _behind_lines(box)]
    above = [box for box in drawing.boxes if not _behind_lines(box)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {role} aria-label="{title}" '
            f'font-family="{FONT}">',
            *([] if page else [f"<title>{title}</title>"]),
            f"<style>{_styles()}</style>",
            "<defs>",
            *(_marker(kind) for kind in ("powers", "cools", "needs", "soft", "any_of", "fallen")),
            "</defs>",
            f'<rect class="page" width="{width}" height="{height}"/>',
            *(_box(scene, box, page) for box in behind),
            *(_line(line) for line in drawing.lines),
            *(_box(scene, box, page) for box in above),
            "</svg>\n",
        ]
    )


def _behind_lines(box: Box) -> bool:
    return box.kind in ("band", "region", "text")


def _marker(kind: str) -> str:
    return (
        f'<marker id="arrow-{kind}" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" '
        f'markerHeight="7" markerUnits="userSpaceOnUse" orient="auto"><path class="tip {kind}" '
        'd="M0,0.5 L8,4 L0,7.5 z"/></marker>'
    )


def _styles() -> str:
    """Style sheet: the light colours, and the dark ones where the reader's screen wants them."""
    light, dark = (
        filled("graph_svg.css", **colours).replace("\n", "") for colours in (LIGHT, DARK)
    )
    return f"{light}@media screen and (prefers-color-scheme: dark){{{dark}}}"


def _line_colours(c: dict[str, str]) -> dict[str, str]:
    dependency = dict.fromkeys(("needs", "soft", "any_of"), c["soft_ink"])
    return {"powers": c["power"], "cools": c["cool"], **dependency}


def _box(scene: Scene, box: Box, page: bool) -> str:
    plane = [f"plane-{box.plane}"] if box.plane else []
    classes = " ".join(["box", box.kind, *plane, *sorted(box.states)])
    rect = box.rect
    corner = 2 if box.kind in ("replica", "ups", "generator") else 5
    attributes, title = "", ""
    if box.node is not None:
        attributes = f' data-node="{escape(box.node)}"'
        if page:
            attributes += (
                f' role="button" tabindex="-1" aria-label="{escape(told(scene, box.node))}"'
            )
        title = f"<title>{escape(told(scene, box.node))}</title>"
    place = f'x="{_n(rect.x)}" y="{_n(rect.y)}" width="{_n(rect.width)}" height="{_n(rect.height)}"'
    labels = "".join(_label(label) for label in box.labels)
    hidden = ' aria-hidden="true"' if page and box.node is None else ""
    return (
        f'<g class="{escape(classes)}"{attributes}{hidden}>{title}'
        f'<rect {place} rx="{corner}"/>{labels}</g>'
    )


def told(scene: Scene, name: str) -> str:
    """A node in words, for tooltips and screen readers."""
    data = scene.graph.nodes[name]
    parts = [f"{data['kind']} {data['name']}", *fact_lines(scene, name)]
    parts += [text for text, _ in change_lines(scene, name)]
    if name in scene.points:
        fault = ", with all its replicas," if software_only(scene, name) else ""
        parts.append(f"its loss alone{fault} takes down {', '.join(scene.points[name])}")
    if name in scene.absent:
        parts.append("exists only if its measure is bought")
    if scene.blast is not None and name in scene.blast.down:
        parts.append("lost, as asked" if name in scene.blast.failed else "goes down with it")
    return "; ".join(parts)


def _label(label: Label) -> str:
    role = f"{label.role}-text" if label.role in ("bought", "retired") else label.role
    anchor = "" if label.anchor == "start" else f' text-anchor="{label.anchor}"'
    return (
        f'<text class="{escape(role)}" x="{_n(label.x)}" y="{_n(label.y)}" '
        f'font-size="{label.size:g}"{anchor}>{escape(label.text)}</text>'
    )


def _line(line: Polyline) -> str:
    classes = " ".join(["line", line.kind, *sorted(line.states)])
    ends = f' data-source="{escape(line.source)}" data-target="{escape(line.target)}"'
    tip = "fallen" if line.states & {"fallen", "failed"} else line.kind
    marker = f' marker-end="url(#arrow-{tip})"' if line.arrow and line.target else ""
    return f'<path class="{classes}"{ends if line.source else ""}{marker} d="{_way(line)}"/>'


def _way(line: Polyline) -> str:
    start, *_ = line.points
    way = [f"M{_n(start[0])},{_n(start[1])}"]
    for before, after in pairwise(line.points):
        if line.curved and before[1] != after[1]:
            half = (before[0] + after[0]) / 2
            corners = ((half, before[1]), (half, after[1]), after)
            way.append("C" + " ".join(f"{_n(x)},{_n(y)}" for x, y in corners))
        else:
            way.append(f"L{_n(after[0])},{_n(after[1])}")
    return " ".join(way)


def _n(value: float) -> str:
    """A number with at most one decimal, never minus zero."""
    return f"{round(value, 1) + 0.0:g}"


def png_bytes(drawing: Drawing) -> bytes:
    """A drawing as PNG, twice as fine as on a screen; needs matplotlib."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.family": "DejaVu Sans", "savefig.facecolor": LIGHT["page"]}):
        figure = Figure(figsize=(drawing.width / 72, drawing.height / 72))
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, drawing.width)
        axes.set_ylim(drawing.height, 0)
        axes.set_axis_off()
        for box in drawing.boxes:
            _paint_box(axes, box, 1.0 if _behind_lines(box) else 3.0)
        for line in drawing.lines:
            _paint_line(axes, line)
        buffer = io.BytesIO()
        # Agg takes no picture of more than 2^16 dots a side.
        dpi = min(144.0, 72 * 60_000 / max(drawing.width, drawing.height))
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _paint_box(axes: Any, box: Box, order: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    face, frame, width = _look(box)
    rect = box.rect
    alpha = SPARED if "spared" in box.states and box.kind != "region" else None
    corner = 2 if box.kind in ("replica", "ups", "generator") else 5
    patch = FancyBboxPatch(
        (rect.x, rect.y),
        rect.width,
        rect.height,
        boxstyle=f"round,pad=0,rounding_size={corner}",
        facecolor=face,
        edgecolor=frame,
        linewidth=width,
        linestyle=":" if "retired" in box.states else "--" if "absent" in box.states else "-",
        alpha=alpha,
        zorder=order,
    )
    axes.add_patch(patch)
    for label in box.labels:
        axes.text(
            label.x,
            label.y,
            label.text.replace("$", r"\$"),
            fontsize=label.size,
            fontweight="bold" if label.bold else "normal",
            color=_ink(box, label),
            ha={"start": "left", "middle": "center", "end": "right"}[label.anchor],
            va="baseline",
            alpha=alpha,
            zorder=order + 0.5,
        )


def _look(box: Box) -> tuple[str, str, float]:
    """Face, frame and width of the frame of a box, as the style sheet has them."""
    c, states = LIGHT, box.states
    if box.kind == "text":
        return "none", "none", 0.0
    if box.kind == "band":
        return (c[box.plane] + "59" if box.plane else c["band"]), "none", 0.0
    if "failed" in states:
        region = box.kind == "region"
        return c["red_fill" if region else "red"], c["red"], 4.0 if region else 1.0
    if "fallen" in states:
        return c["red_fill"], c["red"], 2.0
    face, frame, width = c["card" if box.kind in ("region", "provider") else "box"], c["frame"], 1.0
    if box.plane:
        face = c["box"] if box.kind == "group" else c[box.plane]
        frame = c[f"{box.plane}_frame"]
    if "bought" in states:
        face, frame = face if box.kind == "region" else c["green_fill"], c["green"]
    if "retired" in states:
        frame, width = c["ink"], 1.8
    if states & {"single", "software"}:
        frame, width = c["red"], 2.5 if "single" in states else 1.3
    return face, frame, width


def _ink(box: Box, label: Label) -> str:
    if "failed" in box.states:
        return LIGHT["red" if box.kind == "region" else "on_red"]
    if label.role == "heading" and box.plane:
        return LIGHT[f"{box.plane}_frame"]
    roles = {"badge": "red", "bought": "green", "fact": "soft_ink"}
    return LIGHT[roles.get(label.role, "ink")]


def _paint_line(axes: Any, line: Polyline) -> None:
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path

    points: list[tuple[float, float]] = [line.points[0]]
    codes = [Path.MOVETO]
    for before, after in pairwise(line.points):
        if line.curved and before[1] != after[1]:
            half = (before[0] + after[0]) / 2
            points += [(half, before[1]), (half, after[1]), after]
            codes += [Path.CURVE4] * 3
        else:
            points.append(after)
            codes.append(Path.LINETO)
    down = bool(line.states & {"fallen", "failed"})
    colour = LIGHT["red"] if down else _line_colours(LIGHT)[line.kind]
    alpha = 0.25 if "spared" in line.states else 0.55 if "absent" in line.states else 1.0
    dash = (0, DASHES.get(line.kind, (3.0, 3.0) if "absent" in line.states else ()))
    style: Any = dash if dash[1] else "-"
    patch = PathPatch(
        Path(points, codes), fill=False, edgecolor=colour, linewidth=1.4, alpha=alpha,
        linestyle=style, zorder=2.0,
    )  # fmt: skip
    axes.add_patch(patch)
    if line.arrow and line.target:
        axes.add_patch(Polygon(_tip(line.points), color=colour, alpha=alpha, zorder=2.2, lw=0))


def _tip(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Corners of the arrow at the end of a line, which ends level."""
    (x, y), back = points[-1], points[-2][0]
    way = -1.0 if back > x else 1.0
    return [(x, y), (x - 7 * way, y - 3.2), (x - 7 * way, y + 3.2)]
