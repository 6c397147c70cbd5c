"""Rows of the tables that notebooks and the report share; numbers come in, text goes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..data import CLASS_NAMES
from ..models.base import Completer
from ..models.layers import layer_table

Row = dict[str, str]
Methods = Mapping[str, Mapping[str, Any]]  # name -> a row of the analysis ``generative``

NBSP = "\u00a0"  # keeps a cell on one line


def interval(value: Mapping[str, float], digits: int, sign: str = "") -> str:
    """Return "mean [low, high]" of a mean with its interval; ``sign``: "+" shows it always."""
    mean, low, high = (f"{value[key]:{sign}.{digits}f}" for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def drawing(methods: Methods) -> Methods:
    """Return the rows of the methods that draw."""
    return {name: row for name, row in methods.items() if row["draws"] > 1}


def layer_rows(model: Completer) -> list[Row]:
    """Return the layer table of a network."""
    return [
        {
            "layer": layer.kind,
            "details": layer.details,
            "output shape": " × ".join(map(str, layer.output_shape)),
            "parameters": f"{layer.parameters:,}",
        }
        for layer in layer_table(model)
    ]


def score_row(scores: Mapping[str, Any]) -> Row:
    """Return MSE, PSNR and SSIM of :func:`evaluation.summarise`'s scores of one group."""
    return {
        "MSE": interval(scores["mse"], 4),
        "PSNR (dB)": f"{scores['psnr']['mean']:.1f}",
        "SSIM": interval(scores["ssim"], 3),
    }


def class_rows(metrics: Mapping[str, Any]) -> list[Row]:
    """Return the test scores of each class and, last, of all images."""
    groups = {**metrics["per_class"], "**all**": metrics["overall"]}
    return [
        {"class": name, "images": f"{group['mse']['count']:,}", **score_row(group)}
        for name, group in groups.items()
    ]


def baseline_rows(analysis: Mapping[str, Any]) -> list[Row]:
    """Return every baseline and the network: test scores and the error above the network's."""
    above = {name: interval(value, 4, "+") for name, value in analysis["differences"].items()}
    return [
        {"method": row["title"], **score_row(row["overall"]), "above": above.get(name, "–")}
        for name, row in analysis["methods"].items()
    ]


def gate(analysis: Mapping[str, Any]) -> tuple[bool, str]:
    """Tell whether the network beats every baseline, each interval excluding zero, and by whom.

    Returns:
        Whether it does, and the key of the baseline that comes nearest.
    """
    differences = analysis["differences"]
    nearest = min(differences, key=lambda name: differences[name]["mean"])
    return all(difference["low"] > 0 for difference in differences.values()), nearest


def facing_rows(analysis: Mapping[str, Any]) -> list[Row]:
    """Return the error on the test set and on its mirror image, trained without and with flips."""
    plain, flip = analysis["default"], analysis["flip"]

    def mean(values: Mapping[str, Any], group: str, name: str) -> str:
        return f"{values[group][name]['mean']:.4f}"

    rows = []
    for name in (*CLASS_NAMES, "all"):
        facing = plain["by_facing"].get(name)
        against = facing["against"] if facing else None
        rows.append(
            {
                "class": name if facing else f"**{name}**",
                "share facing": f"{facing['share']:.1%}" if facing else "",
                "as it is": mean(plain, "test", name),
                "those facing away": f"{against['mean']:.4f}" if against else "–",
                "mirrored": mean(plain, "mirrored", name),
                "with flips": mean(flip, "test", name),
                "with flips, mirrored": mean(flip, "mirrored", name),
            }
        )
    return rows


def sampling_rows(analysis: Mapping[str, Any]) -> list[Row]:
    """Return every method of the analysis ``generative``, and last the true images.

    Errors and scores compare with the image's own truth, the others whole sets of images.
    """
    rows = []
    for method in analysis["methods"].values():
        mean = method.get("mean", method)
        covered = method.get("coverage")
        rows.append(
            {
                "method": method["title"].replace(" ", NBSP),
                "MSE, one": f"{method['mse']['mean']:.4f}",
                "MSE, mean": f"{mean['mse']['mean']:.4f}",
                "CRPS": f"{method['crps']['mean']:.4f}",
                "energy": f"{method['energy']['mean']:.3f}",
                "90 % covers": f"{covered['0.9']['unsettled']['mean']:.0%}" if covered else "–",
                **_set_row(method),
            }
        )
    blank = dict.fromkeys(("MSE, one", "MSE, mean", "CRPS", "energy", "90 % covers"), "–")
    return [*rows, {"method": f"**true{NBSP}images**", **blank, **_set_row(analysis["real"])}]


def _set_row(measures: Mapping[str, Any]) -> Row:
    return {
        "Fréchet": f"{measures['frechet']['mean']:.2f}",
        "precision": f"{measures['precision']['mean']:.2f}",
        "recall": f"{measures['recall']['mean']:.2f}",
        "same class": f"{measures['agreement']['mean']:.1%}",
        "seam": f"{measures['seam']['mean']:.3f}",
    }


def temperature_rows(analysis: Mapping[str, Any]) -> list[Row]:
    """Return what the residual flow's temperature and stretch do to its validation draws."""
    return [
        {
            "temperature": f"{row['temperature']:g}",
            "stretch": f"{row['stretch']:g}",
            "Fréchet": f"{row['frechet']:.1f}",
            "90 % covers": f"{row['coverage']:.1%}",
            "CRPS": f"{row['crps']:.4f}",
        }
        for row in analysis["temperature"]["rows"]
    ]


def memory_rows(analysis: Mapping[str, Any]) -> list[Row]:
    """Return how near each sampler's draws are to training right halves, and true halves are."""
    found = {row["title"]: row["memorised"] for row in drawing(analysis["methods"]).values()}
    rows = [(title, own["quantiles"], interval(own["below"], 3)) for title, own in found.items()]
    true = next(iter(found.values()))["true"]
    return [
        {
            "halves": title,
            "nearest": f"{quantiles['0.0']:.3f}",
            "1 % quantile": f"{quantiles['0.01']:.3f}",
            "median": f"{quantiles['0.5']:.3f}",
            "share that near": share,
        }
        for title, quantiles, share in [*rows, ("**true images**", true, "0.010")]
    ]


def floor_rows(analysis: Mapping[str, Any]) -> list[Row]:
    """Return every estimate of the error that no predictor can avoid, and the way it errs."""
    return [
        {"estimate": name, "variance": interval(value, 4), "errs": errs}
        for name, value, errs in _floor_estimates(analysis)
    ]


def lowest_upper_bound(analysis: Mapping[str, Any]) -> float:
    """Return the lowest of the estimates of the floor that err upwards."""
    found = _floor_estimates(analysis)
    return min(value["mean"] for _, value, errs in found if errs == "too high")


def _floor_estimates(analysis: Mapping[str, Any]) -> list[tuple[str, Mapping[str, float], str]]:
    floor, drawn = analysis["floor"], drawing(analysis["methods"]).values()
    several = f"infinitely many networks, from {floor.get('ensemble', {}).get('count')}"
    known = [
        ("images with similar left halves", "pairs", "nearest", "too high"),
        ("the same, extrapolated", "pairs", "extrapolated", "either way"),
        ("residuals of such pairs", "residuals", "nearest", "too high"),
        ("the same, extrapolated", "residuals", "extrapolated", "either way"),
        (several, "ensemble", "infinite", "too high"),
    ]
    spreads = [(f"spread of the draws of {r['title']}", r["spread"], "either way") for r in drawn]
    return [(name, floor[k][v], errs) for name, k, v, errs in known if k in floor] + spreads


def ensemble_finding(analysis: Mapping[str, Any]) -> str:
    """Return what the mean of several U-Nets brings, as a sentence; nothing if there is none."""
    if "ensembles" not in analysis:
        return ""
    chosen = analysis["ensembles"][-1]
    values = chosen["test"]
    one, every, infinite = (values[key]["mean"] for key in ("one", "all", "infinite"))
    return (
        f"On all {values['one']['count']:,} test images {values['count']} U-Nets"
        f" ({chosen['title']}) err by {one:.5f}, their mean by {every:.5f}; that of infinitely many"
        f" would by {infinite:.5f}."
    )


def ensemble_rows(analysis: Mapping[str, Any]) -> list[Row]:
    """Return what the mean of several networks gains, for each group of them."""

    def of_five(values: Mapping[str, Any]) -> str:
        return f"{values['infinite']['mean'] + values['disagreement']['mean'] / 5:.5f}"

    return [
        {
            "networks": found["title"],
            "trained": str(test["count"]),
            "one": f"{test['one']['mean']:.5f}",
            "disagreement": f"{test['disagreement']['mean']:.5f}",
            "mean of 5": of_five(test),
            "of infinitely many": f"{test['infinite']['mean']:.5f}",
            "mean of 5, validation": of_five(found["validation"]),
        }
        for found in analysis["ensembles"]
        for test in [found["test"]]
    ]


def computed(origin: Mapping[str, Any]) -> str:
    """Return where and when something published was computed, for a caption."""
    commit = origin["git_commit"]
    changes = " with changes" if "+" in commit else ""
    return (
        f"Computed {origin['created'][:10]} on {origin['device']} by commit {commit[:8]}{changes}."
    )
