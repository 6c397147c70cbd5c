"""Variants x seeds: what is planned, run, published, and read again."""

import json
import subprocess
import sys
from math import log2

import pytest
from conftest import SMALL

from halfgen_lib import cli, config, models, variants
from halfgen_lib.analysis import summaries
from halfgen_lib.analysis.summaries import Summary, staleness, summarise_variants
from halfgen_lib.config import RunConfig, identity_hash
from halfgen_lib.data import load, split
from halfgen_lib.figures.studies import last_doubling
from halfgen_lib.models import MODELS
from halfgen_lib.runs import Run, RunError
from halfgen_lib.runs import record as results
from halfgen_lib.runs.record import Record, add_record, parse_record, read_results
from halfgen_lib.studies import study, workers
from halfgen_lib.studies.study import StudyError, plan, run_study, study_path, study_runs_dir
from halfgen_lib.training import TrainingError, fit
from halfgen_lib.variants import BEYOND, FACTORS, STUDIES, VARIANTS, members

TINY = SMALL["cae"]

pytestmark = pytest.mark.usefixtures("results_dir")

ENDS = {"low": 0.0, "high": 1.0, "count": 10_000}


@pytest.fixture
def few(monkeypatch, sample):
    """Two variants of a tiny network, and only a tenth of the sample."""
    tiny = {"epochs": 1, "model_settings": TINY, "device": "cpu"}
    table = {"default": tiny, "wide": tiny | {"model_settings": TINY | {"latent_dim": 8}}}
    for module in (config, study, summaries, variants):
        monkeypatch.setattr(module, "VARIANTS", table)
    monkeypatch.setitem(STUDIES, "study", {"width": ("default", "wide")})
    monkeypatch.setattr(workers, "_dataset", lambda _: sample)
    return table


@pytest.fixture(scope="module")
def made(sample, tmp_path_factory):
    """A record of a real run; tests change copies of it."""
    settings = RunConfig(data="sample", epochs=2, model_settings=TINY)
    return results.record_of(fit(settings, sample, runs_dir=tmp_path_factory.mktemp("runs")))


def changed(record, **identity):
    """A record of other settings that is as consistent as a real one."""
    variant = identity.pop("variant", record.variant)
    values = json.loads(record.model_dump_json())
    values["identity"] |= identity
    values |= {"seed": values["identity"]["seed"], "variant": variant}
    return parse_record(values | {"config_hash": identity_hash(values["identity"])})


def record_for(record, variant, seed=0, **values):
    """A record that passes for one of a declared variant on the full data."""
    identity = RunConfig.of_variant(variant, seed=seed).identity()
    settings = {"variant": variant, "seed": seed, "identity": identity, **values}
    return parse_record(
        json.loads(record.model_dump_json()) | settings | {"config_hash": identity_hash(identity)}
    )


def counted(monkeypatch):
    """The configurations that are really trained, as they are."""
    trained = []

    def train(settings, *arguments, **options):
        trained.append((settings.variant, settings.seed))
        return fit(settings, *arguments, **options)

    monkeypatch.setattr(workers, "fit", train)
    return trained


# ---- what is declared and planned


def test_every_variant_is_another_experiment_and_every_factor_is_made_of_variants():
    hashes = {RunConfig.of_variant(name).hash() for name in VARIANTS}
    assert len(hashes) == len(VARIANTS) and next(iter(VARIANTS)) == "default"
    for names in FACTORS.values():
        assert "default" in names
    assert list(VARIANTS) == [*members(FACTORS), *members(BEYOND)]
    models = {
        study: {RunConfig.of_variant(name).model for name in members(STUDIES[study])}
        for study in STUDIES
    }
    own = {"cae", "mlp"}
    assert models == {"study": own, "beyond": set(MODELS) - own}


def test_a_plan_takes_every_variant_with_one_seed_before_the_next_seed():
    configs = plan(seeds=2)
    names = members(FACTORS)
    assert [c.variant for c in configs] == [*names, *names]
    assert [c.seed for c in configs] == [0] * len(names) + [1] * len(names)
    assert [c.variant for c in plan(seeds=1, study="beyond")] == members(BEYOND)
    chosen = plan(["flip"], ["depth", "slope"], seeds=1)
    assert [c.variant for c in chosen] == ["default", "slope-1", "depth-2", "depth-4", "flip"]
    assert "train-3k" not in {c.variant for c in plan(data="sample")}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--variants", "depht-2"], "did you mean 'depth-2' or 'depth-4'?"),
        (["--factors", "leraning_rate"], "factor 'leraning_rate' is not known; did you mean"),
        (["--seeds", "0"], "seeds is 0, allowed: 1 or more"),
        (["--data", "sample", "--variants", "train-30k"], "variants is ['train-30k'], allowed"),
    ],
)
def test_what_cannot_be_planned_is_refused_by_name_and_trains_nothing(arguments, message, capsys):
    assert cli.main(["study", *arguments]) == 1
    assert message in capsys.readouterr().err and not study_runs_dir().exists()


def test_the_numbers_of_training_images_are_those_of_the_split():
    for protocol in ("holdout", "as_published"):
        expected = len(split(load("sample"), protocol).train)
        assert RunConfig(data="sample", split=protocol).train_images == expected
    assert RunConfig(train_size=10).train_images == 10
    assert config.TRAIN_IMAGES["full", "holdout"] == 60_000 - 10_000


# ---- running


def test_a_study_publishes_every_run_and_repeats_none(few, monkeypatch, capsys):
    trained = counted(monkeypatch)
    records = run_study(plan(seeds=2, data="sample"))
    assert trained == [("default", 0), ("wide", 0), ("default", 1), ("wide", 1)]
    assert [record.key for record in records] == trained
    out = capsys.readouterr().out
    assert "4 runs: 0 finished, 4 to do" in out
    assert "3/4 done, 1 left, about " in out and "| default seed 1: validation 0." in out
    file = study_path("sample")
    assert file.name == "study-sample.json" and not study_path("full").exists()
    assert file.read_text().count("\n") == 6  # a line a record
    run = Run(study_runs_dir() / plan(data="sample")[0].run_id)
    assert run.is_finished and not list(run.directory.glob("*.safetensors"))
    assert records[0].val_mse == pytest.approx(run.history["val_loss"].min(), abs=1e-7)
    assert records[0].test.mse.mean == pytest.approx(run.scores["mse"].mean(), abs=1e-6)
    run_study(plan(seeds=2, data="sample"))
    file.unlink()  # the runs alone bring it back
    assert run_study(plan(seeds=2, data="sample")) == records and len(trained) == 4


def test_results_alone_are_enough_to_repeat_nothing(few, monkeypatch):
    import shutil

    trained = counted(monkeypatch)
    run_study(plan(seeds=1, data="sample"))
    shutil.rmtree(study_runs_dir())
    run_study(plan(seeds=1, data="sample"))
    assert len(trained) == 2


def test_a_variant_is_one_entry(few, monkeypatch):
    trained = counted(monkeypatch)
    run_study(plan(seeds=1, data="sample"))
    few["small-batch"] = few["default"] | {"batch_size": 64}
    STUDIES["study"]["more"] = ("small-batch", "alias")
    few["alias"] = few["default"]  # the same settings under another name are the same run
    records = run_study(plan(seeds=1, data="sample"))
    assert trained == [("default", 0), ("wide", 0), ("small-batch", 0)]
    assert [r.variant for r in records] == ["default", "wide", "small-batch", "alias"]
    assert records[2].identity["batch_size"] == 64 and records[3].val_mse == records[0].val_mse
    assert not any(map(staleness, records))


def test_an_interrupted_study_goes_on_where_it_stopped(few, monkeypatch, capsys):
    trained = counted(monkeypatch)
    original, calls = workers.fit, []

    def stopped(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(workers, "fit", stopped)
        run_study(plan(seeds=1, data="sample"))
    assert "what was finished is kept" in capsys.readouterr().out
    assert [r.variant for r in read_results(study_path("sample")).values()] == ["default"]
    run_study(plan(seeds=1, data="sample"))
    assert trained == [("default", 0), ("wide", 0)]


def test_a_failed_run_is_named_and_does_not_stop_the_others(few, monkeypatch):
    def train(settings, *arguments, **options):
        if settings.variant == "default":
            raise TrainingError("the loss is not finite in epoch 1")
        return fit(settings, *arguments, **options)

    monkeypatch.setattr(workers, "fit", train)
    with pytest.raises(StudyError, match="1 runs failed:\ndefault seed 0: TrainingError: the loss"):
        run_study(plan(seeds=1, data="sample"))
    assert [r.variant for r in read_results(study_path("sample")).values()] == ["wide"]


def test_stale_runs_are_kept_and_flagged_until_they_are_asked_for(few, monkeypatch, capsys):
    trained = counted(monkeypatch)
    run_study(plan(seeds=1, data="sample"))
    monkeypatch.setitem(models.REVISIONS, "cae", "0123456789")
    records = run_study(plan(seeds=1, data="sample"))
    told = capsys.readouterr().out
    assert "2 finished runs were made by another revision of their model and stay" in told
    assert set(map(staleness, records)) == {"made by another revision"} and len(trained) == 2
    run_study(plan(["wide"], seeds=1, data="sample"), repeat_stale=True)
    assert trained[2:] == [("wide", 0)]
    assert read_results(study_path("sample"))[("default", 0)] == records[0]


def test_another_revision_goes_on_with_no_unfinished_run_and_damaged_runs_are_named(
    few, monkeypatch, capsys
):
    first, second = plan(seeds=1, data="sample")
    for settings in (first, second):
        (study_runs_dir() / settings.run_id).mkdir(parents=True)
    folder = study_runs_dir() / first.run_id
    (folder / "config.json").write_text('{"revision": "0000000000"}')
    (folder / "resume.pt").write_bytes(b"of another revision: it would be refused if it were read")
    (study_runs_dir() / second.run_id / "status.json").write_text("{")
    with pytest.raises(StudyError, match=r"1 runs failed:\nwide seed 0: .*status\.json cannot be"):
        run_study([first, second])
    assert f"{second.run_id} is damaged and is not used" in capsys.readouterr().out
    assert [r.variant for r in read_results(study_path("sample")).values()] == ["default"]


def test_the_command_runs_a_study(few, capsys):
    assert cli.main(["study", "--data", "sample", "--variants", "wide", "--seeds", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(study_path("sample"))


# ---- results files


def test_a_record_is_small_and_comes_back_as_it_was(made, results_dir):
    path = results_dir / "study.json"
    add_record(path, made)
    assert read_results(path, "sample") == {made.key: made}
    assert len(made.model_dump_json()) < 4500
    long = len(json.dumps(dict.fromkeys(("train_loss", "val_loss", "lr"), [0.123456] * 60)))
    assert len(made.model_dump_json()) + long < 6000
    assert made.origin.git_commit and made.origin.command and made.origin.data_sha256
    assert len(made.test.per_class) == 10 and made.identity["weight_decay"] == 0.0


def nested(depth):
    value = 0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "change",
    [
        {"val_mse": float("nan")},
        {"val_mse": "0.02"},
        {"val_mse": True},
        {"seed": 1.0},
        {"seed": 1},  # the identity has 0
        {"epochs": 3},  # the history has 2
        {"best_epoch": 3},
        {"config_hash": "0000000000"},
        {"revision": "../../etc"},
        {"identity": nested(50)},
        {"identity": {"a": nested(50)}},
        {"identity": {"seed": 0}, "config_hash": identity_hash({"seed": 0})},
        {"history": {"train_loss": [], "val_loss": [], "lr": []}},
        {"history": None},
        {"variant": "x" * 5000},
        {"extra": 1},
        {"origin": {}},
    ],
)
def test_a_bad_record_is_named_and_never_written_over(made, results_dir, change):
    path = results_dir / "study.json"
    other = changed(made, seed=5)
    add_record(path, other)
    content = json.loads(path.read_text())
    content["records"].append(json.loads(made.model_dump_json()) | change)
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"study\.json .*records\.1.*restore it"):
        read_results(path)
    with pytest.raises(RunError, match=r"records\.1"):
        add_record(path, made)
    with pytest.raises(RunError, match="restore it"):
        run_study(plan(["flip"], seeds=1, data="sample"), path)
    assert path.read_text() == json.dumps(content)


def test_records_of_other_data_and_doubles_are_bad(made, results_dir):
    path = results_dir / "study.json"
    results_dir.mkdir()
    expected = {
        r"records\.1 \(default seed 0\): another record has this variant": (made, made),
        r"records\.1 .*is about 'full' data": (made, changed(made, seed=1, data="full")),
    }
    for message, records in expected.items():
        values = [json.loads(r.model_dump_json()) for r in records]
        path.write_text(json.dumps({"format": 1, "data": "sample", "records": values}))
        with pytest.raises(RunError, match=message):
            read_results(path)
    path.unlink()
    add_record(path, made)
    with pytest.raises(RunError, match="is about 'sample' data, not 'full'"):
        read_results(path, "full")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "\xff", '{"format": 1}', '{"format": 2, "data": "full", "records": []}',
     '{"format": 1, "data": "full", "records": {}}', "[" * 100_000, "1" * 5000],
    ids=["empty", "open", "list", "not utf-8", "part", "newer", "records", "deep", "huge"],
)  # fmt: skip
def test_a_broken_file_is_named_and_kept(made, results_dir, content):
    results_dir.mkdir()
    path = results_dir / "study.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(RunError, match=r"study\.json"):
        read_results(path)
    with pytest.raises(RunError, match=r"study\.json"):
        add_record(path, made)
    assert path.read_text(encoding="latin-1") == content


def test_processes_that_publish_at_once_lose_nothing(made, results_dir):
    path = results_dir / "study.json"
    code = (
        "import sys; from pathlib import Path; from halfgen_lib.runs.record import *\n"
        "import json\nfor line in sys.stdin: add_record(Path(sys.argv[1]),"
        " parse_record(json.loads(line)))"
    )
    lines = [changed(made, seed=seed).model_dump_json() for seed in range(20)]
    parts = ["\n".join(lines[i::2]) for i in range(2)]
    command = [sys.executable, "-c", code, str(path)]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True) for _ in parts]
    for process, part in zip(running, parts, strict=True):
        process.stdin.write(part)
        process.stdin.close()
    assert [process.wait() for process in running] == [0, 0]
    assert sorted(seed for _, seed in read_results(path)) == list(range(20))


# ---- summaries


def test_staleness_has_a_reason(made, monkeypatch):
    fresh = record_for(made, "default")
    assert staleness(fresh) == ""
    assert staleness(record_for(made, "flip", revision="0" * 10)) == "made by another revision"
    assert staleness(changed(fresh, epochs=99)) == "made with other settings"
    assert staleness(changed(fresh, schema_version=0)) == "made with another schema"
    assert staleness(changed(fresh, variant="gone")) == "no longer declared"


def test_summaries_tell_means_spreads_and_what_is_missing(made):
    values = {"default": (0.02, 0.021, 0.022), "flip": (0.019, 0.0191), "as_published": (0.01,) * 3}
    records = [
        record_for(made, name, seed, val_mse=value)
        for name, own in values.items()
        for seed, value in enumerate(own)
    ]
    found = summarise_variants(records)
    assert list(found) == members(FACTORS)
    assert found["default"].mean("val_mse") == pytest.approx(0.021)
    assert found["default"].sd("val_mse") == pytest.approx(0.001)
    assert found["default"].text("val_mse", 4) == "0.0210 ± 0.0010"
    assert (found["default"].note(), found["flip"].note()) == ("", "2 of 3 seeds")
    assert found["long"].note() == "missing"
    # as_published validates on the test set; default has a seed that flip has not
    assert summaries.best_on_validation(found) == (found["flip"], [0, 1])
    rows = summaries.table_rows(found)
    assert [row["variant"] for row in rows[:3]] == [
        r"the seed’s public code \*",
        "mirrored at random",
        "autoencoder",
    ]
    assert rows[-1]["validation MSE"] == "–" and len(rows) == len(found)
    assert summaries.best_on_validation(summarise_variants([])) is None
    (origin,) = summaries.origin_rows(records)
    assert origin["runs"] == "8" and "CPU" in origin["device"]


def test_what_chance_may_explain_is_told(made):
    values = {"default": (0.0210, 0.0212), "flip": (0.0212,), "long": (0.0220,), "sgd": (0.0209,)}
    found = summarise_variants(
        record_for(made, name, seed, val_mse=value)
        for name, own in values.items()
        for seed, value in enumerate(own)
    )
    sd, alike = summaries.seed_noise(found)
    assert sd == pytest.approx(0.0001 * 2**0.5)
    assert alike == ["SGD", "mirrored at random"]
    assert summaries.seed_noise({}) is None


def test_changed_settings_replace_old_results_only_when_there_are_new_ones(made):
    old = changed(record_for(made, "flip"), epochs=99)
    found = summarise_variants([old])["flip"]
    assert found.records == (old,) and "stale: made with other settings" in found.note()
    new = record_for(made, "flip", seed=1)
    assert summarise_variants([old, new])["flip"].records == (new,)


def test_a_factor_is_shown_where_two_of_its_variants_have_records(made):
    records = [record_for(made, name, seed) for name in ("default", "flip") for seed in (0, 1)]
    assert list(summaries.factor_summaries(summarise_variants(records))) == ["flip"]


def test_curves_join_the_runs_as_they_are_declared(made):
    def error(mse):
        return {"test": json.loads(made.model_dump_json())["test"] | {"mse": {"mean": mse, **ENDS}}}

    ours = [
        record_for(made, "train-10k", **error(0.04)),
        record_for(made, "default", **error(0.01)),
        changed(record_for(made, "train-1k"), flip=True),
    ]
    theirs = [record_for(made, name) for name in ("unet-medium", "unet-medium-4-epochs")]
    both = {"study": summarise_variants(ours), "beyond": summarise_variants(theirs, "beyond")}
    found = summaries.error_curves(both)
    images = found["training images"]
    assert [point.x for point in images["autoencoder"]] == [10_000, 50_000]
    # a fourth of the error for five times the images
    assert last_doubling(images["autoencoder"]) == pytest.approx(0.25 ** (1 / log2(5)) - 1)
    assert list(found["epochs"]) == ["U-Net"]  # trained longer, the autoencoder is the same
    assert found["epochs"]["U-Net"][0].x == made.epochs


def test_an_empty_summary_is_missing():
    assert Summary("x").note() == "missing" and not Summary("x").can_be_chosen
    assert Record.model_fields.keys() >= {"variant", "seed", "origin"}
