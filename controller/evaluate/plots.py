"""Plots as inline SVG that takes its text colour from the page. matplotlib is imported late."""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

import numpy as np

from controller.model.plans import Forecast
from controller.model.time import Grid, Interval, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK = "#010203"
"""Drawn with this colour, then replaced by the page's own: light, dark and paper look alike."""
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#888888",
)  # fmt: skip
"""Okabe and Ito's palette, told apart by most colour-blind eyes."""
_STACK = (BLUE, ORANGE, GREEN, PURPLE, GREY, RED, "#8a6d3b", "#5e60ce", "#2a9d8f")


def load_plot(
    forecast: Forecast,
    with_kw: Series,
    without_kw: Series | None,
    limit_kw: float,
    events: Sequence[Interval],
    zone: tzinfo,
) -> str:
    """The area's day in MW: forecast and its band, load with and without response, the limit."""
    with _drawing("load", (9.0, 3.6)) as (figure, out):
        ax = figure.add_subplot()
        _shade(ax, events)
        low, high = forecast.kw[0], forecast.kw[-1]
        band = f"forecast {forecast.quantiles[0]:.0%}–{forecast.quantiles[-1]:.0%}"
        edges = _edges(forecast.grid)
        ax.stairs(
            high / 1e3, edges, baseline=low / 1e3, fill=True, color=GREY, alpha=0.25, label=band
        )
        ax.stairs(
            forecast.median.values / 1e3,
            edges,
            baseline=None,
            color=GREY,
            lw=1.2,
            label="forecast median",
        )
        if without_kw is not None:
            _line(ax, without_kw, RED, "without response (twin)", 1e3, ls="--")
        _line(ax, with_kw, BLUE, "with response, metered", 1e3)
        ax.axhline(limit_kw / 1e3, color=_INK, lw=1, ls=":", label=f"limit {limit_kw / 1e3:.1f} MW")
        ax.set_ylabel("MW")
        _time_axis(ax, forecast.grid.span, zone)
        _legend(ax)
    return out[0]


def parts_plot(
    parts_kw: Mapping[str, Series], target_kw: Series, window: Interval, zone: tzinfo
) -> str:
    """Each part's reduction stacked over the window in MW, against the target."""
    with _drawing("parts", (9.0, 3.4)) as (figure, out):
        ax = figure.add_subplot()
        grid = target_kw.grid.within(window)
        floor = np.zeros(grid.count)
        for colour, (name, series) in zip(_cycle(len(parts_kw)), parts_kw.items(), strict=False):
            top = floor + np.maximum(np.nan_to_num(series.on(grid).values), 0.0) / 1e3
            ax.stairs(
                top, _edges(grid), baseline=floor, fill=True, color=colour, alpha=0.85, label=name
            )
            floor = top
        _line(ax, target_kw.on(grid), _INK, "target", 1e3, lw=2.0)
        ax.set_ylabel("MW")
        _time_axis(ax, window, zone)
        _legend(ax)
    return out[0]


def truth_plot(
    target_kw: Series,
    delivered_kw: Series,
    true_kw: Series | None,
    events: Sequence[Interval],
    window: Interval,
    zone: tzinfo,
) -> str:
    """Target, delivered by baseline, and true reduction, in MW."""
    with _drawing("truth", (9.0, 3.0)) as (figure, out):
        ax = figure.add_subplot()
        _shade(ax, events)
        _line(ax, _in(target_kw, window), _INK, "target", 1e3, lw=2.0)
        _line(ax, _in(delivered_kw, window), BLUE, "delivered, by baseline", 1e3)
        if true_kw is not None:
            _line(ax, _in(true_kw, window), RED, "true, by the twin without control", 1e3, ls="--")
        ax.set_ylabel("MW")
        ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
        _time_axis(ax, window, zone)
        _legend(ax)
    return out[0]


def baseline_plot(
    samples: Sequence[tuple[str, Series, Series]],
    events: Sequence[Interval],
    window: Interval,
    zone: tzinfo,
) -> str:
    """Baseline against metered for each (name, baseline, metered), one panel each."""
    with _drawing("baseline", (9.0, 2.3 * max(1, len(samples)))) as (figure, out):
        axes = figure.subplots(max(1, len(samples)), 1, squeeze=False, sharex=True)[:, 0]
        for ax, (name, baseline, metered) in zip(axes, samples, strict=False):
            scale, unit = (
                (1e3, "MW") if np.nanmax(metered.values, initial=0.0) >= 2e3 else (1.0, "kW")
            )
            _shade(ax, events)
            _line(ax, _in(metered, window), BLUE, "metered", scale)
            _line(ax, _in(baseline, window), RED, "baseline", scale, ls="--")
            ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
            ax.set_title(name, loc="left", fontsize=10)
            ax.set_ylabel(unit)
            _time_axis(ax, window, zone)
            _legend(ax)
    return out[0]


def money_plot(rows: Sequence[tuple[str, float, float]], unit: str) -> str:
    """Horizontal bars per (name, paid, penalty) in major units, largest on top."""
    with _drawing("money", (9.0, 0.5 + 0.26 * max(1, len(rows)))) as (figure, out):
        ax = figure.add_subplot()
        names = [name for name, _, _ in rows]
        at = np.arange(len(rows))
        ax.barh(at, [paid for _, paid, _ in rows], color=BLUE, height=0.7, label="paid")
        if any(penalty for _, _, penalty in rows):
            ax.barh(at, [-p for _, _, p in rows], color=RED, height=0.7, label="penalty")
            _legend(ax)
        ax.set_yticks(at, names)
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_xlabel(unit)
        ax.axvline(0, color=_INK, lw=0.8)
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    return out[0]


@contextmanager
def _drawing(name: str, size_in: tuple[float, float]) -> "Iterator[tuple[Figure, list[str]]]":
    """A figure in the house's style; on leaving, its SVG stands in the list."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.13,
        "grid.color": _INK,
        "axes.axisbelow": True,
        "lines.linewidth": 1.6,
        "legend.frameon": False,
    }
    style |= dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK
    )
    out: list[str] = []
    with mpl.rc_context(style), warnings.catch_warnings():
        # Names may be Chinese; the browser has the glyphs, our layout only guesses their width.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size_in, layout="constrained", facecolor="none")
        yield figure, out
        for ax in figure.axes:
            ax.set_facecolor("none")
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        out.append(_inline(file.getvalue(), name))


def _inline(svg: str, name: str) -> str:
    """The drawing without what only a file needs: prologue, fixed size, ids of groups."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)
    svg = re.sub(
        r'<svg [^>]*?(viewBox="[^"]*")[^>]*>',
        rf'<svg class="plot {name}" role="img" \1>',
        svg,
        count=1,
    )
    for colour, name in ((BLUE, "blue"), (RED, "red")):
        svg = svg.replace(colour, f"var(--{name}, {colour})")
    return svg.replace(_INK, "currentColor")


def _in(series: Series, window: Interval) -> Series:
    return series.on(series.grid.within(window))


def _line(
    ax: "Axes",
    series: Series,
    colour: str,
    label: str,
    scale: float,
    *,
    ls: str = "-",
    lw: float = 1.6,
) -> None:
    ax.stairs(
        series.values / scale,
        _edges(series.grid),
        baseline=None,
        color=colour,
        label=label,
        ls=ls,
        lw=lw,
    )


def _edges(grid: Grid) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Interval borders as matplotlib counts time: days since 1970."""
    return np.array([grid.at(i).timestamp() / 86400 for i in range(grid.count + 1)])


def _shade(ax: "Axes", events: Sequence[Interval]) -> None:
    for event in events:
        ax.axvspan(
            event.start.timestamp() / 86400,
            event.end.timestamp() / 86400,
            color=ORANGE,
            alpha=0.12,
            lw=0,
        )


def _time_axis(ax: "Axes", span: Interval, zone: tzinfo) -> None:
    from matplotlib.dates import AutoDateLocator, DateFormatter

    ax.set_xlim(span.start.timestamp() / 86400, span.end.timestamp() / 86400)
    ax.xaxis.set_major_locator(
        AutoDateLocator(tz=zone, minticks=5, maxticks=13)  # type: ignore[no-untyped-call]
    )
    ax.xaxis.set_major_formatter(DateFormatter("%H:%M", tz=zone))  # type: ignore[no-untyped-call]


def _legend(ax: "Axes") -> None:
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)


def _cycle(count: int) -> list[str]:
    return [_STACK[i % len(_STACK)] for i in range(count)]
