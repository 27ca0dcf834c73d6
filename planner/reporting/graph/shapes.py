"""Boxes, labels and lines of a drawn graph, and how wide a text is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Advance widths in thousandths of the size for the signs from space to tilde: those of DejaVu
#: Sans, read from the font. Arial, Helvetica and Liberation Sans are narrower, so texts fit too.
_WIDTHS = (
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636,
    636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632,
    575, 775, 752, 295, 295, 656, 557, 863, 748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685,
    611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579,
    278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
)  # fmt: skip
_OTHER = 1000
#: Bold DejaVu Sans is wider by at most this.
_BOLD = 1.15
ELLIPSIS = "…"
#: Height of a line of text over its size.
LEADING = 1.3


@dataclass(frozen=True)
class Rect:
    """A rectangle; the origin is at the top left.

    Parameters
    ----------
    width, height
        Size, in the units of SVG (CSS pixels).
    """

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Lower edge."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """Half-way down."""
        return self.y + self.height / 2

    def holds(self, other: Rect, slack: float = 0.01) -> bool:
        """Whether another lies within."""
        return (
            self.x <= other.x + slack
            and self.y <= other.y + slack
            and other.right <= self.right + slack
            and other.bottom <= self.bottom + slack
        )


@dataclass(frozen=True)
class Label:
    """One line of text.

    Parameters
    ----------
    x, y
        Where it starts (or ends, or has its middle), and its baseline.
    text
        What it says, already shortened.
    role
        ``name``, ``fact``, ``bought``, ``retired``, ``badge``, ``heading`` or ``title``.
    anchor
        ``start``, ``middle`` or ``end``.
    """

    x: float
    y: float
    text: str
    size: float = 12.0
    role: str = "fact"
    anchor: str = "start"

    @property
    def bold(self) -> bool:
        """Whether it is set in bold."""
        return self.role in ("name", "badge", "title", "heading")

    @property
    def rect(self) -> Rect:
        """Room that it takes, ascenders and descenders included."""
        width = text_width(self.text, self.size, self.bold)
        left = self.x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return Rect(left, self.y - 0.8 * self.size, width, self.size)


@dataclass(frozen=True)
class Box:
    """A rectangle with its texts.

    Parameters
    ----------
    kind
        Kind of the node, or what else it is: ``band``, ``group``, ``key``.
    plane
        Plane, which gives its colour.
    states
        Any of ``single``, ``software``, ``failed``, ``fallen``, ``spared``, ``absent``, ``bought``,
        ``retired``.
    """

    rect: Rect
    kind: str
    labels: tuple[Label, ...] = ()
    node: str | None = None
    plane: str | None = None
    states: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Polyline:
    """A line along points.

    Parameters
    ----------
    points
        Corners, shape (n, 2).
    kind
        ``cools``, ``powers``, ``needs``, ``soft`` or ``any_of``.
    source, target
        Nodes at its ends; the target depends on the source.
    curved
        Whether points are joined by level S-curves instead of straight lines.
    arrow
        Whether it ends in an arrow; taps of a bus do, the bus itself does not.
    """

    points: tuple[tuple[float, float], ...]
    kind: str
    source: str
    target: str = ""
    curved: bool = False
    arrow: bool = True
    states: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Drawing:
    """Everything on a page; later boxes lie on earlier ones, lines between bands and boxes."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Polyline, ...]


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Width of a text, or a little more.

    >>> round(text_width("us-west", 10), 1)
    38.6
    """
    signs = (ord(sign) - 32 for sign in text)
    width = sum(_WIDTHS[sign] if 0 <= sign < len(_WIDTHS) else _OTHER for sign in signs)
    return width * size / 1000 * (_BOLD if bold else 1.0)


def shortened(text: str, size: float, width: float, bold: bool = False) -> str:
    """A text that fits a width: its middle is left out where it is too long.

    >>> shortened("ap-southeast-cooling-control", 10, 100)
    'ap-southe…-control'
    """
    width += 0.01
    if text_width(text, size, bold) <= width:
        return text
    for left_out in range(1, len(text) + 1):
        kept = len(text) - left_out
        end = text[len(text) - kept // 2 :] if kept > 1 else ""
        short = text[: kept - kept // 2] + ELLIPSIS + end
        if text_width(short, size, bold) <= width:
            return short
    return ""


def wrapped(text: str, size: float, width: float, bold: bool = False) -> list[str]:
    """A text broken between words into lines that fit a width, where its words do.

    >>> wrapped("no tier down at all", 10, 60)
    ['no tier', 'down at all']
    """
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size, bold) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def stacked(
    x: float, y: float, texts: Sequence[tuple[str, float, str]], width: float
) -> tuple[Label, ...]:
    """Labels below each other, each a (text, size, role), shortened to a width."""
    labels = []
    for text, size, role in texts:
        y += size * LEADING
        bold = role in ("name", "title", "heading")
        fitting = shortened(text, size, width, bold)
        labels.append(Label(x, y - 0.3 * size, fitting, size, role))
    return tuple(labels)


def stack_size(texts: Sequence[tuple[str, float, str]]) -> tuple[float, float]:
    """Width and height of labels below each other."""
    widths = (
        text_width(text, size, role in ("name", "title", "heading")) for text, size, role in texts
    )
    return max(widths, default=0.0), sum(size * LEADING for _, size, _ in texts)
