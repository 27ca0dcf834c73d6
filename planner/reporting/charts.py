"""Line charts for the terminal, drawn with Braille dots."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

Floats = NDArray[np.float64]
#: Dots of a Braille sign, by column and row, as bits above U+2800.
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
COLUMNS, ROWS = 2, 4
BLANK = 0x2800
LABEL_WIDTH = 8


@dataclass(frozen=True)
class Point:
    """A sign at a place of a chart.

    Parameters
    ----------
    x, y
        Place.
    sign
        One character.
    style
        Colour, for terminals that have them.
    """

    x: float
    y: float
    sign: str
    style: str


@dataclass(frozen=True)
class Axis:
    """Range of an axis and how its values are written."""

    low: float
    high: float
    label: Callable[[float], str]

    def share(self, value: float) -> float:
        """Where a value lies between the ends, 0 to 1."""
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)


def draw(
    values: Floats,
    points: Sequence[Point],
    x_axis: Axis,
    y_axis: Axis,
    width: int,
    height: int,
    step: float,
) -> list[Text]:
    """Draw a curve and points, with the axes on the left and below.

    Parameters
    ----------
    values
        Curve at x = 0, 1, 2, …
    width, height
        Size of the whole chart in characters, labels included.
    step
        Distance between labels of the x axis.
    """
    inner = max(width - LABEL_WIDTH - 2, 10)
    signs = _curve(values, x_axis, y_axis, inner, height)
    rows = [[(chr(BLANK + int(bits)) if bits else " ", "cyan") for bits in row] for row in signs]
    for point in points:
        row = round((1 - y_axis.share(point.y)) * (height - 1))
        column = round(x_axis.share(point.x) * (inner - 1))
        rows[row][column] = (point.sign, point.style)
    lines = []
    for index, row_signs in enumerate(rows):
        labelled = {0: y_axis.high, height - 1: y_axis.low}
        label = y_axis.label(labelled[index]) if index in labelled else ""
        line = Text(f"{label:>{LABEL_WIDTH}} ┤" if label else " " * (LABEL_WIDTH + 1) + "│")
        for sign, style in row_signs:
            line.append(sign, style)
        lines.append(line)
    lines += [Text(line) for line in _x_axis(x_axis, inner, step)]
    return lines


def _curve(
    values: Floats, x_axis: Axis, y_axis: Axis, width: int, height: int
) -> NDArray[np.int64]:
    """Braille bits of a curve, shape (height, width); steps are joined by vertical lines."""
    bits = np.zeros((height, width), dtype=np.int64)
    places = np.linspace(x_axis.low, x_axis.high, width * COLUMNS)
    heights = np.interp(places, np.arange(len(values)), values)
    last = None
    for column, value in enumerate(heights):
        if not math.isfinite(value):
            last = None
            continue
        dot = round((1 - y_axis.share(float(value))) * (height * ROWS - 1))
        start = dot if last is None else last + (dot > last) - (dot < last)
        for one in range(min(start, dot), max(start, dot) + 1):
            bits[one // ROWS, column // COLUMNS] |= DOTS[column % COLUMNS][one % ROWS]
        last = dot
    return bits


def _x_axis(axis: Axis, width: int, step: float) -> tuple[str, str]:
    """Axis with ticks, and its labels, those left out that would touch another."""
    ticks, labels = ["─"] * width, [" "] * (width + LABEL_WIDTH)
    free = 0
    for x in np.arange(math.ceil(axis.low / step) * step, axis.high + 1e-9, step):
        column = round(axis.share(float(x)) * (width - 1))
        ticks[column] = "┬"
        text = axis.label(float(x))
        start = max(min(column - len(text) // 2, width - len(text)), 0)
        if start >= free and start + len(text) <= width:
            labels[start : start + len(text)] = text
            free = start + len(text) + 1
    indent = " " * (LABEL_WIDTH + 1)
    return indent + "└" + "".join(ticks), indent + " " + "".join(labels).rstrip()


def nice_step(span: float, most: int, steps: Sequence[float]) -> float:
    """Smallest of some steps that cuts a span into at most so many parts, or the largest.

    >>> nice_step(390, 6, (15, 30, 60, 120, 240))
    120
    """
    return next((step for step in steps if span / step <= most), steps[-1])
