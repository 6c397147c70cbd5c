"""Reports: what is refused before anything is touched, folders' names, a report of one's own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from halfgen_lib import cli, report
from halfgen_lib.files import project_root

ROOT = project_root()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """The notebooks and the report, and what an earlier call has made of them."""
    for name in ("notebooks", "report/report.ipynb", "report/references.bib"):
        target = tmp_path / name
        (shutil.copytree if (ROOT / name).is_dir() else copy)(ROOT / name, target)
    build = tmp_path / "report" / "build"
    (build / "notebooks").mkdir(parents=True)
    for name in report.NOTEBOOKS:
        (build / "notebooks" / f"{name}.ipynb").write_text(name)
    for name in ("report.ipynb", "halfgen-report.html", "halfgen-report.pdf"):
        (build / name).write_text(name)
    monkeypatch.setattr(report, "project_root", lambda: tmp_path)
    return tmp_path


def copy(source, target):
    target.parent.mkdir(exist_ok=True)
    return shutil.copyfile(source, target)


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-p epoch 3", "unknown parameter 'epoch' = 3; did you mean 'epochs'?"),
        ("-p epochs five", "epochs = 'five': Input should be a valid integer"),
        ("-p epochs", "Option '-p' requires 2 arguments"),
        ("-y epochs:0", "papermill cannot take -y epochs:0: "),
        ("-y {epochs:[", "papermill cannot take -y {epochs:[: "),
        ("-f no.yaml", "no.yaml"),
        ("-p variant unett", "variant 'unett' is not known; did you mean 'unet' or 'unet-tiny'?"),
        ("-p device tpu", "device = 'tpu': Input should be 'auto', 'cpu', 'cuda' or 'mps'"),
        ("-p data sample -p train_size 9000", "train_size = 9000: there are at most 1670"),
        ("-p loss bce -p precision bfloat16", "loss 'bce' needs precision 'float32'"),
        ("--nosuch", "No such option '--nosuch'"),
        ("epochs=3", "unexpected extra argument (epochs=3)"),
    ],
)
def test_a_typo_costs_nothing(arguments, message, checkout, capsys, runs_dir):
    before = contents(checkout)
    assert cli.main(["report", *arguments.split()]) == 1
    err = capsys.readouterr().err
    assert err.startswith("halfgen report: ") and message in err and "Traceback" not in err
    assert err.count("\n") == 1 and contents(checkout) == before and not runs_dir.exists()


def test_good_arguments_are_those_that_papermill_would_take(checkout):
    source = checkout / "notebooks" / "02_train.ipynb"
    config = report.checked(source, ["-p", "variant", "flip", "-y", "{epochs: 3, given: top}"])
    assert (config.flip, config.epochs, config.given) == (True, 3, "top")
    assert report.checked(source, []) == type(config)()


def test_a_notebook_sees_the_folders_that_its_caller_has_named(tmp_path, monkeypatch):
    """It runs in a folder of its own, where a relative path would be another one."""
    source = tmp_path / "notebooks" / "show.ipynb"
    source.parent.mkdir()
    code = "import os\n[os.environ[f'HALFGEN_{name}'] for name in ('RUNS', 'DATA')]"
    nbformat.write(new_notebook(cells=[new_code_cell(code)]), source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HALFGEN_RUNS", "my runs")
    monkeypatch.setenv("HALFGEN_DATA", "~/data")
    report.run_notebook(source, tmp_path / "out.ipynb", ["-k", "python3"])
    shown = nbformat.read(tmp_path / "out.ipynb", 4).cells[0].outputs[0].data["text/plain"]
    assert eval(shown) == [str(tmp_path / "my runs"), str(Path.home() / "data")]


def test_a_new_report_replaces_nothing(tmp_path, capsys):
    (tmp_path / "references.bib").write_text("mine")
    assert cli.main(["new-report", str(tmp_path)]) == 1
    assert "references.bib is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["references.bib"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The commands of a plain install from a wheel, its dependencies those of this Python."""
    folder = tmp_path_factory.mktemp("install")
    source, place = folder / "source", folder / "venv"
    for name in ("halfgen_lib", "report/networks"):
        shutil.copytree(ROOT / name, source / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*pip, "wheel", *offline, "-w", folder, source], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (wheel,) = folder.glob("*.whl")
    python = place / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", *offline[:2], wheel], check=True)
    (packages,) = (place / "lib").glob("python*/site-packages")
    (packages / "others.pth").write_text(str(Path(pytest.__file__).parents[1]))
    return place / "bin"


def halfgen(installed, folder, *command):
    """Run a command in a folder, with no variable of ours."""
    known = {k: v for k, v in os.environ.items() if not k.startswith(("HALFGEN_", "PYTHONPATH"))}
    own = known | {"PATH": f"{installed}{os.pathsep}{known['PATH']}"}
    options = {"cwd": folder, "env": own, "capture_output": True, "text": True}
    ended = subprocess.run([installed / "halfgen", *command], **options)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_plain_install_completes_a_photograph(installed, tmp_path):
    pixels = np.full((60, 90), 250, dtype=np.uint8)
    pixels[10:50, 30:60] = 90
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    assert "cae" in halfgen(installed, tmp_path, "list", "networks")
    for name in ("photo-completed.png", "photo-completed-2.png"):  # never one over the other
        out = halfgen(installed, tmp_path, "complete", "photo.jpg").splitlines()
        assert out[-2:] == [
            "left: the picture, as the network sees it; then: completed by cae",
            name,
        ]
        assert Image.open(tmp_path / name).size == (2 * (28 + 2) * 8, (28 + 2 + 4) * 8)


def test_a_plain_install_makes_a_report_of_ones_own(installed, tmp_path):
    """In an empty folder: as README and the report's own README tell it."""
    halfgen(installed, tmp_path, "new-report", "my report")
    made = halfgen(installed, tmp_path, "paper", "my report/report.ipynb").splitlines()
    folder = tmp_path / "my report"
    assert made[-2:] == [str(folder / "report.html"), str(folder / "report.pdf")]
    assert made[2] == "3/3 done, 0 left | report.pdf" and made[0].startswith("1/3 done, 2 left")
    page = (folder / "report.html").read_text(encoding="utf-8")
    for part in ("How good is a mirror?", "Figure", "Table", "<math", "Xiao", "errs by 0."):
        assert part in page, part
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    cells = nbformat.read(folder / "report.executed.ipynb", 4).cells
    assert 8 <= len(cells) <= 12 and len((folder / "README.md").read_text().splitlines()) <= 10
