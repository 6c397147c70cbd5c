"""Settings and notebook parameters that make no sense: refused before any work, the field named."""

import math
import re
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halfgen_lib import cli
from halfgen_lib.config import VARIANTS, RunConfig
from halfgen_lib.models import MODELS, model_settings
from halfgen_lib.paper.parameters import ParameterError, read_parameters

EACH = 300
FIELDS = RunConfig.model_json_schema()["properties"]
NETWORK = list(type(model_settings("cae", {})).model_fields)
MANY = settings(
    max_examples=EACH,
    derandomize=True,
    database=None,
    deadline=timedelta(seconds=20),
    suppress_health_check=list(HealthCheck),
)

words = st.text(max_size=30)
not_finite = st.sampled_from([math.nan, math.inf, -math.inf])
foreign = st.none() | st.lists(st.integers(), max_size=3) | st.tuples(st.integers())


def outside(spec):
    """Numbers beyond the limits of a field's JSON schema."""
    low, high = spec.get("minimum"), spec.get("maximum")
    lowest, highest = spec.get("exclusiveMinimum"), spec.get("exclusiveMaximum")
    kind = st.integers if spec["type"] == "integer" else st.floats
    below = {"exclude_max": True} if kind is st.floats and low is not None else {}
    above = {"exclude_min": True} if kind is st.floats and high is not None else {}
    step = 1 if kind is st.integers else 0
    smaller = kind(max_value=(low - step) if low is not None else lowest, **below)
    return smaller | kind(min_value=(high + step) if high is not None else highest, **above)


def wrong_for(spec):
    """Values that a field of this JSON schema does not take."""
    if "enum" in spec:
        return words.filter(lambda word: word not in spec["enum"]) | st.integers() | foreign
    if spec["type"] == "integer":
        return outside(spec) | st.floats() | words | st.booleans() | foreign | st.just({})
    if spec["type"] == "number":
        return outside(spec) | not_finite | words | st.booleans() | foreign | st.just({})
    if spec["type"] == "boolean":
        return st.integers() | st.floats() | words | foreign
    if "pattern" in spec:
        return words.filter(lambda word: not re.search(spec["pattern"], word)) | st.integers()
    known = {*MODELS, *VARIANTS}
    return words.filter(lambda word: word not in known) | st.integers() | st.booleans() | foreign


unknown_names = st.from_regex(r"[a-z_]{1,12}", fullmatch=True).filter(
    lambda name: name not in FIELDS and not name.startswith("_")
)
wrong_network = st.one_of(
    st.dictionaries(unknown_names.filter(lambda n: n not in NETWORK), st.integers(), min_size=1),
    st.dictionaries(st.sampled_from(NETWORK), st.none() | words.filter(lambda w: w != "same"),
                    min_size=1, max_size=2),
    st.dictionaries(st.sampled_from(["hidden_dim", "latent_dim", "stride"]), st.integers(-9, 0),
                    min_size=1),
    words | st.integers() | st.booleans() | foreign,
)  # fmt: skip


@st.composite
def wrong_settings(draw):
    """Return a setting's name and a value that cannot be, or a name that is not known."""
    name = draw(st.sampled_from([*FIELDS, "?"]))
    if name == "?":
        return draw(unknown_names), draw(st.integers() | words)
    if name == "model_settings":
        return name, draw(wrong_network)
    return name, draw(wrong_for(FIELDS[name]))


@MANY
@given(wrong_settings())
def test_a_config_is_refused(fault, runs_dir, setting):
    name, value = setting
    with fault("settings: bad configs"):
        with pytest.raises(ValueError, match=name):
            RunConfig(**{name: value})
        assert not runs_dir.exists()


def source(value):
    """Return a value as papermill writes it."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    return repr(value)


@MANY
@given(wrong_settings())
def test_a_notebook_parameter_is_refused(fault, runs_dir, setting):
    name, value = setting
    cells = [
        "\n".join(f"{n} = {field.default!r}" for n, field in RunConfig.model_fields.items()),
        f"# Parameters\n{name} = {source(value)}\n",
        "config = read_parameters(RunConfig, globals())",
    ]
    with fault("settings: bad notebook parameters"):
        with pytest.raises(ParameterError, match=name):
            read_parameters(RunConfig, {"In": ["", *cells]})
        assert not runs_dir.exists()


WORDS = {
    "--epochs": ["-1", "0", "two", "2.5", "", "1e3", "10001"],
    "--learning-rate": ["nan", "inf", "0", "-1", "1,5", "11"],
    "--given": ["middle", ""],
    "--model": ["vae2", "../cae"],
    "--variant": ["as-published"],
    "--model-settings": ["{", "[]", '{"latent_dim": 0}', '{"latent": 3}', "[" * 10_000],
    "--device": ["tpu"],
}


@pytest.mark.parametrize("flag", WORDS)
def test_a_word_on_the_command_line_is_refused(flag, fault, runs_dir, capsys):
    for word in WORDS[flag]:
        with fault("settings: bad command lines"):
            try:
                code = cli.main(["train", flag, word])
            except SystemExit as ended:
                code = ended.code
            said = capsys.readouterr().err
            assert code in (1, 2) and flag.removeprefix("--").replace("-", "_") in said.replace(
                "-", "_"
            )
            assert "Traceback" not in said and not runs_dir.exists()
