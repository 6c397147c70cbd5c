"""Rows of the tables that notebooks and the report share, and what they come to, as text."""

from collections.abc import Mapping
from typing import Any

from ..data import CLASS_NAMES
from ..models.base import Completer
from ..models.layers import layer_table
from ..variants import NAMES, VARIANTS

Row = dict[str, str]
Analysis = Mapping[str, Any]
Methods = Mapping[str, Analysis]  # name -> a row of the analysis ``generative``
Columns = Mapping[str, tuple[str, str]]  # title -> where a value stands, and its format: `cells`

NBSP = "\u00a0"  # keeps a cell on one line
SCORES: Columns = {
    "MSE": ("mse", "[.4f]"),
    "PSNR (dB)": ("psnr", ".1f"),
    "SSIM": ("ssim", "[.3f]"),
}
FACING = {
    "as it is": "default > test",
    "mirrored": "default > mirrored",
    "with flips": "flip > test",
    "with flips, mirrored": "flip > mirrored",
}
SAMPLING: Columns = {
    "MSE, one": ("mse", ".4f"),
    "MSE, mean": ("mean > mse", ".4f"),
    "CRPS": ("crps", ".4f"),
    "energy": ("energy", ".3f"),
    "90% covers": ("coverage > 0.9 > unsettled", ".0%"),
    "spread over skill": ("spread_skill", ".2f"),
    "same class": ("agreement", ".1%"),
    "seam": ("seam", ".3f"),
}
REALISM: Columns = {
    "Fréchet": ("frechet", "[.1f]"),
    "AUC, whole": ("two_sample > whole", "[.2f]"),
    "AUC, right": ("two_sample > right", "[.2f]"),
    "precision": ("precision", ".2f"),
    "recall": ("recall", ".2f"),
    "black pixels": ("black", ".1%"),
}
DRAW_SETTINGS: Columns = {
    "stretch": ("stretch", "g"),
    "black below": ("black_below", "g"),
    "Fréchet": ("frechet", ".1f"),
    "black pixels": ("black", ".1%"),
    "90% covers": ("coverage", ".1%"),
    "CRPS": ("crps", ".4f"),
}
REPORTED: Columns = {
    "image": ("image", "d"),
    "label": ("label", ""),
    "split": ("split", ""),
    "error": ("mse", ".4f"),
    "class mean": ("class_mean", ".4f"),
    "err less": ("below", ".0%"),
}
FLOOR: Columns = {
    "error": ("mse", "[.4f]"),
    "shared with neighbours": ("shared", "[.4f]"),
    "left": ("floor", "[.4f]"),
}
ENSEMBLE: Columns = {
    "one": ("test > one", ".5f"),
    "disagreement": ("test > disagreement", ".5f"),
    "mean of 5": ("five > test", ".5f"),
    "of infinitely many": ("test > infinite", ".5f"),
    "mean of 5, validation": ("five > validation", ".5f"),
}


def formatted(value: Any, form: str) -> str:
    """Return the text of a number, or of a measurement with its ends; – for None.

    ``form`` is the format of a number, or of the mean of an interval. In brackets it gives the ends
    as well: "[.4f]" "mean [low, high]", and "(.2f)" "median (low–high)".
    """
    if value is None:
        return "–"
    if form.startswith("["):
        mean, low, high = (format(value[key], form[1:-1]) for key in ("mean", "low", "high"))
        return f"{mean} [{low}, {high}]"
    if form.startswith("("):
        median, low, high = (format(value[key], form[1:-1]) for key in ("median", "low", "high"))
        return f"{median}{NBSP}({low}–{high})"
    return format(value if isinstance(value, int | float | str) else value["mean"], form)


def cells(values: Analysis, columns: Columns) -> Row:
    """Return values as text: of each column what stands at its place, and – where nothing does.

    A place is the keys that lead there, as in "coverage > 0.9"; formats are those of `formatted`.
    """

    def at(place: str) -> Any:
        found = values
        for key in place.split(" > "):
            found = None if found is None else found.get(key)
        return found

    return {title: formatted(at(place), form) for title, (place, form) in columns.items()}


def name_rows() -> list[Row]:
    """Return what readers call each variant and what commands do, which no other table says."""
    return [{"name": NAMES[code], "in commands": f"`{code}`"} for code in VARIANTS]


def drawing(methods: Methods) -> Methods:
    """Return the rows of the methods that draw."""
    return {name: row for name, row in methods.items() if row["draws"] > 1}


def layer_rows(model: Completer) -> list[Row]:
    """Return the layer table of a network."""
    rows = []
    for layer in layer_table(model):
        shape = " × ".join(map(str, layer.output_shape))
        row = {"layer": layer.kind, "details": layer.details, "output shape": shape}
        rows.append(row | {"parameters": f"{layer.parameters:,}"})
    return rows


def class_rows(metrics: Analysis) -> list[Row]:
    """Return the test scores of each class and, last, of all images."""
    groups = {**metrics["per_class"], "**all**": metrics["overall"]}
    columns = {"images": ("mse > count", ","), **SCORES}
    return [{"class": name} | cells(group, columns) for name, group in groups.items()]


def baseline_rows(analysis: Analysis) -> list[Row]:
    """Return every baseline and the network: test scores and the error above the network's."""
    above = analysis["differences"]
    return [
        {
            "method": row["title"],
            **cells(row["overall"], SCORES),
            "above": formatted(above.get(name), "[+.4f]"),
        }
        for name, row in analysis["methods"].items()
    ]


def gate(analysis: Analysis) -> tuple[bool, str]:
    """Tell whether the network beats every baseline, each interval above zero; name the nearest."""
    differences = analysis["differences"]
    nearest = min(differences, key=lambda name: differences[name]["mean"])
    return all(difference["low"] > 0 for difference in differences.values()), nearest


def facing_rows(analysis: Analysis) -> list[Row]:
    """Return the error on the test set and on its mirror image, trained without and with flips.

    Of classes that have a front also how much more, over their content, images that face away err.
    """
    rows = []
    for name in (*CLASS_NAMES, "all"):
        facing = analysis["default"]["by_facing"].get(name, {})
        columns = {title: (f"{place} > {name}", ".4f") for title, place in FACING.items()}
        rows.append(
            {
                "class": "**all**" if name == "all" else name,
                "share facing": formatted(facing.get("share"), ".1%"),
                **cells(analysis, columns),
                "facing away, over content": formatted(facing_away(facing), "+.0%"),
            }
        )
    return rows


def facing_away(facing: Analysis) -> float | None:
    """Return by how much more images of a class that face away err, over their content.

    Of the analysis ``facing``, ``by_facing``; None where too few of the class face either way.
    """
    sides = facing.get("relative", {})
    return sides["against"]["mean"] / sides["with"]["mean"] - 1 if len(sides) > 1 else None


def sampling_rows(analysis: Analysis) -> list[Row]:
    """Return what compares every method of the analysis ``generative`` with the image's truth."""
    found = with_true_images(analysis)
    # what predicts the mean has no other
    return [{"method": title} | cells({"mean": row} | row, SAMPLING) for title, row in found]


def realism_rows(analysis: Analysis) -> list[Row]:
    """Return what compares each method's images with true ones, as sets; and true ones' own row."""
    return [{"method": title} | cells(row, REALISM) for title, row in with_true_images(analysis)]


def with_true_images(analysis: Analysis) -> list[tuple[str, Analysis]]:
    """Return title and row of every method of the analysis ``generative``, and of true images."""
    rows = [*analysis["methods"].values(), analysis["real"] | {"title": "**true images**"}]
    return [(row["title"].replace(" = ", f"{NBSP}={NBSP}"), row) for row in rows]


def spoken(row: Analysis) -> str:
    """Return a method's title as a sentence has it."""
    return row["title"].replace(", k = ", f" with k{NBSP}={NBSP}")


def realism_finding(analysis: Analysis) -> str:
    """Return whose draws look most real, as far as paired intervals tell, as sentences."""
    methods, found = analysis["methods"], analysis["realism"]
    if not found:
        return ""
    lowest, above = methods[found["lowest"]], found["above"]
    near = [f"the {spoken(methods[name])}" for name, value in above.items() if value["low"] <= 0]
    drawn = drawing(methods).values()
    auc = {spoken(row): row["two_sample"]["whole"]["mean"] for row in drawn}
    hardest = min(auc, key=auc.__getitem__)
    alone = ", and no other is within chance of it, image by image" if not near else ""
    shared = f", which the images do not tell from {' and '.join(near)}" if near else ""
    return (
        f"By Fréchet distance the draws of the {spoken(lowest)} look most real"
        f" ({lowest['frechet']['mean']:.1f}){shared}{alone}. A network that learned to tell"
        f" completed images from true ones is least sure of the {hardest}, with an area of"
        f" {auc[hardest]:.2f} under its curve."
    )


def floor_rows(groups: Analysis) -> list[Row]:
    """Return of each network, and mean of several, its error, what neighbours share, what is left.

    Of the ``groups`` of the analysis ``ensembles``; of some nothing but the errors was measured.
    """
    rows = []
    for title, group in groups.items():
        names = {"one": title, "all": f"mean of {group['test']['count']}, {title}"}
        found = group.get("avoidable", {}).items()
        rows += [{"predictor": names[key]} | cells(values, FLOOR) for key, values in found]
    return rows


def floor_finding(groups: Analysis) -> str:
    """Return what neighbours share of one network's error, and of that of the best mean's networks.

    Of the first network that was measured, and the mean that errs least on validation images.
    """
    measured = {title: group.get("avoidable", {}) for title, group in groups.items()}
    told = [(f"one {title}", found["one"]) for title, found in measured.items() if "one" in found]
    del told[1:]
    if found := measured[best := best_group(groups)].get("all"):
        told.append((f"the mean of {groups[best]['test']['count']} networks ({best})", found))
    parts = (
        f"{found['shared']['mean'] / found['mse']['mean']:.0%} of the error of {name}, which leaves"
        f" {found['floor']['mean']:.4f}"
        for name, found in told
    )
    return f"Neighbours share {', and '.join(parts)}."


def best_group(groups: Analysis) -> str:
    """Return the title of the networks whose mean errs least on validation images."""
    return min(groups, key=lambda title: groups[title]["validation"]["all"]["mean"])


def ensemble_finding(groups: Analysis) -> str:
    """Return what the mean of several networks brings, as a sentence."""
    title = best_group(groups)
    values = groups[title]["test"]
    one, every = (values[key]["mean"] for key in ("one", "all"))
    networks = f"On all {values['one']['count']:,} test images {values['count']} networks ({title})"
    return f"{networks} err by {one:.5f}, their mean by {every:.5f}."


def ensemble_rows(groups: Analysis) -> list[Row]:
    """Return what the mean of several networks gains, for each group of them.

    The mean of 5 is that of those trained, or is estimated where networks differ in seed alone,
    which have an error of ``infinite`` many.
    """
    rows = []
    for title, found in groups.items():
        five = {}
        for images in ("test", "validation"):
            own, five[images] = found[images], found[images]["all"]
            if "infinite" in own:
                five[images] = own["infinite"]["mean"] + own["disagreement"]["mean"] / 5
        first = {"networks": title, "trained": str(found["test"]["count"])}
        rows.append(first | cells(found | {"five": five}, ENSEMBLE))
    return rows


def computed(origin: Analysis) -> str:
    """Return where and when something published was computed, for a caption."""
    day, device, commit = (origin[key] for key in ("created", "device", "git_commit"))
    changes = " with changes" if "+" in commit else ""
    return f"Computed {day[:10]} on {device} by commit {commit[:8]}{changes}."
