"""Charts as SVG that is part of the page: no script, colours by style sheet, axes from zero.

Places across are in percent: a chart takes the room there is, and its texts stay as large as all
others. Heights are in pixels. What a chart shows, the table below it shows as well: the picture
itself is hidden from those who cannot see it, and is no stop on the way of the tab key.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor, log10

from markupsafe import Markup

__all__ = ["Bar", "Flow", "Mark", "bar", "flow_chart", "lanes", "scale", "time_chart"]

HEIGHT = 200
TOP, BOTTOM = 8, 24
"""Pixels above and below the area of a chart."""

LABEL, ROW = 18, 36
"""Pixels of a label's height, and of a row with one and its part of the bands."""

MOST_BARS = 120
"""With more of them they are too thin, and it is a line."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of the time in a chart."""

    label: str
    """In full."""
    tick: str
    """At the axis."""
    value: float
    before: float | None
    """The same in the period before; None where that is not shown."""
    href: str
    """The tracks behind it."""
    before_href: str = ""
    """Those of the period before."""


def scale(most: float, ticks: int = 4) -> list[float]:
    """Round numbers from 0 to at least ``most``, for an axis. Of a count they are whole."""
    if most <= 0:
        return [0.0, 1.0]
    rough = most / ticks
    size = 10 ** floor(log10(rough))
    is_count = float(most).is_integer()
    step = next(
        step
        for step in (size * factor for factor in (1, 2, 2.5, 5, 10))
        if step >= rough * 0.999 and (float(step).is_integer() or not is_count)
    )
    count = 1
    while count * step < most * 0.9999:
        count += 1
    return [step * place for place in range(count + 1)]


def time_chart(
    bars: Sequence[Bar],
    title: Callable[[Bar], str],
    number: Callable[[float], str],
    height: int = HEIGHT,
) -> Markup:
    """Values over time, with those of the period before as a line behind them.

    :param title: what a bar's tool tip says.
    """
    if not bars:
        return Markup("")
    ticks = scale(max(max(each.value, each.before or 0) for each in bars))
    most, inner = ticks[-1], height - TOP - BOTTOM

    def y(value: float) -> float:
        return round(TOP + inner * (1 - value / most), 1)

    parts = [_grid(ticks, y, number), _time_axis(bars, height)]
    if len(bars) <= MOST_BARS:
        parts.append(_bars(bars, y))
    else:
        parts.append(_line([each.value for each in bars], most, inner, "area"))
    before = [each.before for each in bars]
    if any(value is not None for value in before):
        known = [0.0 if value is None else value for value in before]
        parts.append(_line(known, most, inner, "before"))
    parts.append(_hits(bars, title, inner))
    return Markup(
        '<svg class="chart" width="100%" height="{}" aria-hidden="true" focusable="false">{}</svg>'
    ).format(height, Markup("").join(parts))


def _grid(
    ticks: list[float], y: Callable[[float], float], number: Callable[[float], str]
) -> Markup:
    line = Markup(
        '<line class="{}" x1="0" x2="100%" y1="{}" y2="{}"/>'
        '<text class="tick" x="-8" y="{}" dy="0.32em" text-anchor="end">{}</text>'
    )
    return Markup("").join(
        line.format("grid" if tick else "axis", y(tick), y(tick), y(tick), number(tick))
        for tick in ticks
    )


def _time_axis(bars: Sequence[Bar], height: int) -> Markup:
    """Labels below: at most eight, and of these each second one where there is room only."""
    step = max(1, -(-len(bars) // 8))
    text = Markup('<text class="{}" x="{}%" y="{}" text-anchor="middle">{}</text>')
    found = []
    for place, index in enumerate(range(0, len(bars), step)):
        middle = (index + 0.5) / len(bars) * 100
        css = "tick" if place % 3 == 0 else "tick wide"
        found.append(text.format(css, round(middle, 3), height - 6, bars[index].tick))
    return Markup("").join(found)


def _bars(bars: Sequence[Bar], y: Callable[[float], float]) -> Markup:
    slot = 100 / len(bars)
    gap = 0.14 if len(bars) > 1 else 0.3
    rect = Markup('<rect class="bar" x="{}%" width="{}%" y="{}" height="{}" rx="1.5"/>')
    base = y(0)
    return Markup("").join(
        rect.format(
            round((place + gap) * slot, 3),
            round(slot * (1 - 2 * gap), 3),
            y(each.value),
            round(max(base - y(each.value), 1), 1),
        )
        for place, each in enumerate(bars)
        if each.value
    )


def _line(values: Sequence[float], most: float, inner: int, css: str) -> Markup:
    """A line through the middles of the parts, stretched over the area."""
    points = [
        f"{(place + 0.5) * 10:g} {round(100 * (1 - value / most), 2):g}"
        for place, value in enumerate(values)
    ]
    path = "M" + " L".join(points)
    width = len(values) * 10
    shapes = [Markup('<path class="line {}" d="{}"/>').format(css, path)]
    if css == "area":
        closed = f"{path} L{width - 5} 100 L5 100 Z"
        shapes.insert(0, Markup('<path class="fill" d="{}"/>').format(closed))
    return Markup(
        '<svg x="0" y="{}" width="100%" height="{}" viewBox="0 0 {} 100"'
        ' preserveAspectRatio="none">{}</svg>'
    ).format(TOP, inner, width, Markup("").join(shapes))


def _hits(bars: Sequence[Bar], title: Callable[[Bar], str], inner: int) -> Markup:
    slot = 100 / len(bars)
    hit = Markup(
        '<a href="{}" tabindex="-1"><rect class="hit" x="{}%" width="{}%" y="{}" height="{}">'
        "<title>{}</title></rect></a>"
    )
    return Markup("").join(
        hit.format(each.href, round(place * slot, 3), round(slot, 3), TOP, inner, title(each))
        for place, each in enumerate(bars)
    )


def bar(share: float, css: str = "") -> Markup:
    """A bar across a cell of a table.

    :param share: from 0 to 1.
    """
    width = round(100 * min(max(share, 0.0), 1.0), 2)
    return Markup(
        '<svg class="share {}" width="100%" height="6" aria-hidden="true" focusable="false">'
        '<rect class="rest" width="100%" height="6" rx="3"/>'
        '<rect class="bar" width="{}%" height="6" rx="3"/></svg>'
    ).format(css, width)


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment in a lane."""

    place: float
    """From 0 to 1."""
    title: str


def lanes(rows: Sequence[tuple[str, Sequence[Mark]]]) -> Markup:
    """Moments along the time, a lane for each name."""
    height = 28
    parts = []
    for place, (name, marks) in enumerate(rows):
        middle = place * height + 22
        parts.append(
            _label(name, middle - 13, "0", "100%")
            + Markup('<line class="axis" x1="0" x2="100%" y1="{}" y2="{}"/>').format(middle, middle)
        )
        dot = Markup('<circle class="dot" cx="{}%" cy="{}" r="3.5"><title>{}</title></circle>')
        parts += [dot.format(round(m.place * 100, 3), middle, m.title) for m in marks]
    return Markup(
        '<svg class="chart lanes" width="100%" height="{}" aria-hidden="true"'
        ' focusable="false">{}</svg>'
    ).format(len(rows) * height + 6, Markup("").join(parts))


@dataclass(frozen=True, slots=True)
class Flow:
    """So many go from here to there."""

    source: str
    target: str
    count: int
    href: str
    title: str
    is_end: bool = False


def flow_chart(flows: Sequence[Flow]) -> Markup:
    """Bands from sources at the left to targets at the right, as wide as many go there."""
    total = sum(flow.count for flow in flows)
    if not total:
        return Markup("")
    left, right = _nodes(flows, "source"), _nodes(flows, "target")
    rows = max(len(left), len(right))
    height = max(180, rows * ROW)
    unit = (height - LABEL * rows) / total
    starts, ends = _places(left, unit, height), _places(right, unit, height)
    bands, labels = [], []
    band = Markup(
        '<a href="{}" tabindex="-1"><path class="band {}" d="{}"><title>{}</title></path></a>'
    )
    at, to = dict(starts), dict(ends)
    for flow in flows:
        size = flow.count * unit
        a, b = at[flow.source], to[flow.target]
        at[flow.source], to[flow.target] = a + size, b + size
        path = (
            f"M0 {a:.1f} C50 {a:.1f} 50 {b:.1f} 100 {b:.1f} L100 {b + size:.1f}"
            f" C50 {b + size:.1f} 50 {a + size:.1f} 0 {a + size:.1f} Z"
        )
        bands.append(band.format(flow.href, "end" if flow.is_end else "", path, flow.title))
    for css, sizes, places, x in (("from", left, starts, "0"), ("to", right, ends, "65%")):
        for name, count in sizes.items():
            labels.append(_label(name, places[name] + count * unit / 2, x, "35%", css))
    return Markup(
        '<svg class="chart flow" width="100%" height="{0}" aria-hidden="true" focusable="false">'
        '<svg x="36%" y="0" width="28%" height="{0}" viewBox="0 0 100 {0}"'
        ' preserveAspectRatio="none">{1}</svg>{2}</svg>'
    ).format(height, Markup("").join(bands), Markup("").join(labels))


def _nodes(flows: Sequence[Flow], side: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for flow in flows:
        name = getattr(flow, side)
        found[name] = found.get(name, 0) + flow.count
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _places(sizes: dict[str, int], unit: float, height: float) -> dict[str, float]:
    """Where each begins: with room for a label around and between them."""
    used = sum(sizes.values()) * unit + LABEL * len(sizes)
    at = (height - used + LABEL) / 2
    found = {}
    for name, count in sizes.items():
        found[name] = at
        at += count * unit + LABEL
    return found


def _label(name: str, middle: float, x: str, width: str, css: str = "") -> Markup:
    """A name in the room there is: one that is too long loses its beginning, the tool tip has it.

    HTML, since a browser can shorten no text of SVG.
    """
    return Markup(
        '<foreignObject x="{}" y="{}" width="{}" height="{}">'
        '<div class="label {}" dir="rtl"><bdi title="{}">{}</bdi></div></foreignObject>'
    ).format(x, round(middle - LABEL / 2, 1), width, LABEL, css, name, name)
