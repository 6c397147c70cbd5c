"""A model card: a page on a published network, every number of it from the run's files."""

import inspect
from importlib.metadata import metadata
from pathlib import Path
from string import Template

from ..files import read_manifest, write_atomic
from . import Run

TEMPLATE = Path(__file__).with_name("card.md")
SCORES = {
    "mse": "mean squared error",
    "psnr": "peak signal-to-noise ratio (dB)",
    "ssim": "structural similarity",
}
SPLITS = {
    "holdout": "of its training images a part was held out to validate",
    "as_published": "all of its training images; the test images served to validate, too",
}
KINDS = {  # by whether it draws
    False: ("predicts", "It predicts a mean of what may be there: smoother than any garment."),
    True: ("draws", "What it draws is one of many halves that fit; the errors are its mean's."),
}


def write_card(run: Run) -> None:
    """Write a published run's card beside its files, as README.md."""
    write_atomic(run.directory / "README.md", card(run).encode())


def card(run: Run) -> str:
    """Return a published run's card in Markdown."""
    model, config, record = run.model(), run.config, run.record
    overall, classes = run.metrics["overall"], run.metrics["per_class"]
    scores = {title: overall[name] for name, title in SCORES.items()}
    scores |= {f"mean squared error, {name}": each["mse"] for name, each in classes.items()}
    row = "| {title} | {mean:.4g} | {low:.4g} to {high:.4g} |".format
    does, limit = KINDS[hasattr(model, "sample")]
    taught = f"\n| taught by | `{config.teacher}` |".replace("+", "`, `")
    sample = "a small sample of it, " if config.data == "sample" else ""
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        config.model_dump() | record["versions"] | record,
        name=run.run_id,
        run_id=config.run_id,
        what=inspect.getdoc(type(model)).replace("``", "`"),
        taught=taught if config.teacher else "",
        does=does,
        limit=limit,
        parameters=f"{sum(weights.numel() for weights in model.parameters()):,}",
        date=record["created"][:10],
        kept=f"epoch {run.kept_epoch}, the {config.keep} of {config.epochs}",
        images=sample + SPLITS[config.split],
        count=f"{overall['mse']['count']:,}",
        errors="\n".join(row(title=title, **each) for title, each in scores.items()),
        kinds=len(classes),
        worst=max(classes, key=lambda name: classes[name]["mse"]["mean"]),
        licence=metadata("halfgen")["License-Expression"],
        sha256=read_manifest(run.directory)["model.safetensors"],
    )
