"""The command line: ``halfgen``, and what it is to do: ``data``, ``train``, ``bench``, ..."""

from __future__ import annotations

import argparse
import sys

from pydantic import ValidationError

from .config import RunConfig
from .data import DataError
from .settings import complaints


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand; return the exit code: 0, or 1 with one message on stderr."""
    arguments, rest = _parser().parse_known_args(argv)
    if rest and arguments.command not in ("report", "bench"):
        _parser().error(f"unknown arguments: {' '.join(rest)}")
    try:
        arguments.run(arguments, rest)
    except (ValueError, DataError, OSError, RuntimeError, ImportError) as error:
        message = "\n".join(complaints(error)) if isinstance(error, ValidationError) else error
        print(f"halfgen {arguments.command}: {message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="halfgen",
        description="Given the left half of a Fashion-MNIST image, generate the right half.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    data = commands.add_parser("data", help="find or obtain the images, and verify them")
    data.add_argument("--folder", help="look for the four files here and nowhere else")
    data.set_defaults(run=_data)

    train = commands.add_parser("train", help="train one run, or resume it")
    for name, field in RunConfig.model_fields.items():
        kind = field.annotation if field.annotation in (int, float) else str
        if field.annotation is bool:
            either = argparse.BooleanOptionalAction
            train.add_argument(f"--{name}", action=either, default=None, help=field.description)
        elif name == "model_settings":
            train.add_argument("--model-settings", metavar="JSON", help=field.description)
        else:
            train.add_argument(f"--{name.replace('_', '-')}", type=kind, help=field.description)
    train.set_defaults(run=_train)

    _add_study(commands.add_parser("study", help="train variants x seeds and publish the results"))

    classifier = commands.add_parser(
        "classifier", help="train and publish the classifier that the measures of samples use"
    )
    classifier.add_argument("--half", action="store_true", help="the one of left halves alone")
    classifier.set_defaults(run=_classifier)

    analyse = commands.add_parser(
        "analyse",
        help="publish baselines, erratum and audits (trains three runs if need be)",
    )
    analyse.add_argument("--data", choices=["full", "sample"], default="full")
    analyse.add_argument(
        "--beyond",
        nargs="?",
        const="all",
        metavar="A,B",
        help="the networks beyond the seed instead (trains them if need be), or these of them",
    )
    analyse.add_argument(
        "--ensemble", type=int, default=0, metavar="N", help="with --beyond: average N wide U-Nets"
    )
    analyse.set_defaults(run=_analyse)

    publish = commands.add_parser("publish", help="keep a run in report/networks")
    publish.add_argument("run_id", help="a finished run; current: the last one trained")
    publish.add_argument("--as", dest="name", required=True, help="what it is called")
    publish.set_defaults(run=_publish)

    _add_complete(commands.add_parser("complete", help="complete a picture of your own"))

    bench = commands.add_parser(
        "bench", help="measure the speed beside a plain loop's", add_help=False
    )
    bench.set_defaults(run=_bench)

    report = commands.add_parser(
        "report",
        help="run all notebooks and render the report as HTML and PDF",
        description="Further arguments go to papermill for 02_train, such as: -p epochs 3",
    )
    report.set_defaults(run=_report)
    return parser


def _data(arguments: argparse.Namespace, _: list[str]) -> None:
    from .data import load

    dataset = load("full", arguments.folder)
    print(f"{len(dataset.train):,} training and {len(dataset.test):,} test images, verified, in")
    print(dataset.folder)


def _json(name: str, text: str) -> object:
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} = {text[:60]!r}: must be JSON, as '{{}}' is: {error}") from None


def _train(arguments: argparse.Namespace, _: list[str]) -> None:
    from .runs import choose_run
    from .training import fit

    given = {name: getattr(arguments, name) for name in RunConfig.model_fields}
    changes = {name: value for name, value in given.items() if value is not None}
    if "model_settings" in changes:
        changes["model_settings"] = _json("model_settings", changes["model_settings"])
    run = fit(RunConfig.of_variant(changes.pop("variant", "default"), **changes))
    choose_run(run)
    mse = run.metrics["overall"]["mse"]
    print(f"test MSE {mse['mean']:.5f} [{mse['low']:.5f}, {mse['high']:.5f}]; {run.directory}")


def _add_study(study: argparse.ArgumentParser) -> None:
    study.add_argument(
        "--of", default="study", help="study: of the seed's network (default); beyond: of ours"
    )
    study.add_argument("--variants", metavar="A,B", help="these variants; all by default")
    study.add_argument("--factors", metavar="A,B", help="the variants of these factors")
    study.add_argument("--seeds", type=int, default=3, help="runs of each variant (3)")
    study.add_argument("--data", choices=["full", "sample"], default="full")
    study.add_argument(
        "--stale", action="store_true", help="repeat what another revision of a model has made"
    )
    study.add_argument("--keep-weights", action="store_true", help="do not delete the networks")
    where = study.add_mutually_exclusive_group()
    where.add_argument("--scheduler", default="", metavar="ADDRESS", help="use this Dask cluster")
    where.add_argument("--workers", type=int, default=0, help="use this many local processes")
    study.add_argument("--resource", default="", help="what a Dask worker must declare: GPU, say")
    study.set_defaults(run=_study)


def _study(arguments: argparse.Namespace, _: list[str]) -> None:
    from functools import partial

    from .studies import study, workers

    lists = (arguments.variants, arguments.factors)
    variants, factors = (text.split(",") if text else [] for text in lists)
    configs = study.plan(variants, factors, arguments.seeds, arguments.data, arguments.of)
    here = {"workers": arguments.workers, "keep_weights": arguments.keep_weights}
    train = partial(workers.train_here, **here)
    if arguments.scheduler:
        place = {"scheduler": arguments.scheduler, "resource": arguments.resource}
        train = partial(workers.train_on_cluster, **place)
    path = study.study_path(arguments.data, arguments.of)
    study.run_study(configs, path, train, repeat_stale=arguments.stale)
    print(path)


def _classifier(arguments: argparse.Namespace, _: list[str]) -> None:
    from .analysis.classifier import NAMES, publish_classifier
    from .runs.published import networks_dir

    print("training; it takes some minutes", flush=True)
    for shown, value in publish_classifier(half=arguments.half)["test_accuracy"].items():
        print(f"test accuracy, {shown.replace('_', ' ')}: {value['mean']:.4f}")
    print(networks_dir() / NAMES[arguments.half])


def _analyse(arguments: argparse.Namespace, _: list[str]) -> None:
    from .analysis.networks import NETWORKS, analyse_networks
    from .analysis.published import analyse

    if arguments.beyond:
        names = [*NETWORKS] if arguments.beyond == "all" else arguments.beyond.split(",")
        print(analyse_networks(arguments.data, names, ensemble=arguments.ensemble))
        return
    for path in analyse(arguments.data):
        print(path)


def _publish(arguments: argparse.Namespace, _: list[str]) -> None:
    from .runs import find_run
    from .runs.published import publish_run

    print(publish_run(find_run(arguments.run_id), arguments.name).directory)


def _add_complete(complete: argparse.ArgumentParser) -> None:
    complete.add_argument("picture", help="a picture of any size: one object on a plain ground")
    complete.add_argument("-o", "--output", required=True, help="the picture to write")
    complete.add_argument("--given", choices=["left", "right", "top", "bottom"], default="left")
    complete.add_argument("--model", default="cae", help="a published network, or a run's id (cae)")
    complete.add_argument("-n", type=int, default=1, help="completions to draw (1)")
    complete.add_argument("--seed", type=int, default=0, help="of the draws (0)")
    complete.add_argument("--scale", type=int, default=8, help="edge of a pixel in the output (8)")
    complete.add_argument("--force", action="store_true", help="replace the output if it is there")
    complete.set_defaults(run=_complete)


def _complete(arguments: argparse.Namespace, _: list[str]) -> None:
    import torch

    from .explore.completion import complete

    if not 0 <= arguments.seed < 2**31:
        raise ValueError(f"seed is {arguments.seed}, allowed: 0 to {2**31 - 1}")
    generator = torch.Generator().manual_seed(arguments.seed)
    chosen = (arguments.given, arguments.model, arguments.n)
    completion = complete(arguments.picture, *chosen, generator)
    completion.save(arguments.output, arguments.scale, overwrite=arguments.force)
    for note in completion.notes:
        print(note)
    print(arguments.output)


def _bench(_: argparse.Namespace, rest: list[str]) -> None:
    import os
    import subprocess

    from .files import project_root

    root = project_root()
    if not (root / "benchmarks" / "__main__.py").is_file():
        raise RuntimeError(f"{root} holds no benchmarks: the bench needs a checkout of the project")
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "benchmarks", *rest]
    if code := subprocess.run(command, env=os.environ | {"PYTHONPATH": path}).returncode:
        sys.exit(code)


def _report(_: argparse.Namespace, rest: list[str]) -> None:
    import signal

    from .report import make_report

    # a kill that ended this process alone would leave papermill and its kernel training
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    for path in make_report(rest):
        print(path)


if __name__ == "__main__":
    sys.exit(main())
