"""Rows of the bench's tables, and what they come to, as text: kept beside the values.

The paper and docs/bench.md show them as they are, so that only this package knows the values.
"""

from typing import Any

from halfgen_lib.figures.tables import Analysis, Columns, Row, cells, formatted

SPEED: Columns = {
    "s an epoch": ("epoch_seconds", "(,.2f)"),
    "images a second": ("images_per_second", ",.0f"),
    "speed-up": ("speed_up", ".2f"),
    "of matmul peak": ("matmul_share", ".0%"),
    "times the floor": ("over_floor", ".1f"),
    "memory (MB)": ("megabytes", ",.0f"),
}
ABLATION: Columns = {"seconds": ("seconds", ".2f"), "validation MSE": ("val_mse", ".4f")}


def told(bench: Analysis, name: str) -> dict[str, Any]:
    """Return the ``tables`` of a bench that is published as ``name``, and the ``finding``."""
    tables = {
        "speed": speed_rows(bench),
        "races": race_rows(bench),
        "parts": ablation_rows(bench),
        "inference": inference_rows(bench),
    }
    return {"tables": tables, "finding": bench_finding(bench, name)}


def speed_rows(bench: Analysis) -> list[Row]:
    """Return a row for each contender: epochs, memory, shares of the peaks, times the floor."""
    plain = bench["speed"]["plain"]["epoch_seconds"]["median"]
    rows = []
    for name, own in bench["speed"].items():
        memory = own["peak_memory"]["device"] or own["peak_memory"]["main"]
        found = {"megabytes": memory / 1e6, "speed_up": plain / own["epoch_seconds"]["median"]}
        rows.append({"": name} | cells(own | found, SPEED))
    return rows


def inference_rows(bench: Analysis) -> list[Row]:
    """Return completions a second, one row a batch size."""
    rows = []
    for size, both in bench["inference"].items():
        columns = {f"{name}, images a second": (name, "(,.0f)") for name in both}
        rows.append({"batch size": size} | cells(both, columns))
    return rows


def race_rows(bench: Analysis) -> list[Row]:
    """Return two rows for each race: the seconds that the rival and the speedrun took."""
    missed, rows = {True: "", False: " (missed)"}, []
    for race in bench["races"].values():
        rival, fast, to = race["rival"], race["speedrun"], f"{race['mse']:.4f}"
        error = f"{rival['val_mse']:.4f}{missed[rival['reached']]}"
        title = f"{race['recipe']} recipe, plain loop"
        rows.append((to, title, f"{rival['seconds']:.1f}", str(rival["epochs"]), error))
        title, settings = f"speedrun, {fast['runs']} seeds", fast["settings"]
        error = formatted(fast["val_mse"], "(.4f)") + missed[fast["reached"] == fast["runs"]]
        epochs = f"{settings['epochs']}, of {settings['train_size']:,} images"
        rows.append((to, title, formatted(fast["seconds"], "(,.2f)"), epochs, error))
    header = ("to", "", "seconds", "epochs", "validation MSE")
    return [dict(zip(header, row, strict=True)) for row in rows]


def ablation_rows(bench: Analysis) -> list[Row]:
    """Return a row for each ingredient of each race's speedrun that is left out."""
    return [
        {"to": f"{race['mse']:.4f}", "speedrun with": name} | cells(run, ABLATION)
        for race in bench["races"].values()
        for name, run in race["ablation"].items()
    ]


def bench_finding(bench: Analysis, name: str) -> str:
    """Return what the report's tables on one device, ``tbl-<name>`` ..., come to."""
    races, cost, start = (bench[key] for key in ("races", "cost", "startup"))
    imports = {module: seconds["median"] for module, seconds in start["import_seconds"].items()}
    seconds = {title: own["epoch_seconds"]["median"] for title, own in bench["speed"].items()}
    ratios = {title: seconds["plain"] / own for title, own in seconds.items()}
    others = {title.removeprefix("ours, "): r for title, r in ratios.items() if "ours, " in title}
    times = [f"with {how} {ratio:.2f} times" for how, ratio in others.items()]
    reached = "a recipe missed its error, so no ratio is given"
    if all(sooner := [race["times_faster"] for race in races.values()]):
        seed, text = sooner
        reached = (
            f"trained for speed, the seed's layers have the error of its report {seed:.0f} times"
            " sooner than by its public code, and what its text's recipe has after 20 epochs,"
            f" {text:.0f} times sooner than by that recipe"
        )
    return (
        f"On {bench['machine']['device']} an epoch is {ratios['ours']:.2f} times as fast as in the"
        f" plain loop, {', '.join(times)} (@tbl-{name}), and {reached} (@tbl-{name}-races,"
        f" @tbl-{name}-parts). The time of an"
        f" epoch grows with the number of images to the power {cost['images']['slope']:.2f}, that"
        f" of an image with its pixels to the power {cost['pixels']['slope']:.2f}."
        f" Completions a second are in @tbl-{name}-inference. To start, importing all that trains"
        f" takes {imports['halfgen_lib.training'] / imports['torch']:.2f} times as long as"
        " importing PyTorch alone; loading the verified images,"
        f" {start['load_seconds']['median']:.2f} s."
    )
