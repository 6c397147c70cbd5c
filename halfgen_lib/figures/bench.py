"""The bench's values as a figure, as rows of tables and as a finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from .style import BLUE, GREY, canvas, error_bars
from .tables import NBSP, Row

Values = Mapping[str, Any]


def cost_figure(cost: Values) -> Figure:
    """Show seconds against training images and against pixels, both axes logarithmic.

    Args:
        cost: ``cost`` of the bench's values: :func:`scaling.cost_of_images`, ``cost_of_pixels``.
    """
    figure, (left, right) = canvas(2.5, ncols=2)
    images, pixels = cost["images"], cost["pixels"]
    counts = [point["images"] for point in images["points"]]
    _draw(left, counts, [point["epoch_seconds"] for point in images["points"]], images["slope"])
    left.set_xticks(counts, [f"{count:,}" for count in counts])
    left.set(xlabel="training images", ylabel="seconds an epoch")
    sides = [point["side"] for point in pixels["points"]]
    seconds = [point["seconds_per_image"] for point in pixels["points"]]
    _draw(right, [side**2 for side in sides], seconds, pixels["slope"])
    right.set_xticks([side**2 for side in sides], [f"{side} × {side}" for side in sides])
    right.set(xlabel="pixels of an image", ylabel="seconds an image")
    return figure


def _draw(ax: Axes, x: Sequence[float], seconds: Sequence[Values], slope: float) -> None:
    """Draw medians with their range, and the line of this slope through their centre."""
    median, spread = error_bars(seconds, "median")
    ax.errorbar(x, median, yerr=spread, fmt="o", color=BLUE, markersize=4)
    middle = np.exp(np.log(x).mean()), np.exp(np.log(median).mean())
    line = middle[1] * (np.array(x) / middle[0]) ** slope
    ax.plot(x, line, color=GREY, linestyle="--", linewidth=0.9, label=f"slope {slope:.2f}")
    ax.set(xscale="log", yscale="log")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.legend()


def ranged(value: Values, digits: int) -> str:
    """Return "median (low–high)" of measurements."""
    median, low, high = (f"{value[key]:,.{digits}f}" for key in ("median", "low", "high"))
    return f"{median}{NBSP}({low}–{high})"


def speed_rows(bench: Values) -> list[Row]:
    """Return a row for each contender: epochs, memory, shares of the peaks, times the floor."""
    plain = bench["speed"]["plain"]["epoch_seconds"]["median"]
    rows = []
    for name, speed in bench["speed"].items():
        memory = speed["peak_memory"]["device"] or speed["peak_memory"]["main"]
        rows.append(
            {
                "": name,
                "s an epoch": ranged(speed["epoch_seconds"], 2),
                "images a second": f"{speed['images_per_second']:,.0f}",
                "speed-up": f"{plain / speed['epoch_seconds']['median']:.2f}",
                "of matmul peak": f"{speed['matmul_share']:.0%}",
                "times the floor": f"{speed['over_floor']:.1f}",
                "memory (MB)": f"{memory / 1e6:,.0f}",
            }
        )
    return rows


def inference_rows(bench: Values) -> list[Row]:
    """Return completions a second, one row a batch size."""
    return [
        {
            "batch size": size,
            **{f"{name}, images a second": ranged(value, 0) for name, value in both.items()},
        }
        for size, both in bench["inference"].items()
    ]


def target_rows(bench: Values) -> list[Row]:
    """Return a row for each recipe: what the seconds to the seed's error were."""
    target = bench["target"]
    titles = {
        "published": "published recipe, plain loop",
        "plain_default": "default recipe, plain loop",
        "ours_default": "default recipe, ours",
    }
    rows = [
        {
            "": title,
            "seconds": f"{target[name]['seconds']:.1f}",
            "epochs": str(target[name]["epochs"]),
            "validation MSE": f"{target[name]['val_mse']:.4f}" + _missed(target[name]["reached"]),
        }
        for name, title in titles.items()
    ]
    fast = target["speedrun"]
    rows.append(
        {
            "": f"speedrun, {fast['runs']} seeds",
            "seconds": ranged(fast["seconds"], 2),
            "epochs": f"1, of {fast['settings']['train_size']:,} images",
            "validation MSE": ranged(fast["val_mse"], 4) + _missed(fast["reached"] == fast["runs"]),
        }
    )
    return rows


def _missed(reached: bool) -> str:
    return "" if reached else " (missed)"


def ablation_rows(bench: Values) -> list[Row]:
    """Return a row for each ingredient of the speedrun that is left out."""
    return [
        {
            "speedrun with": name,
            "seconds": f"{run['seconds']:.2f}",
            "validation MSE": f"{run['val_mse']:.4f}",
        }
        for name, run in bench["target"]["ablation"].items()
    ]


def finding(bench: Values, name: str) -> str:
    """Return what the report's tables and figure on one device, ``tbl-<name>`` ..., come to."""
    speed, target, cost, start = (bench[k] for k in ("speed", "target", "cost", "startup"))
    imports = {name: seconds["median"] for name, seconds in start["import_seconds"].items()}
    plain = speed["plain"]["epoch_seconds"]["median"]
    times = [
        f"{plain / row['epoch_seconds']['median']:.2f} times as fast ({title})"
        for title, row in speed.items()
        if title != "plain"
    ]
    faster = target["times_faster"]
    reached = (
        f"the speedrun has the seed's error {faster:.0f} times sooner than the published recipe"
        if faster
        else "a recipe missed the error, so no ratio is given"
    )
    return (
        f"On {bench['machine']['device']} an epoch is {' and '.join(times)} as in the plain loop"
        f" (@tbl-{name}), and {reached} (@tbl-{name}-target, @tbl-{name}-parts). The time of an"
        f" epoch grows with the number of images to the power {cost['images']['slope']:.2f}, that"
        f" of an image with its pixels to the power {cost['pixels']['slope']:.2f} (@fig-{name})."
        f" Completions a second are in @tbl-{name}-inference. To start, importing all that trains"
        f" takes {imports['halfgen_lib.training'] / imports['torch']:.2f} times as long as"
        " importing PyTorch alone; loading the verified images,"
        f" {start['load_seconds']['median']:.2f} s."
    )
