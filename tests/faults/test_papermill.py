"""What papermill leaves of one notebook when things go wrong is refused, and the good one kept."""

import resource
import signal

import pytest

from halfgen_lib import report as pipeline
from halfgen_lib.paper.export import PaperHTMLExporter
from halfgen_lib.paper.notebook import PaperError
from halfgen_lib.report import PipelineError
from notebooks import KILLED, SUBJECT, check_folder, check_that_no_paper_is_made_of, write_notebook

SLOW = "import time\ntime.sleep(600)"
ALONE = {
    "a killed kernel": ([KILLED, "b = 2"], [], "exit code 138"),
    "a killed kernel in the last cell": ([KILLED], [], "exit code 138"),
    "a time-out in the last cell": ([SLOW], ["--execution-timeout", "1"], "exit code 1"),
    "an unknown kernel": (["b = 2"], ["-k", "nosuch"], "exit code 1"),
    "an error": (["1 / 0", "b = 2"], [], "exit code 1"),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_notebook_that_fails_leaves_the_good_one(name, tmp_path, capfd, fault):
    cells, arguments, message = ALONE[name]
    source = write_notebook(tmp_path / "in" / "n.ipynb", "a = 1", *cells)
    target = tmp_path / "build" / "n.ipynb"
    target.parent.mkdir()
    target.write_text("the good one")
    with fault(SUBJECT):
        with pytest.raises(PipelineError, match=message) as caught:
            pipeline.run_notebook(source, target, arguments)
        earlier, left = tmp_path / "build/n.earlier.ipynb", tmp_path / "build/.n.unfinished.ipynb"
        assert str(earlier) in str(caught.value) and str(left) in str(caught.value)
        assert capfd.readouterr().err  # papermill's own words
        check_folder(target.parent, {"n.ipynb": b"the good one"})
        if name == "an error":
            with pytest.raises(PaperError, match="ended with ZeroDivisionError"):
                PaperHTMLExporter().from_filename(str(left))
        else:
            check_that_no_paper_is_made_of(left)
        if name == "an error":  # a second failure does not cost what the first one kept
            with pytest.raises(PipelineError, match="kept as"):
                pipeline.run_notebook(source, target, [])
            check_folder(target.parent, {"n.ipynb": b"the good one"})


def test_a_disk_that_takes_no_more_of_a_file(tmp_path, fault):
    """The system itself cuts the write short; this needs no root."""
    source = write_notebook(tmp_path / "in" / "n.ipynb", "'x' * 100_000")
    target = tmp_path / "build" / "n.ipynb"
    target.parent.mkdir()
    target.write_text("the good one")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with fault(SUBJECT):
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        try:
            with pytest.raises(PipelineError, match="exit code 1"):
                pipeline.run_notebook(source, target, [])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, ignored)
        check_folder(target.parent, {"n.ipynb": b"the good one"})
