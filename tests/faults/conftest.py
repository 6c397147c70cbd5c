"""Count the faults that the tests of this folder inject, and what was lost by them.

`pytest tests/faults` ends with the table; `--faults-json FILE` writes it, too.
"""

import time
from contextlib import contextmanager
from pathlib import Path

import pytest

TABLE = pytest.StashKey[dict]()
NOT_RUN = pytest.StashKey[list]()


def pytest_addoption(parser):
    parser.addoption("--faults-json", metavar="FILE", help="write the table of faults as JSON")


def pytest_configure(config):
    config.stash[TABLE], config.stash[NOT_RUN] = {}, []


@pytest.fixture
def fault(request):
    """Return a context manager around one injected fault, counted under a subject when it ends.

    The block holds the fault and all that must be true after it: a block that raises is a loss.
    """
    counts = {}

    @contextmanager
    def inject(subject):
        start, lost = time.perf_counter(), 1
        try:
            yield
            lost = 0
        finally:
            row = counts.setdefault(subject, [0, 0, 0.0])
            for i, amount in enumerate((1, lost, time.perf_counter() - start)):
                row[i] += amount

    yield inject
    request.node.user_properties.append(("faults", counts))


class Collector:
    """Adds up, in the process that reports, what the tests' own processes have counted."""

    def __init__(self, config):
        self.config = config

    def pytest_runtest_logreport(self, report):
        if report.skipped:
            reason = report.longrepr[2].removeprefix("Skipped: ")
            self.config.stash[NOT_RUN].append({"test": report.nodeid, "reason": reason})
        if report.when == "teardown":
            for subject, row in dict(report.user_properties).get("faults", {}).items():
                total = self.config.stash[TABLE].setdefault(subject, [0, 0, 0.0])
                for i, amount in enumerate(row):
                    total[i] += amount


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session):
    if not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(Collector(session.config))


def pytest_terminal_summary(terminalreporter, config):
    table = config.stash[TABLE]
    if not table:
        return
    terminalreporter.section("faults")
    terminalreporter.line(f"{'subject':<44}{'injected':>9}{'lost':>6}{'seconds':>9}")
    for subject, (injected, lost, seconds) in sorted(table.items()):
        terminalreporter.line(f"{subject:<44}{injected:>9}{lost:>6}{seconds:>9.1f}")
    injected, lost = (sum(row[i] for row in table.values()) for i in (0, 1))
    terminalreporter.line(f"{injected} faults, {lost} lost")
    if path := config.getoption("--faults-json"):
        publish(Path(path), table, config.stash[NOT_RUN])
        terminalreporter.line(f"written to {path}")


def publish(path, table, not_run):
    """Write the table as the other published results are: with its origin."""
    from halfgen_lib.data import load
    from halfgen_lib.provenance import provenance
    from halfgen_lib.runs import write_json
    from halfgen_lib.training import choose_device

    names = ("injected", "lost", "seconds")
    rows = [
        {"subject": subject, **dict(zip(names, [*row[:2], round(row[2], 1)], strict=True))}
        for subject, row in sorted(table.items())
    ]
    sample = load("sample")
    values = {
        "data": sample.name,
        "origin": provenance(choose_device("cpu"), sample.sha256),
        "injected": sum(row["injected"] for row in rows),
        "lost": sum(row["lost"] for row in rows),
        "subjects": rows,
        "not_run": not_run,
    }
    write_json(path, values)
