"""Line charts as inline SVG, coloured by the page's style sheet, so that they follow its light and dark scheme.

Lengths are in the drawing's own units; the page scales the whole drawing to the width that it has.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scripts.reporting.html import Html, tag

_DECADES = 8  # a logarithmic axis shows at most so many below its largest value
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Box:
    """Where a panel's plotting area lies in its drawing."""

    left: float
    top: float
    width: float
    height: float


def drawing(width: float, height: float, label: str, *content: Html) -> Html:
    """An SVG element; ``label`` says what it shows to those who do not see it."""
    return tag("svg", *content, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=label)


def picture(data_uri: str, box: Box) -> Html:
    """An embedded picture, stretched over a box."""
    return tag(
        "image",
        href=data_uri,
        x=f"{box.left:g}",
        y=f"{box.top:g}",
        width=f"{box.width:g}",
        height=f"{box.height:g}",
        preserveAspectRatio="none",
    )


def panel(
    box: Box,
    x: np.ndarray,
    series: Mapping[str, np.ndarray],
    title: str,
    x_label: str | None = None,
    log_y: bool = False,
    least_span: float = 0.0,
) -> Html:
    """Lines over a common x, with axes.

    Args:
        x: (T,) increasing.
        series: up to three lines (T,) by name; a value that is not finite (or, on a logarithmic axis, not positive)
            leaves a gap.
        title: what is plotted and its unit; stands above the panel.
        x_label: below the panel; without it, the x axis has no numbers either.
        least_span: the y axis spans at least this, so that noise about a constant does not fill the panel.

    Raises:
        ValueError: for more lines than there are colours.
    """
    if len(series) > 3:
        raise ValueError(f"a panel shows up to 3 lines, not {len(series)}: {', '.join(series)}")
    lines = {name: _log10(values) if log_y else np.asarray(values, np.float64) for name, values in series.items()}
    # a whole decade at least, so that a logarithmic axis has a power of ten to name
    low, high = _span(list(lines.values()), _DECADES if log_y else math.inf, max(least_span, float(log_y)))
    y_ticks = whole_numbers(low, high) if log_y else ticks(low, high)
    left, right = float(x[0]), float(x[-1])

    def px(value: float | np.ndarray) -> float | np.ndarray:
        return box.left + (value - left) / (right - left) * box.width

    def py(value: float | np.ndarray) -> float | np.ndarray:
        return box.top + (high - value) / (high - low) * box.height

    bottom = box.top + box.height
    parts = []
    for value in y_ticks:
        y = f"{py(value):.1f}"
        text = "10" + f"{value:g}".translate(_SUPERSCRIPT) if log_y else f"{value:g}"
        parts.append(tag("line", class_="grid", x1=f"{box.left:g}", x2=f"{box.left + box.width:g}", y1=y, y2=y))
        parts.append(tag("text", text, x=f"{box.left - 6:g}", y=y, text_anchor="end", dominant_baseline="central"))
    if x_label is not None:
        for value in ticks(left, right):
            parts.append(tag("text", f"{value:g}", x=f"{px(value):.1f}", y=f"{bottom + 15:g}", text_anchor="middle"))
        middle = box.left + box.width / 2
        parts.append(tag("text", x_label, x=f"{middle:g}", y=f"{bottom + 30:g}", text_anchor="middle"))
    parts.append(tag("text", title, x=f"{box.left:g}", y=f"{box.top - 7:g}"))
    for number, (name, values) in enumerate(lines.items()):
        colour = "xyz"[number]
        visible = np.where(values >= low, values, np.nan)
        parts.append(tag("path", class_=f"line {colour}", d=_path(px(np.asarray(x)), py(visible))))
        at = box.left + box.width - 22 * (len(lines) - 1 - number)
        parts.append(tag("text", name, class_=colour, x=f"{at:g}", y=f"{box.top - 7:g}", text_anchor="end"))
    return tag("g", parts)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) within a range, at most ``most`` + 1 of them."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def whole_numbers(low: float, high: float) -> list[int]:
    """Exponents to name on a logarithmic axis."""
    return list(range(math.ceil(low), math.floor(high) + 1))


def _log10(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float64)
    return np.log10(values, out=np.full_like(values, np.nan), where=values > 0)


def _span(lines: Sequence[np.ndarray], most: float, least: float) -> tuple[float, float]:
    """Range of the finite values with 4 % of air, at least ``least`` and at most ``most`` below the top."""
    values = np.concatenate([line[np.isfinite(line)] for line in lines]) if lines else np.empty(0)
    if not len(values):
        return 0.0, 1.0
    high = float(values.max())
    low = max(float(values.min()), high - most)
    air = max(0.04 * (high - low), (least - (high - low)) / 2, 1e-9 * max(1.0, abs(high)))
    return low - air, high + air


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """Path of the points; where y is not finite the line is lifted."""
    steps, drawing_line = [], False
    for a, b in zip(x.tolist(), y.tolist(), strict=True):
        if math.isfinite(b):
            steps.append(f"{'L' if drawing_line else 'M'}{a:.1f} {b:.1f}")
        drawing_line = math.isfinite(b)
    return "".join(steps)
