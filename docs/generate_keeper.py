"""
Draw the keeper's machine, and list what leads from each state to another, from
the code itself.
"""

from __future__ import annotations

import inspect
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from attrs import frozen

from sockhost.keeper.machine import KeeperMachine

#: Neighbours of the picture, clockwise from the left.
ORDER = (
    "down",
    "quarantined",
    "done",
    "failed",
    "stuck",
    "up",
    "backoff",
    "starting",
    "recovering",
    "restarting",
    "stopping",
)

WIDTH, HEIGHT = 900, 560
BOX = (108, 36)

Point = tuple[float, float]


@frozen(order=True)
class Move:
    """
    One way from a state to another.

    @ivar asked: whether people ask for it, as against what the unit and time
        bring.
    """

    source: str
    target: str
    event: str
    asked: bool
    why: str


def moves() -> list[Move]:
    """Every transition of the machine."""
    automaton = KeeperMachine.__automat_automaton__
    return sorted(
        Move(
            source=source.name,
            target=target.name,
            event=_event(event),
            asked=not event.startswith("_"),
            why=" ".join(filter(None, map(_why, outputs))),
        )
        for source, event, target, outputs in automaton.allTransitions()
    )


def _event(name: str) -> str:
    return name.strip("_").replace("_", " ")


def _why(output: object) -> str:
    method = getattr(output, "method", None)
    return (inspect.getdoc(method) or "").partition("\n")[0] if method else ""


# -- the table ----------------------------------------------------------------


def table(found: Sequence[Move]) -> str:
    """A table in Markdown."""
    rows = [
        f"| `{move.source}` | {_italic(move)} | `{move.target}` | {move.why} |"
        for move in found
    ]
    head = ["| in | when | then | |", "|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def _italic(move: Move) -> str:
    return f"**{move.event}**" if move.asked else f"*{move.event}*"


# -- the picture --------------------------------------------------------------


def picture(found: Sequence[Move]) -> str:
    """The machine as SVG: states on an ellipse, what leads to what as arrows."""
    names = {name for move in moves() for name in (move.source, move.target)}
    places = _places(sorted(names, key=_order))
    lines = [*_frame(), *_arrows(found, places), *_boxes(places), "</svg>"]
    return "\n".join(lines) + "\n"


def _order(name: str) -> tuple[int, str]:
    return (ORDER.index(name) if name in ORDER else len(ORDER), name)


def _places(names: Sequence[str]) -> dict[str, Point]:
    places = {}
    for number, name in enumerate(names):
        turn = math.pi + 2 * math.pi * number / len(names)
        x = WIDTH / 2 + (WIDTH / 2 - BOX[0] * 0.7) * math.cos(turn)
        y = HEIGHT / 2 + (HEIGHT / 2 - BOX[1] * 1.2) * math.sin(turn)
        places[name] = (x, y)
    return places


def _frame() -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12" role="img">'
    )
    yield "<title>The states of a unit, and what leads from one to another</title>"
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    for colour in COLOURS.values():
        yield (
            f'<marker id="{colour[1:]}" viewBox="0 0 8 8" refX="8" refY="4" '
            'markerWidth="8" markerHeight="8" orient="auto">'
            f'<path d="M0 0 8 4 0 8z" fill="{colour}"/></marker>'
        )


#: Whether people ask for it, and its colour.
COLOURS = {True: "#1d4ed8", False: "#9a3412"}


def _arrows(found: Sequence[Move], places: dict[str, Point]) -> Iterator[str]:
    events = defaultdict(list)
    for move in found:
        if move.source != move.target:
            events[move.source, move.target, move.asked].append(move.event)
    for (source, target, asked), names in events.items():
        yield from _arrow(
            places[source], places[target], ", ".join(names), COLOURS[asked]
        )


def _arrow(start: Point, end: Point, text: str, colour: str) -> Iterator[str]:
    middle = _beside(start, end, 28)
    first, last = _edge(start, middle), _edge(end, middle)
    yield (
        f'<path d="M{_xy(first)} Q{_xy(middle)} {_xy(last)}" fill="none" '
        f'stroke="{colour}" stroke-width="1.2" marker-end="url(#{colour[1:]})"/>'
    )
    x, y = _on_curve(first, middle, last, 0.27)
    for style in ('stroke="#ffffff" stroke-width="5"', f'fill="{colour}"'):
        yield (
            f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="middle" {style}>'
            f"{escape(text)}</text>"
        )


def _beside(start: Point, end: Point, bend: float) -> Point:
    """A point left of the middle between two, so that opposite arrows part."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    x = (start[0] + end[0]) / 2 - bend * dy / length
    return (x, (start[1] + end[1]) / 2 + bend * dx / length)


def _edge(centre: Point, towards: Point) -> Point:
    """Where the line from the centre of a box leaves it."""
    dx, dy = towards[0] - centre[0], towards[1] - centre[1]
    scale = min(
        BOX[0] / 2 / abs(dx) if dx else math.inf,
        BOX[1] / 2 / abs(dy) if dy else math.inf,
    )
    return (centre[0] + dx * scale, centre[1] + dy * scale)


def _on_curve(start: Point, middle: Point, end: Point, part: float) -> Point:
    weights = ((1 - part) ** 2, 2 * part * (1 - part), part**2)
    points = (start, middle, end)
    return (
        sum(weight * x for weight, (x, _) in zip(weights, points, strict=True)),
        sum(weight * y for weight, (_, y) in zip(weights, points, strict=True)),
    )


def _xy(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def _boxes(places: dict[str, Point]) -> Iterator[str]:
    width, height = BOX
    for name, (x, y) in places.items():
        yield (
            f'<rect x="{x - width / 2:.0f}" y="{y - height / 2:.0f}" width="{width}" '
            f'height="{height}" rx="8" fill="#f1f5f9" stroke="#334155"/>'
        )
        yield (
            f'<text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle" '
            f'font-size="14" fill="#0f172a">{escape(name)}</text>'
        )


def write(into: Path) -> None:
    """Write the table, keeper.md, and a picture for either sort of event."""
    into.mkdir(parents=True, exist_ok=True)
    found = moves()
    (into / "keeper.md").write_text(table(found))
    for asked, name in ((True, "keeper-asked.svg"), (False, "keeper-brought.svg")):
        part = [move for move in found if move.asked is asked]
        (into / name).write_text(picture(part))


if __name__ == "__main__":
    write(Path(__file__).resolve().parent / "generated")
