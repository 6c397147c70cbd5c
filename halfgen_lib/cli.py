"""The command line: ``halfgen``, and what it is to do: ``data``, ``train``, ``bench``, ..."""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import shtab
from pydantic import ValidationError

from .config import Data, Given, RunConfig
from .files import environment, project_root
from .models import MODELS
from .settings import complaints
from .variants import STUDIES

PARSER = argparse.ArgumentParser(
    prog="halfgen",
    description="Given the left half of a Fashion-MNIST image, generate the right half.",
)
PARSER.add_argument("--version", action="version", version=f"%(prog)s {version('halfgen')}")
shtab.add_argument_to(PARSER, help="print what completes commands: eval it in your shell")
COMMANDS = PARSER.add_subparsers(dest="command", required=True, metavar="COMMAND")
Option = tuple[tuple[str, ...], dict[str, Any]]  # names and settings, for argparse


def option(*names: str, **settings: Any) -> Option:
    """Return an option as argparse's ``add_argument`` takes it."""
    return names, settings


def command(*options: Option, **settings: Any) -> Callable[[Callable], Callable]:
    """Make a function a command of its name: its docstring is the help, its arguments options."""
    settings |= {"formatter_class": argparse.ArgumentDefaultsHelpFormatter}

    def register(function: Callable) -> Callable:
        name, about = function.__name__.strip("_"), function.__doc__.partition("\n")[0]
        own = COMMANDS.add_parser(name.replace("_", "-"), help=about, **settings)
        own.set_defaults(run=function)
        for names, how in options:
            own.add_argument(*names, **how)
        return function

    return register


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand; return the exit code: 0, or 1 with one message on stderr."""
    arguments, rest = PARSER.parse_known_args(argv)
    given = vars(arguments)
    name, run, _ = (given.pop(each, None) for each in ("command", "run", "print_completion"))
    if name in ("report", "bench"):
        given["rest"] = rest
    elif rest:
        PARSER.error(f"unknown arguments: {' '.join(rest)}")
    try:
        run(**given)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        message = "\n".join(complaints(error)) if isinstance(error, ValidationError) else error
        print(f"halfgen {name}: {message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _setting(name: str) -> Option:
    """Return the option of a run's setting, which is left out of the arguments if not given."""
    field = RunConfig.model_fields[name]
    how = {"help": f"{field.description} (default: {field.default})", "default": argparse.SUPPRESS}
    if name == "model":
        how |= {"choices": tuple(MODELS)}
    elif field.annotation is bool:
        how |= {"action": argparse.BooleanOptionalAction}
    elif get_origin(field.annotation) is Literal:
        how |= {"choices": get_args(field.annotation)}
    elif field.annotation in (int, float):
        how |= {"type": field.annotation}
    else:
        how |= {"metavar": "JSON"} if name == "model_settings" else {}
    return option(f"--{name.replace('_', '-')}", **how)


DATA = option("--data", choices=get_args(Data), default="full", help="which images")
COUNT = {"type": int, "default": 0}
NAMES = {"type": lambda t: [] if t == "all" else t.split(","), "default": "all", "metavar": "A,B"}
COMPLETED = "PICTURE-completed.png"
BEYOND = "instead, the networks beyond the seed (trains them if need be)"
ENSEMBLE = "instead, the mean of networks of these variants in turn (trains them if need be)"


@command(option("--folder", help="look for the four files here and nowhere else"))
def data(folder: str | None) -> None:
    """Find or obtain the images, and verify them."""
    from .data import load

    dataset = load("full", folder)
    print(f"{len(dataset.train):,} training and {len(dataset.test):,} test images, verified, in")
    print(dataset.folder)


@command(*map(_setting, RunConfig.model_fields))
def train(**given: Any) -> None:
    """Train one run, or resume it."""
    if text := given.get("model_settings"):
        try:
            given["model_settings"] = json.loads(text)
        except (ValueError, RecursionError) as error:
            what = f"model_settings = {text[:60]!r}: must be JSON, as '{{}}' is"
            raise ValueError(f"{what}: {error}") from None
    config = RunConfig.of_variant(given.pop("variant", "default"), **given)
    from .runs import choose_run  # what is heavy, once it is known to be of use
    from .training import fit

    run = fit(config)
    choose_run(run)
    mse = run.metrics["overall"]["mse"]
    print(f"test MSE {mse['mean']:.5f} [{mse['low']:.5f}, {mse['high']:.5f}]; {run.directory}")


@command(
    option(
        "--of", choices=STUDIES, default="study", help="beyond: of the networks beyond the seed"
    ),
    option("--variants", help="these variants: see halfgen list variants", **NAMES),
    option("--factors", help="the variants of these factors", **NAMES),
    option("--seeds", type=int, default=3, help="runs of each variant"),
    DATA,
    option("--stale", action="store_true", help="repeat what another revision of a model has made"),
    option("--keep-weights", action="store_true", help="do not delete the networks"),
    option("--workers", **COUNT, help="train in this many processes of this machine"),
    option("--scheduler", metavar="ADDRESS", help="use this Dask cluster"),
    option("--resource", default="", help="what a Dask worker must declare: GPU, say"),
)
def study(of: str, data: str, stale: bool, scheduler: str, resource: str, **given: Any) -> None:
    """Train variants x seeds and publish the results."""
    from .studies import study, workers

    here = {name: given.pop(name) for name in ("workers", "keep_weights")}
    if scheduler and here["workers"]:
        raise ValueError("--workers are of this machine, --scheduler is of a cluster: give one")
    configs = study.plan(**given, data=data, study=of)
    train = partial(workers.train_here, **here)
    if scheduler:
        train = partial(workers.train_on_cluster, scheduler=scheduler, resource=resource)
    path = study.study_path(data, of)
    study.run_study(configs, path, train, repeat_stale=stale)
    print(path)


@command()
def classifier() -> None:
    """Train and publish the classifier that the measures of samples use."""
    from .analysis.classifier import NAME, publish_classifier
    from .runs.published import networks_dir

    print("training; it takes some minutes", flush=True)
    print(f"test accuracy: {publish_classifier()['test_accuracy']['whole']['mean']:.4f}")
    print(networks_dir() / NAME)


@command(
    DATA,
    option("--beyond", action="store_true", help=BEYOND),
    option("--ensemble", help=ENSEMBLE, **(NAMES | {"default": None})),
    option("--count", type=int, default=5, help="networks of an ensemble"),
)
def analyse(data: str, beyond: bool, ensemble: list[str], count: int) -> None:
    """Publish baselines, erratum and audits (trains four runs if need be)."""
    from .analysis import ensembles, networks, published

    if ensemble:
        print(ensembles.analyse_ensemble(ensemble, count, data))
    elif beyond:
        print(networks.analyse_networks(data))
    else:
        print(*published.analyse(data), sep="\n")


@command(
    option("run_id", help="a finished run; current: the last one trained"),
    option("--as", dest="name", required=True, help="what it is called"),
)
def publish(run_id: str, name: str) -> None:
    """Keep a run in report/networks."""
    from .runs import find_run
    from .runs.published import publish_run

    print(publish_run(find_run(run_id), name).directory)


@command(
    option("picture", help="a picture of any size: one object on a plain ground"),
    option("-o", "--output", default=COMPLETED, help="the picture to write, beside the first"),
    option("--given", choices=get_args(Given), default="left", help="the half that is known"),
    option("--model", default="cae", help="a published network, or a run's id"),
    option("-n", type=int, default=1, help="completions to draw"),
    option("--seed", **COUNT, help="of the draws"),
    option("--scale", type=int, default=8, help="edge of a pixel in the output"),
    option("--force", action="store_true", help="replace the output if it is there"),
)
def complete(picture: str, output: str, seed: int, scale: int, force: bool, **chosen: Any) -> None:
    """Complete a picture of your own."""
    place = Path(picture)
    if not place.is_file():  # said before anything heavy is imported
        raise FileNotFoundError(f"{picture}: no such file")
    if not 0 <= seed < 2**31:
        raise ValueError(f"seed is {seed}, allowed: 0 to {2**31 - 1}")
    import torch

    from .explore.completion import complete

    completion = complete(picture, generator=torch.Generator().manual_seed(seed), **chosen)
    ends = ("", *(f"-{number}" for number in range(2, 1000)))
    free = (place.with_name(f"{place.stem}-completed{end}.png") for end in ends)
    target = next(p for p in free if not p.exists()) if output == COMPLETED else Path(output)
    completion.save(target, scale, overwrite=force)
    which = f"left: the picture, as the network sees it; then: completed by {completion.model}"
    print(*completion.notes, which, target, sep="\n")


@command(option("what", choices=("models", "variants", "runs", "networks"), help="of these"))
def list_(what: str) -> None:
    """Show what there is: models, variants, runs, published networks."""
    from .runs.listing import rows_of

    rows = rows_of(what)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())


@command(add_help=False)
def bench(rest: list[str]) -> None:
    """Measure the speed beside a plain loop's."""
    root = project_root()
    if not (root / "benchmarks" / "__main__.py").is_file():
        raise RuntimeError(f"{root} holds no benchmarks: the bench needs a checkout of the project")
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    own = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "KINETO_LOG_LEVEL": "99"}  # no profiler's
    command = [sys.executable, "-m", "benchmarks", *rest]
    if code := subprocess.run(command, env=environment() | own).returncode:
        sys.exit(code)


@command(description="Further arguments go to papermill for 02_train, such as: -p epochs 3")
def report(rest: list[str]) -> None:
    """Run all notebooks and render the report as HTML and PDF."""
    from .report import make_report

    _end_children_too()
    print(*make_report(rest), sep="\n")


def _end_children_too() -> None:
    """Let a kill raise: ending this process alone, it would leave papermill and its kernel busy."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@command(option("folder", help="the folder to write it to, made if need be"))
def new_report(folder: str) -> None:
    """Begin a report of your own: a small, complete example."""
    from .report import new_report

    print(*new_report(Path(folder)), sep="\n")


@command(option("notebook", help="the .ipynb; what is made of it is put beside it"))
def paper(notebook: str) -> None:
    """Run a notebook of your own and render it as HTML and PDF."""
    from .report import make_paper

    _end_children_too()
    print(*make_paper(Path(notebook)), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
