"""Charts of errors, by class, method, epoch, factor of the study and size; of pixels, of costs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from ..runs.record import Record
from .style import BLUE, DASHED, GREEN, GREY, ORANGE, Intervals, Names, canvas, error_bars

Point = Summary = Any  # of analysis.curves and analysis.summaries, above this package
Panels = Mapping[str, Intervals]  # axis label -> one {mean, low, high} a name
THIN = DASHED | {"linewidth": 0.8}
SERIES = ({"marker": "o", "color": BLUE}, {"marker": "s", "color": ORANGE})


def pixel_histogram(counts: np.ndarray) -> Figure:
    """Show how often each grey value occurs: counts (256,) of the values 0 to 255."""
    figure, axes = canvas(2.0)
    axes.bar(np.arange(256) / 255, counts / counts.sum(), width=1 / 255, color=BLUE)
    axes.set(xlabel="pixel value", ylabel="share of pixels", yscale="log", xlim=(-0.01, 1.01))
    return figure


def dots(
    panels: Panels, names: Names, *, reference: Mapping[str, float] = {}, height: float = 2.8
) -> Figure:
    """Show a value with its interval for each name, one panel a measure, names down the side.

    ``reference``: axis label -> a value to mark with a dashed line.
    """
    figure, axes = canvas(height, ncols=len(panels), sharey=True, squeeze=False)
    rows = np.arange(len(names))
    for ax, (label, values) in zip(axes[0], panels.items(), strict=True):
        mean, spread = error_bars(values)
        ax.errorbar(mean, rows, xerr=spread, fmt="o", color=BLUE, markersize=4, elinewidth=1.2)
        if label in reference:
            ax.axvline(reference[label], **DASHED)
        ax.set_xlabel(label)
        ax.grid(axis="y", alpha=0.3)
    axes[0, 0].set_yticks(rows, names)
    axes[0, 0].invert_yaxis()
    return figure


def score_dots(scores: Mapping[str, Any], *, reference: str = "", height: float = 2.8) -> Figure:
    """Show MSE and SSIM of each class or method; dashed lines mark the means of ``reference``.

    ``scores``: name -> its scores, as :func:`evaluation.summarise` returns them.
    """
    keys = {"MSE (lower is better)": "mse", "SSIM (higher is better)": "ssim"}
    panels = {label: [own[key] for own in scores.values()] for label, key in keys.items()}
    marked = {label: scores[reference][keys[label]]["mean"] for label in keys if reference}
    return dots(panels, list(scores), reference=marked, height=height)


def loss_curves(history: Mapping[str, np.ndarray], reference: float, name: str) -> Figure:
    """Show training and validation loss by epoch, the best epoch, and each learning-rate drop.

    ``history``: the columns epoch, train_loss, val_loss and lr, each (epochs,). A dashed line
    marks the loss ``reference``, called ``name``.
    """
    figure, axes = canvas(2.7)
    epoch, train, val = (history[key] for key in ("epoch", "train_loss", "val_loss"))
    axes.plot(epoch, train, color=ORANGE, marker=".", label="training")
    axes.plot(epoch, val, color=BLUE, marker=".", label="validation")
    best = int(np.argmin(val))
    at = epoch[best], val[best]
    axes.plot(*at, "o", color=BLUE, markersize=9, fillstyle="none")
    above = {"xytext": (0, 9), "textcoords": "offset points", "color": BLUE}
    above["ha"] = "center" if best < 0.85 * len(val) else "right"
    white = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    axes.annotate(f"best: epoch {int(at[0])}, {at[1]:.4f}", at, bbox=white, **above)
    for i, drop in enumerate(epoch[1:][np.diff(history["lr"]) < 0]):
        label = "learning rate falls" if i == 0 else None
        axes.axvline(drop - 0.5, color=GREEN, linestyle=":", linewidth=1.1, label=label)
    axes.axhline(reference, label=name, **DASHED)
    shown = np.concatenate([val, train])
    low, high = shown.min(), min(shown.max(), 2.2 * val.min())  # the first epoch may dwarf the rest
    margin = 0.2 * (high - low) or 0.1 * low
    axes.set(xlabel="epoch", ylabel="mean squared error", ylim=(low - margin, high + margin / 4))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    return figure


def singular_values(values: Sequence[float], latent_dim: int) -> Figure:
    """Show singular values on a logarithmic scale, and the size of the code that limits them."""
    figure, axes = canvas(2.2)
    shown = np.maximum(values, values[0] * 1e-17)
    axes.plot(np.arange(1, len(values) + 1), shown, ".", color=BLUE)
    axes.axvline(latent_dim + 0.5, **DASHED)
    axes.annotate(f"latent code: {latent_dim}", (latent_dim + 2, values[0]), va="top", color=GREY)
    axes.set(xlabel="number", ylabel="singular value", yscale="log")
    return figure


def factor_dots(factors: Mapping[str, Sequence[Summary]], default: Summary) -> Figure:
    """Show validation and test error with their intervals, one panel a factor, two in a row.

    Each panel has its own scale: what differs within a factor would vanish on a common one. A
    dashed line marks the validation error of the ``default``, if it has records.
    """
    counts = [len(own) for own in factors.values()]
    heights = [max(counts[i : i + 2]) for i in range(0, len(counts), 2)]
    shape = {"nrows": len(heights), "ncols": 2, "squeeze": False, "height_ratios": heights}
    figure, grid = canvas(0.19 * sum(heights) + 0.45 * len(heights) + 0.5, **shape)
    for ax, (factor, own) in zip(grid.flat, factors.items(), strict=False):
        _draw_factor(ax, own)
        if default.count:
            ax.axvline(default.mean("val_mse"), **THIN)
        ax.set_title(factor.replace("_", " "), fontsize=8.5, pad=3)
    for ax in grid.flat[len(factors) :]:
        ax.set_axis_off()
    figure.supxlabel("mean squared error", fontsize=9)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


def _draw_factor(ax: Axes, variants: Sequence[Summary]) -> None:
    rows = np.arange(len(variants))
    names = {"validation": ("val_mse", -0.12), "test": ("test_mse", 0.12)}
    for (name, (measure, shift)), marks in zip(names.items(), SERIES, strict=True):
        mean, spread = error_bars([summary.interval(measure) for summary in variants])
        style = {"linestyle": "none", "markersize": 3.4, "elinewidth": 1, **marks}
        ax.errorbar(mean, rows + shift, xerr=spread, label=name, **style)
    ax.set_yticks(rows, [summary.variant for summary in variants], fontsize=8)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.tick_params(axis="x", labelsize=7.5)
    ax.grid(axis="y", alpha=0.3)


def error_curves(
    curves: Mapping[str, Mapping[str, Sequence[Point]]], floor: float | None = None
) -> Figure:
    """Show the test error against what lowers it, one panel a quantity, each with its own scale.

    ``curves``: quantity -> network, two at most -> its points. A dashed line marks the ``floor``.
    """
    figure, row = canvas(2.4, ncols=len(curves), squeeze=False)
    names = dict.fromkeys(name for networks in curves.values() for name in networks)
    marks = dict(zip(names, SERIES, strict=False))
    for ax, (quantity, networks) in zip(row[0], curves.items(), strict=True):
        for name, points in networks.items():
            mean, spread = error_bars([point.summary.interval("test_mse") for point in points])
            style = {"label": name, "markersize": 4, "lw": 1, **marks[name]}
            ax.errorbar([point.x for point in points], mean, spread, **style)
        if floor is not None:
            ax.axhline(floor, **THIN)
        ax.set(xscale="log", xlabel=quantity)
        ax.set_xticks(_round_numbers(*ax.get_xlim()))
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))  # k: thousands, M, G, T: 10^12
        ax.xaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_locator(MaxNLocator(5))
    row[0, 0].set_ylabel("mean squared error (test)")
    figure.legend(*row[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


def _round_numbers(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers between two positive ones, as many as ``most`` allows."""
    for steps in ((1, 2, 5), (1, 3), (1,)):
        numbers = LogLocator(subs=steps, numticks=99).tick_values(low, high)
        inside = [number for number in numbers if low <= number <= high]
        if len(inside) <= most:
            break
    return inside


def seed_curves(panels: Mapping[str, Sequence[Record]], reference: float) -> Figure:
    """Show losses and learning rate by epoch, a line a seed, one column a variant.

    ``panels``: title -> the records of a variant's seeds. Circles mark the lowest validation
    losses, a dashed line the ``reference``; those of the first epochs may lie above the frame.
    """
    shape = {"nrows": 2, "ncols": len(panels), "sharex": "col", "sharey": "row"}
    figure, grid = canvas(3.3, **shape, squeeze=False, height_ratios=(3, 1))
    for (losses, rates), (title, records) in zip(grid.T, panels.items(), strict=True):
        for record in records:
            _draw_seed(losses, rates, record)
        losses.axhline(reference, **DASHED)
        losses.set_title(title, fontsize=8.5, pad=3)
        rates.set(yscale="log", xlabel="epoch")
        rates.xaxis.get_major_locator().set_params(integer=True)
    shown = [record.history for records in panels.values() for record in records]
    low = min(min(*own.train_loss, *own.val_loss) for own in shown)
    high = max(own.val_loss[min(2, len(own.val_loss) - 1)] for own in shown)
    grid[0, 0].set(ylabel="mean squared error", ylim=(low - 0.05 * (high - low), high))
    grid[1, 0].set_ylabel("learning rate")
    named = grid[0, 0].lines[:3]  # of the first seed; all others are drawn alike
    figure.legend(named, ["training", "validation", "lowest"], loc="outside upper right", ncols=3)
    return figure


def _draw_seed(losses: Axes, rates: Axes, record: Record) -> None:
    history, best = record.history, record.best_epoch
    epochs = np.arange(1, len(history.val_loss) + 1)
    losses.plot(epochs, history.train_loss, color=ORANGE, linewidth=0.9)
    losses.plot(epochs, history.val_loss, color=BLUE, linewidth=0.9)
    losses.plot(best, history.val_loss[best - 1], "o", color=BLUE, markersize=6, fillstyle="none")
    rates.step(epochs, history.lr, where="mid", color=GREEN, linewidth=0.9)


def cost_figure(cost: Mapping[str, Any]) -> Figure:
    """Show the bench's ``cost``: seconds against training images and against pixels, log axes."""
    figure, (left, right) = canvas(2.5, ncols=2)
    images, pixels = cost["images"], cost["pixels"]
    counts = {f"{own['images']:,}": own["images"] for own in images["points"]}
    _draw_cost(left, counts, images, "epoch_seconds")
    left.set(xlabel="training images", ylabel="seconds an epoch")
    sides = {f"{own['side']} × {own['side']}": own["side"] ** 2 for own in pixels["points"]}
    _draw_cost(right, sides, pixels, "seconds_per_image")
    right.set(xlabel="pixels of an image", ylabel="seconds an image")
    return figure


def _draw_cost(ax: Axes, ticks: Mapping[str, int], measured: Mapping[str, Any], key: str) -> None:
    """Draw medians with their range, and the line of their slope through their centre."""
    x = np.array(list(ticks.values()))
    median, spread = error_bars([point[key] for point in measured["points"]], "median")
    ax.errorbar(x, median, yerr=spread, fmt="o", color=BLUE, markersize=4)
    middle = np.exp(np.log(x).mean()), np.exp(np.log(median).mean())
    line = middle[1] * (x / middle[0]) ** measured["slope"]
    ax.plot(x, line, label=f"slope {measured['slope']:.2f}", **DASHED)
    ax.set(xscale="log", yscale="log")
    ax.set_xticks(x, list(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.legend()
