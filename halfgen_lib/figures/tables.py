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

NBSP = "\u00a0"  # keeps a cell on one line
FACING = {
    "as it is": ("default test", ".4f"),
    "mirrored": ("default mirrored", ".4f"),
    "with flips": ("flip test", ".4f"),
    "with flips, mirrored": ("flip mirrored", ".4f"),
    "facing away, over content": ("change", "+.0%"),
}
SAMPLING = {
    "MSE, one": ("mse", ".4f"),
    "MSE, mean": ("mse of mean", ".4f"),
    "CRPS": ("crps", ".4f"),
    "energy": ("energy", ".3f"),
    "90% covers": ("covers", ".0%"),
    "spread over skill": ("spread_skill", ".2f"),
    "same class": ("agreement", ".1%"),
    "seam": ("seam", ".3f"),
}
REALISM = {
    "precision": ("precision", ".2f"),
    "recall": ("recall", ".2f"),
    "black pixels": ("black", ".1%"),
}
TEMPERATURE = {
    "temperature": ("temperature", "g"),
    "stretch": ("stretch", "g"),
    "Fréchet": ("frechet", ".1f"),
    "90% covers": ("coverage", ".1%"),
    "CRPS": ("crps", ".4f"),
}
ENSEMBLE = {
    "one": ("one", ".5f"),
    "disagreement": ("disagreement", ".5f"),
    "mean of 5": ("five, test", ".5f"),
    "of infinitely many": ("infinite", ".5f"),
    "mean of 5, validation": ("five, validation", ".5f"),
}


def interval(value: Mapping[str, float], digits: int, sign: str = "") -> str:
    """Return "mean [low, high]" of a mean with its interval; ``sign``: "+" shows it always."""
    mean, low, high = (f"{value[key]:{sign}.{digits}f}" for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def ranged(value: Analysis, digits: int) -> str:
    """Return "median (low–high)" of measurements."""
    median, low, high = (f"{value[key]:,.{digits}f}" for key in ("median", "low", "high"))
    return f"{median}{NBSP}({low}–{high})"


def name_rows() -> list[Row]:
    """Return what readers call each variant and what commands do, which no other table says."""
    return [{"name": NAMES[code], "in commands": f"`{code}`"} for code in VARIANTS]


def cells(values: Analysis, columns: Mapping[str, tuple[str, str]]) -> Row:
    """Return the text of numbers and, of values with an interval, of their means; – for none.

    ``columns``: title -> the key of what stands there, and the format of the number.
    """
    row = {}
    for title, (key, form) in columns.items():
        value = values.get(key)
        number = value if value is None or isinstance(value, int | float) else value["mean"]
        row[title] = "–" if number is None else format(number, form)
    return row


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


def score_row(scores: Analysis) -> Row:
    """Return MSE, PSNR and SSIM of :func:`evaluation.summarise`'s scores of one group."""
    mse, ssim = interval(scores["mse"], 4), interval(scores["ssim"], 3)
    return {"MSE": mse, "PSNR (dB)": f"{scores['psnr']['mean']:.1f}", "SSIM": ssim}


def class_rows(metrics: Analysis) -> list[Row]:
    """Return the test scores of each class and, last, of all images."""
    groups = {**metrics["per_class"], "**all**": metrics["overall"]}
    return [
        {"class": name, "images": f"{group['mse']['count']:,}", **score_row(group)}
        for name, group in groups.items()
    ]


def baseline_rows(analysis: Analysis) -> list[Row]:
    """Return every baseline and the network: test scores and the error above the network's."""
    above = {name: interval(value, 4, "+") for name, value in analysis["differences"].items()}
    return [
        {"method": row["title"], **score_row(row["overall"]), "above": above.get(name, "–")}
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
    groups = [(model, group) for model in ("default", "flip") for group in ("test", "mirrored")]
    rows = []
    for name in (*CLASS_NAMES, "all"):
        facing = analysis["default"]["by_facing"].get(name, {})
        found = {f"{model} {group}": analysis[model][group][name] for model, group in groups}
        sides = facing.get("relative", {})
        if len(sides) > 1:
            found["change"] = sides["against"]["mean"] / sides["with"]["mean"] - 1
        share = f"{facing['share']:.1%}" if facing else "–"
        first = {"class": "**all**" if name == "all" else name, "share facing": share}
        rows.append(first | cells(found, FACING))
    return rows


def sampling_rows(analysis: Analysis) -> list[Row]:
    """Return what compares every method of the analysis ``generative`` with the image's truth."""
    rows = []
    for row in analysis["methods"].values():
        more = {"mse of mean": row.get("mean", row)["mse"]}
        if "coverage" in row:
            more["covers"] = row["coverage"]["0.9"]["unsettled"]
        rows.append({"method": row["title"].replace(" ", NBSP)} | cells(row | more, SAMPLING))
    return [*rows, {"method": f"**true{NBSP}images**"} | cells(analysis["real"], SAMPLING)]


def realism_rows(analysis: Analysis) -> list[Row]:
    """Return what compares each method's images with true ones, as sets; and true ones' own row.

    Methods that were not measured by it are left out.
    """
    found = [(row["title"], row) for row in analysis["methods"].values() if "two_sample" in row]
    rows = []
    for title, row in [*found, ("**true images**", analysis["real"])]:
        told = {f"AUC, {part}": interval(row["two_sample"][part], 2) for part in ("whole", "right")}
        first = {"method": title.replace(" ", NBSP), "Fréchet": interval(row["frechet"], 1)}
        rows.append(first | told | cells(row, REALISM))
    return rows


def unmeasured(analysis: Analysis) -> list[str]:
    """Return the titles of methods that :func:`realism_rows` leaves out."""
    return [row["title"] for row in analysis["methods"].values() if "two_sample" not in row]


def realism_finding(analysis: Analysis) -> str:
    """Return whose draws look most real, as far as paired intervals tell, as sentences."""
    methods, found = analysis["methods"], analysis["realism"]
    if not found:
        return ""
    lowest, above = methods[found["lowest"]], found["above"]
    near = [methods[name]["title"] for name, value in above.items() if value["low"] <= 0]
    auc = {row["title"]: row["two_sample"]["whole"]["mean"] for row in measured(methods).values()}
    hardest = min(auc, key=auc.__getitem__)
    alone = ", and no other is within chance of it, image by image" if not near else ""
    shared = f", which the images do not tell from {', '.join(near)}" if near else ""
    return (
        f"By Fréchet distance the draws of {lowest['title']} look most real"
        f" ({lowest['frechet']['mean']:.1f}){shared}{alone}. A network that learned to tell"
        f" completed images from true ones is least sure of {hardest}, with an area of"
        f" {auc[hardest]:.2f} under its curve."
    )


def measured(methods: Methods) -> Methods:
    """Return the rows of methods that draw and were compared with true images as sets."""
    return {name: row for name, row in drawing(methods).items() if "two_sample" in row}


def temperature_rows(analysis: Analysis) -> list[Row]:
    """Return what the residual flow's temperature and stretch do to its validation draws."""
    return [cells(row, TEMPERATURE) for row in analysis["temperature"]["rows"]]


def floor_rows(analysis: Analysis) -> list[Row]:
    """Return each predictor's error, what of it neighbours share, and what is left."""
    columns = {"error": "mse", "shared with neighbours": "shared", "left": "floor"}
    return [
        {"predictor": analysis["methods"][name]["title"]}
        | {title: interval(found[key], 4) for title, key in columns.items()}
        for name, found in analysis["floor"].items()
    ]


def ensemble_finding(analysis: Analysis) -> str:
    """Return what the mean of several U-Nets brings, as a sentence; nothing if there is none."""
    if "ensembles" not in analysis:
        return ""
    title, values = (analysis["ensembles"][-1][key] for key in ("title", "test"))
    one, every = (values[key]["mean"] for key in ("one", "all"))
    networks = f"On all {values['one']['count']:,} test images {values['count']} U-Nets ({title})"
    return f"{networks} err by {one:.5f}, their mean by {every:.5f}."


def ensemble_rows(analysis: Analysis) -> list[Row]:
    """Return what the mean of several networks gains, for each group of them.

    The mean of 5 is that of those trained, or is estimated where networks differ in seed alone,
    which have an error of ``infinite`` many.
    """
    rows = []
    for found in analysis["ensembles"]:
        test, five = found["test"], {}
        for images in ("test", "validation"):
            own, five[f"five, {images}"] = found[images], found[images]["all"]
            if "infinite" in own:
                five[f"five, {images}"] = own["infinite"]["mean"] + own["disagreement"]["mean"] / 5
        first = {"networks": found["title"], "trained": str(test["count"])}
        rows.append(first | cells(test | five, ENSEMBLE))
    return rows


def computed(origin: Analysis) -> str:
    """Return where and when something published was computed, for a caption."""
    day, device, commit = (origin[key] for key in ("created", "device", "git_commit"))
    changes = " with changes" if "+" in commit else ""
    device = device.replace(" 1 threads", " 1 thread")  # as records of before have it
    return f"Computed {day[:10]} on {device} by commit {commit[:8]}{changes}."
