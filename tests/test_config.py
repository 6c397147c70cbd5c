import pytest

from halfgen_lib import cli
from halfgen_lib.config import RunConfig
from halfgen_lib.variants import VARIANTS


def test_defaults_are_the_seeds():
    config = RunConfig()
    assert (config.epochs, config.batch_size, config.learning_rate) == (20, 512, 1e-3)
    assert (config.plateau_epochs, config.plateau_factor, config.loss) == (2, 0.5, "mse")
    settings = config.identity()["model_settings"]
    assert settings["features"] == [32, 64, 128] and settings["kernel_size"] == [4, 2]
    assert (settings["hidden_dim"], settings["latent_dim"]) == (256, 64)
    assert settings["negative_slope"] == 0.01


def test_hash_names_what_is_computed_and_nothing_else():
    base = RunConfig().hash()
    assert RunConfig(device="cpu").hash() == base
    assert RunConfig(model_settings={"latent_dim": 64}).hash() == base  # the default, said aloud
    for change in ({"seed": 1}, {"epochs": 21}, {"model_settings": {"latent_dim": 32}}):
        assert RunConfig(**change).hash() != base


def test_a_younger_setting_at_its_default_leaves_the_name_as_it_was():
    base = RunConfig(model="unet")
    assert "ema" not in base.identity()
    assert not {"norm", "skips"} & set(base.identity()["model_settings"])
    assert RunConfig(model="unet", model_settings={"norm": "group"}).hash() == base.hash()
    batch = RunConfig(model="unet", model_settings={"norm": "batch"})
    assert batch.identity()["model_settings"]["norm"] == "batch" and batch.hash() != base.hash()


def test_variants_are_starting_points():
    published = RunConfig.of_variant("as_published", epochs=3)
    assert published.epochs == 3 and published.weight_decay == 1e-5
    assert published.split == "as_published" and published.model_settings["negative_slope"] == 1
    assert published.with_variant() == published
    wider = RunConfig.of_variant("as_published", model_settings={"latent_dim": 16})
    assert wider.model_settings["latent_dim"] == 16 and wider.model_settings["padding"] == (1, 0, 1)


def test_what_is_given_changes_a_variant_even_if_it_is_the_default_of_others():
    flipped = RunConfig.of_variant("unet-medium-flip")
    changed = RunConfig.of_variant("unet-medium-flip", flip=False, epochs=20)
    assert (flipped.flip, flipped.epochs) == (True, 7)
    assert (changed.flip, changed.epochs) == (False, 20)
    # a notebook has all settings, and cannot tell which of them were given
    parameters = RunConfig(variant="unet-medium-flip", flip=False, epochs=20)
    assert parameters.with_variant() == flipped


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_valid(variant):
    assert variant in RunConfig.of_variant(variant).run_id


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"epochs": "20"},
        {"epochs": True},
        {"epochs": 2.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"learning_rate": -1e-3},
        {"split": "random"},
        {"given": "middle"},
        {"data": "mnist"},
        {"train_size": -1},
        {"seed": -1},
        {"batch_size": 1},
        {"device": "tpu"},
        {"epoch": 3},
        {"model": "vae2"},
        {"variant": "as-published"},
        {"flip": "false"},
        {"plateau_factor": 1.0},
    ],
)
def test_a_bad_setting_is_refused_by_name(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        RunConfig(**bad)


def test_settings_cannot_change():
    with pytest.raises(ValueError, match="frozen"):
        RunConfig().epochs = 3


def test_a_variants_network_can_be_given_other_settings():
    config = RunConfig.of_variant("flow", model_settings={"steps": 5}, epochs=1)
    assert (config.model, config.model_settings, config.epochs) == ("flow", {"steps": 5}, 1)
    with pytest.raises(ValueError, match=r"model_settings: latent_dim.*flow takes: widths"):
        RunConfig.of_variant("flow", model_settings={"latent_dim": 5})


def test_the_command_line_changes_a_variant_as_it_is_told(monkeypatch, capsys):
    asked = []

    def fit(config):
        asked.append(config)
        raise ValueError("seen")

    monkeypatch.setattr("halfgen_lib.training.fit", fit)
    words = ["train", "--variant", "unet-medium-flip", "--no-flip", "--epochs", "20"]
    settings = ["--model-settings", '{"dropout": 0.1}']
    assert cli.main([*words, *settings]) == 1 and "seen" in capsys.readouterr().err
    assert cli.main(["train"]) == 1
    changes = {"flip": False, "epochs": 20, "model_settings": {"dropout": 0.1}}
    assert asked == [RunConfig.of_variant("unet-medium-flip", **changes), RunConfig()]
    assert not asked[0].flip and asked[0].learning_rate == 2e-3
