"""The README's numbers: the text between its marks, made of the published results.

<!-- results -->    what `results_section` returns    <!-- /results -->
<!-- bench -->      what `bench.tables.readme_section` returns, of each bench    <!-- /bench -->
"""

from __future__ import annotations

from .analysis.published import published, published_benches
from .analysis.summaries import Summary, summarise_variants
from .evaluation import SEED_REPORT_MSE
from .figures.bench_tables import markdown, readme_section
from .runs.record import read_results, results_path


def results_section() -> str:
    """Return the errors that the study is about as a table; what is not published is left out."""
    baselines = published("baselines")
    study, beyond = (_summaries(name) for name in ("study", "beyond"))
    errors = [(SEED_REPORT_MSE, "the seed, as its report says", str(SEED_REPORT_MSE))]
    networks = {
        "its public code, trained here: an affine map under a sigmoid": study.get("as_published"),
        "the network that its text describes": study.get("default"),
        "a U-Net without the bottleneck": beyond.get("unet"),
        "a wider U-Net": beyond.get("unet-wide"),
    }
    for title, found in networks.items():
        if found and found.count:
            several = f" (mean ± sd, {found.count} seeds)" if found.count > 1 else ""
            error = found.text("test_mse", 5) + several
            errors.append((found.mean("test_mse"), title, error))
    ensembles = (published("generative") or {}).get("ensembles")
    if ensembles:
        error, count = (ensembles[-1]["test"][key] for key in ("all", "count"))
        errors.append((error["mean"], f"the mean of {count} wide U-Nets", f"{error['mean']:.5f}"))
    for name in ("low_rank", "nearest") if baselines else ():
        method = baselines["methods"][name]
        error = method["overall"]["mse"]["mean"]
        errors.append((error, f"{method['title']}, a baseline", f"{error:.4f}"))
    ordered = sorted(errors, reverse=True)
    return markdown({"": title, "test MSE": error} for _, title, error in ordered)


def _summaries(study: str) -> dict[str, Summary]:
    return summarise_variants(read_results(results_path(study)).records.values(), study)


def sections() -> dict[str, str]:
    """Return the name of each pair of marks and the text that belongs between them."""
    benches = "\n\n".join(map(readme_section, published_benches().values()))
    return {"results": results_section(), "bench": benches or "Not measured yet."}


def with_sections(readme: str, texts: dict[str, str]) -> str:
    """Return the README's text with these texts between their marks.

    Raises:
        ValueError: if a pair of marks is not there, once each and in order.
    """
    for name, text in texts.items():
        first, last = f"<!-- {name} -->", f"<!-- /{name} -->"
        if not (readme.count(first) == readme.count(last) == 1 and first in readme.split(last)[0]):
            raise ValueError(f"the README has not one {first} before one {last}")
        before, after = readme.split(first)[0], readme.split(last)[1]
        readme = f"{before}{first}\n\n{text}\n\n{last}{after}"
    return readme
