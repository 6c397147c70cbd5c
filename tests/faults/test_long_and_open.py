"""Many runs in one process leave nothing behind; nothing listens or calls home."""

import importlib.util
import json
import os
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import processes
import psutil
import pytest
from matplotlib import pyplot as plt

from halfgen_lib import figures
from halfgen_lib.files import project_root
from halfgen_lib.paper import display
from halfgen_lib.training import fit

RUNS = 30
WARM_UP = 8
MOST_GROWTH = 40 << 20
ROOT = project_root()


def test_a_soak(tiny_config, monkeypatch, check):
    """Thirty runs, each read and shown: no handle, no figure and no memory is kept."""
    monkeypatch.setattr(display, "display", lambda *_, **__: None)
    process, sizes, handles = psutil.Process(), [], []
    for number in range(RUNS):
        with check("soak: runs in one process"):
            run = fit(tiny_config(seed=number, epochs=1), processes.SMALL, quiet=True)
            completed = run.model().predict(processes.SMALL.test.images[:10, :, :, :14] / 255)
            picture = figures.image_grid(completed[None, :, 0].numpy(), ["completed"])
            display.show_figure(picture, "fig-soak", "A figure.")
            assert run.is_finished and len(run.scores["mse"]) == len(processes.SMALL.test)
            assert plt.get_fignums() == []
            sizes.append(process.memory_info().rss)
            handles.append(process.num_fds())
            assert number < WARM_UP or handles[-1] <= handles[WARM_UP - 1]
            assert number < WARM_UP or sizes[-1] - sizes[WARM_UP - 1] < MOST_GROWTH
    print(f"memory grew by {(sizes[-1] - sizes[WARM_UP - 1]) / 2**20:.1f} MB")


WATCH = """
import sys
seen = []
NETWORK = ("socket.bind", "socket.connect", "socket.listen", "socket.sendto", "socket.getaddrinfo",
           "urllib.Request", "http.client.connect")
sys.addaudithook(lambda event, _: seen.append(event) if event in NETWORK else None)
import importlib, pkgutil, halfgen_lib
for module in pkgutil.walk_packages(halfgen_lib.__path__, "halfgen_lib."):
    if module.name != "halfgen_lib.cli":
        importlib.import_module(module.name)
before = list(seen)
sys.path.insert(0, sys.argv[1])
import processes, tempfile
from pathlib import Path
from halfgen_lib.config import RunConfig
network = {"features": [4], "hidden_dim": 8, "latent_dim": 2}
config = RunConfig(data="sample", epochs=1, model_settings=network)
processes.train(config, Path(tempfile.mkdtemp(dir=sys.argv[2])))
import psutil
listening = [c for c in psutil.Process().net_connections("all") if c.status == "LISTEN"]
print(len(sys.modules) > 500, before, seen, listening)
"""


def test_nothing_listens_or_calls_home(tmp_path, check):
    """Importing every module and training open no connection: no server, no telemetry."""
    folder = str(Path(processes.__file__).parent)
    with check("network: nothing listens or calls"):
        command = [sys.executable, "-c", WATCH, folder, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split("\n")[-2] == "True [] [] []"


def test_lab_is_for_this_machine_and_its_token(tmp_path, check):
    """What `make lab` starts listens on loopback alone and answers nobody without the token."""
    dry = subprocess.run(["make", "-n", "lab"], cwd=ROOT, capture_output=True, text=True)
    (recipe,) = (line for line in dry.stdout.splitlines() if "jupyter lab" in line)
    words = shlex.split(recipe)
    own = {
        "HALFGEN_RUNS": "other-runs",
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "r"),
    }
    extra = ["--no-browser", *(["--allow-root"] if os.geteuid() == 0 else [])]
    with check("network: JupyterLab"), (tmp_path / "log").open("w") as log:
        lab = subprocess.Popen([*words, *extra], cwd=ROOT, env=os.environ | own, stderr=log)
        try:
            info = wait_for_server(tmp_path / "r", lab)
            runs = psutil.Process(lab.pid).environ()["HALFGEN_RUNS"]
            assert runs == str(ROOT / "other-runs")  # for notebooks, which run in their own folder
            listening = [c.laddr.ip for c in psutil.Process(lab.pid).net_connections("tcp")
                         if c.status == "LISTEN"]  # fmt: skip
            assert listening and set(listening) <= {"127.0.0.1", "::1"}
            assert len(info["token"]) >= 32 and not info["password"]
            address = f"http://127.0.0.1:{info['port']}/api/contents"
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(address, timeout=20)
            asked = urllib.request.Request(
                address, headers={"Authorization": f"token {info['token']}"}
            )
            assert urllib.request.urlopen(asked, timeout=20).status == 200
        finally:
            lab.terminate()
            lab.wait(30)


def wait_for_server(folder, process, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        for path in folder.glob("jpserver-*.json"):
            try:
                return json.loads(path.read_text())
            except ValueError:
                pass  # it is being written
        time.sleep(0.2)
    raise AssertionError("JupyterLab does not start")


def test_no_known_hole_in_the_pinned_packages(tmp_path, check):
    """Where pip-audit is installed and reaches its data base; elsewhere the reason is told."""
    if importlib.util.find_spec("pip_audit") is None:
        pytest.skip("pip-audit is not installed here")
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(ROOT / "constraints.txt")]
    command += ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        pytest.skip(f"pip-audit reaches no data base: {done.stderr.strip()[-200:]}")
    passed_over = [package["name"] for package in packages if "skip_reason" in package]
    if len(passed_over) > len(packages) // 2:
        pytest.skip(
            f"pip-audit finds {len(passed_over)} of {len(packages)} packages in no data base"
        )
    for package in packages:
        with check("packages: known holes"):
            assert not package.get("vulns"), package
