"""Write the numbers of the published results into README and docs, between their marks.

README.md        <!-- finding -->    what `finding` returns            <!-- /finding -->
                 <!-- results -->    what `results_section` returns    <!-- /results -->
docs/bench.md    <!-- bench -->      what `bench_section` returns, of each bench    <!-- /bench -->

It writes the published networks' cards, too.

Usage: python scripts/write_readme.py
"""

from collections.abc import Mapping
from typing import Any

from halfgen_lib.analysis.published import published, published_benches
from halfgen_lib.analysis.summaries import of_study
from halfgen_lib.evaluation import SEED_REPORT_MSE
from halfgen_lib.figures.tables import best_group
from halfgen_lib.files import project_root, write_atomic
from halfgen_lib.paper.display import markdown_table
from halfgen_lib.runs.card import write_card
from halfgen_lib.runs.published import published_runs


def results_section() -> str:
    """Return the errors that the study is about as a table; RunError if one is not published."""
    baselines, groups = published("baselines"), published("ensembles")["groups"]
    study, beyond = (of_study(name) for name in ("study", "beyond"))
    errors = [(SEED_REPORT_MSE, "the seed, as its report says", str(SEED_REPORT_MSE))]
    networks = {
        "its public code, trained here: an affine map under a sigmoid": study["as_published"],
        "the network that its text describes": study["default"],
        "the same layers, taught by the U-Net": study["fast-distilled"],
        "a U-Net without the bottleneck": beyond["unet"],
        "a wider U-Net": beyond["unet-wide"],
        "one U-Net, taught by the mean of five": beyond["unet-distilled"],
    }
    for title, found in networks.items():
        error = f"{found.text('test_mse', 5)} ({found.count} seeds)"
        errors.append((found.mean("test_mse"), title, error))
    error, count = (groups[best_group(groups)]["test"][key] for key in ("all", "count"))
    errors.append((error["mean"], f"the mean of {count} wide U-Nets", f"{error['mean']:.5f}"))
    for name in ("low_rank", "nearest"):
        method = baselines["methods"][name]
        error = method["overall"]["mse"]["mean"]
        errors.append((error, f"{method['title']}, a baseline", f"{error:.4f}"))
    rows = [(title, error) for _, title, error in sorted(errors, reverse=True)]
    return markdown_table(rows, header=["", "test MSE, mean ± sd"])


def bench_section(bench: Mapping[str, Any]) -> str:
    """Return the text on one device: every number from the bench's values."""
    machine, plan = bench["machine"], bench["plan"]
    measured = f"{plan['steps']} steps, scaled up" if plan["steps"] else "whole epochs"
    races = bench["races"].values()
    faster = [race["times_faster"] for race in races]
    verdict = "not comparable: one missed the error"
    if all(faster):
        verdict = " and ".join(f"{ratio:.0f}" for ratio in faster) + " times sooner"
    errors = " and ".join(f"{race['mse']:.4f}" for race in races)
    return "\n\n".join(
        [
            f"On {machine['device']} ({machine['cpu']}, torch {machine['torch']}),"
            f" {bench['origin']['created'][:10]}, batch size {plan['batch_size']}, median (range)"
            f" of {plan['rounds']} epochs in turns, validation included ({measured}):",
            markdown_table(bench["tables"]["speed"]),
            "From the first step to the validation errors of the seed's report and of its text's"
            f" recipe after 20 epochs, {errors}; the speedruns beside the seed's recipes in the"
            f" plain loop: {verdict}.",
            markdown_table(bench["tables"]["races"]),
        ]
    )


def finding() -> str:
    """Return what was found in one sentence; RunError if a part of it is not published."""
    study, beyond, groups = *map(of_study, ("study", "beyond")), published("ensembles")["groups"]
    networks = study["default"], beyond["unet-wide"], beyond["unet-distilled"]
    seed, unet, taught = (f"{each.mean('test_mse'):.4f}" for each in networks)
    several = groups[best_group(groups)]["test"]
    mean = f"the mean of {several['count']} such networks by {several['all']['mean']:.4f}"
    what = "**From the left half of a Fashion-MNIST image, guess the right half**"
    seeds = f"the network that the seed's report describes errs by {seed} (mean squared error)"
    return f"{what}: {seeds}, a U-Net by {unet}, {mean}, and one that these taught by {taught}."


def sections() -> dict[str, dict[str, str]]:
    """Return, by file, the name of each pair of marks and the text that belongs between them."""
    benches = "\n\n".join(map(bench_section, published_benches().values()))
    return {
        "README.md": {"finding": finding(), "results": results_section()},
        "docs/bench.md": {"bench": benches or "Not measured yet."},
    }


def with_sections(readme: str, texts: dict[str, str]) -> str:
    """Return a file's text with these texts between their marks.

    Raises ValueError if a pair of marks is not there, once each and in order.
    """
    for name, text in texts.items():
        first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
        if not (readme.count(first) == readme.count(last) == 1 and first in readme.split(last)[0]):
            raise ValueError(f"the file has not one {first} before one {last}")
        before, after = readme.split(first)[0], readme.split(last)[1]
        readme = f"{before}{first}\n\n{text}\n\n{last}{after}"
    return readme


def main() -> None:
    """Replace the sections by what the files in report/results say."""
    for name, texts in sections().items():
        path = project_root() / name
        write_atomic(path, with_sections(path.read_text(encoding="utf-8"), texts).encode())
        print(path)
    for run in published_runs().values():
        write_card(run)


if __name__ == "__main__":
    main()
