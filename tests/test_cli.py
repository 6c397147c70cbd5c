"""The commands as a user types them."""

import argparse
import subprocess
import sys

import pytest

from halfgen_lib import cli
from halfgen_lib.models import MODELS
from halfgen_lib.runs import choose_run
from halfgen_lib.training import fit
from halfgen_lib.variants import VARIANTS


def said(capsys, *command):
    """Return the exit code of a command, and what it prints and complains."""
    try:
        code = cli.main([*command])
    except SystemExit as ended:
        code = ended.code
    return code, *capsys.readouterr()


def subparsers():
    actions = cli.PARSER._actions
    return next(a for a in actions if isinstance(a, argparse._SubParsersAction)).choices


def test_the_version_is_the_projects(capsys):
    code, out, _ = said(capsys, "--version")
    assert code == 0 and out.startswith("halfgen ") and out.split()[1][0].isdigit()


def test_every_option_tells_its_default_and_its_choices():
    for name, parser in subparsers().items():
        options = [a for a in parser._actions if a.option_strings and a.dest != "help"]
        told = " ".join(parser.format_help().split())
        assert told.count("(default: ") == len(options), name
    train = {action.dest: action for action in subparsers()["train"]._actions}
    assert train["loss"].choices == ("mse", "l1", "huber", "bce", "mse_ssim")
    told = " ".join(subparsers()["train"].format_help().split())
    assert "passes over the training set (default: 20)" in told and "{mse,l1,huber,bce" in told


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shells_can_complete_the_commands(shell, capsys):
    code, out, _ = said(capsys, "--print-completion", shell)
    assert code == 0 and "new-report" in out and "--learning-rate" in out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["train", "--variant", "unett"], "variant 'unett' is not known; did you mean 'unet' or "),
        (["study", "--variants", "unet-medum"], "variant 'unet-medum' is not known; did you mean "),
        (["study", "--variants", "???"], "variant '???' is not known: default, as_published, "),
        (["analyse", "--ensemble", "unet,vae"], "variant 'vae' is not known; did you mean 'cvae'?"),
        (["train", "--epochs", "0"], "epochs = 0: "),
        (["train", "--model-settings", '{"latent": 3}'], "model_settings: latent = 3: "),
        (["train", "--loss", "bce", "--precision", "bfloat16"], "loss 'bce' needs precision"),
        (["paper", "no.ipynb"], "no.ipynb is no notebook"),
        (["complete", "no.jpg"], "halfgen complete: no.jpg: no such file"),
    ],
)
def test_a_typo_is_one_short_line(command, message, capsys, runs_dir):
    code, out, err = said(capsys, *command)
    assert code == 1 and message in err and err.count("\n") == 1 and not out
    assert "Value error" not in err and "Traceback" not in err and not runs_dir.exists()
    assert sum(f"'{name}'" in err for name in VARIANTS) <= 3 or "needs precision" in err


def test_a_picture_that_is_not_there_is_said_before_anything_heavy_is_imported():
    code = (
        "import sys; from halfgen_lib import cli; code = cli.main(['complete', 'no.jpg']);"
        "sys.exit(10 * code + len({'torch', 'numpy', 'PIL', 'IPython'} & sys.modules.keys()))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 10 and ended.stderr == "halfgen complete: no.jpg: no such file\n"


def test_lists_are_tables(tiny_config, sample, capsys, runs_dir):
    assert said(capsys, "list", "runs")[:2] == (0, "name  state  model  epochs  known  test MSE\n")
    run = fit(tiny_config(epochs=1), sample, quiet=True)
    choose_run(run)
    (runs_dir / "broken").mkdir()
    (runs_dir / "broken" / "status.json").write_text("{")
    _, out, _ = said(capsys, "list", "runs")
    header, broken, row = out.splitlines()
    assert broken.split() == ["broken", "damaged", *"----"]
    assert row.split()[:5] == [run.run_id, "finished", "cae", "1", "left"]
    assert row[header.index("test MSE") :] == f"{run.metrics['overall']['mse']['mean']:.5f}"
    for what, names in (("models", MODELS), ("variants", VARIANTS), ("networks", ["cae", "unet"])):
        lines = said(capsys, "list", what)[1].splitlines()[1:]
        assert {*names} <= {line.split()[0] for line in lines}, what
