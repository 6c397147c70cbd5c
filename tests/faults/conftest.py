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


def counter(request, kind):
    """Yield a context manager that counts under a subject, and hand the counts to the report."""
    counts = {}

    @contextmanager
    def count(subject):
        start, lost = time.perf_counter(), 1
        try:
            yield
            lost = 0
        finally:
            row = counts.setdefault(subject, [0, 0, 0.0])
            for i, amount in enumerate((1, lost, time.perf_counter() - start)):
                row[i] += amount

    yield count
    request.node.user_properties.append((kind, counts))


@pytest.fixture
def fault(request):
    """Return a context manager around one injected fault, counted under a subject when it ends.

    The block holds the fault and all that must be true after it: a block that raises is a loss.
    """
    yield from counter(request, "fault")


@pytest.fixture
def check(request):
    """Return the same around one check of what has to hold though nothing is broken."""
    yield from counter(request, "check")


class Collector:
    """Adds up, in the process that reports, what the tests' own processes have counted."""

    def __init__(self, config):
        self.config = config

    def pytest_runtest_logreport(self, report):
        if report.skipped:
            reason = report.longrepr[2].removeprefix("Skipped: ")
            self.config.stash[NOT_RUN].append({"test": report.nodeid, "reason": reason})
        if report.when == "teardown":
            for kind, counts in report.user_properties:
                for subject, row in counts.items() if kind in ("fault", "check") else ():
                    total = self.config.stash[TABLE].setdefault((kind, subject), [0, 0, 0.0])
                    total[:] = [a + b for a, b in zip(total, row, strict=True)]


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session):
    if not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(Collector(session.config))


def pytest_terminal_summary(terminalreporter, config):
    table = config.stash[TABLE]
    if not table:
        return
    terminalreporter.section("faults")
    terminalreporter.line(f"{'subject':<51}{'cases':>6}{'lost':>6}{'seconds':>9}")
    for (kind, subject), (cases, lost, seconds) in sorted(table.items()):
        terminalreporter.line(f"{kind}  {subject:<44}{cases:>6}{lost:>6}{seconds:>9.1f}")
    for kind in ("fault", "check"):
        cases, lost = (total(table, kind, column) for column in (0, 1))
        terminalreporter.line(f"{cases} {kind}s, {lost} lost")
    if path := config.getoption("--faults-json"):
        publish(Path(path), table, config.stash[NOT_RUN])
        terminalreporter.line(f"written to {path}")


def total(table, kind, column):
    return sum(row[column] for (own, _), row in table.items() if own == kind)


def publish(path, table, not_run):
    """Write the table as the other published results are: with its origin."""
    from halfgen_lib.data import load
    from halfgen_lib.files import write_json
    from halfgen_lib.runs.provenance import provenance
    from halfgen_lib.training import choose_device

    sample = load("sample")
    rows = [
        {"kind": kind, "subject": subject, "cases": cases, "lost": lost, "seconds": round(time, 1)}
        for (kind, subject), (cases, lost, time) in sorted(table.items())
    ]
    values = {
        "data": sample.name,
        "origin": provenance(choose_device("cpu"), sample.sha256),
        "faults": {"injected": total(table, "fault", 0), "lost": total(table, "fault", 1)},
        "checks": {"made": total(table, "check", 0), "failed": total(table, "check", 1)},
        "subjects": rows,
        "not_run": not_run,
    }
    write_json(path, values)
