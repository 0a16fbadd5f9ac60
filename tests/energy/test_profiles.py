import re
from pathlib import Path

import pytest

from asnn_deploy.energy import NO_PROFILE, load_profile, load_profiles, profile_names
from asnn_deploy.energy.profiles import FOLDER
from asnn_deploy.errors import ConfigError, InputError

HOROWITZ = (FOLDER / "horowitz-45nm.toml").read_text()
LEMAIRE = (FOLDER / "lemaire-2022.toml").read_text()


def changed(tmp_path, old, new, text=HOROWITZ):
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_folder_is_the_registry():
    assert profile_names() == (
        "cpu",
        "gpu",
        "horowitz-45nm",
        "lemaire-2022",
        "loihi1-davies-2018",
        "spinnaker2",
        "truenorth-merolla-2014",
    )
    assert [profile.name for profile in load_profiles()] == list(profile_names())


@pytest.mark.parametrize("profile", load_profiles(), ids=lambda profile: profile.name)
def test_every_constant_names_its_source_and_every_profile_what_it_leaves_out(profile):
    assert profile.source
    assert profile.process
    assert profile.leaves_out
    assert all(constant.source for _, constant in profile.constants if constant is not None)


@pytest.mark.parametrize("profile", load_profiles(), ids=lambda profile: profile.name)
def test_every_profile_says_that_static_power_and_the_host_are_left_out_or_inside(profile):
    said = " ".join(profile.leaves_out).lower()
    assert "host" in said
    assert profile.static is not None or "static" in said or "baseline power" in said or "whole processor" in said


def levels(constant):
    return (constant.low, constant.mid, constant.high)


def test_one_figure_for_everything():
    """TrueNorth's figure is a total, so nothing else is charged; KerasSpiking's table has one value per device."""
    truenorth = load_profile("truenorth-merolla-2014").constants
    assert levels(truenorth.accumulate) == levels(truenorth.multiply_accumulate) == (pytest.approx(1000 / 400), 26, 26)
    assert {key for key, value in truenorth if value is not None} == {"accumulate", "multiply_accumulate"}
    for name, synapse, neuron in (("cpu", 8600, 8600), ("gpu", 300, 300), ("spinnaker2", 450, 2190)):
        profile = load_profile(name)
        assert "KerasSpiking" in profile.title
        assert levels(profile.constants.accumulate) == levels(profile.constants.multiply_accumulate) == (synapse,) * 3
        assert levels(profile.constants.neuron_active) == levels(profile.constants.neuron_inactive) == (neuron,) * 3


def test_a_constant_may_have_a_kind_of_its_own(tmp_path):
    assert load_profile("loihi1-davies-2018").static.power.kind == "estimated"
    path = changed(tmp_path, 'unit = "pJ"', 'kind = "guessed"\nunit = "pJ"')
    with pytest.raises(
        ConfigError, match=r"multiply_accumulate\.kind = .*: input should be 'measured', 'simulated' or"
    ):
        load_profile(path)


def test_published_constants():
    named = ("horowitz-45nm", "lemaire-2022", "loihi1-davies-2018")
    horowitz, lemaire, loihi = (load_profile(name).constants for name in named)

    assert levels(horowitz.multiply_accumulate) == (0.23, 1.5, 4.6)
    assert levels(horowitz.accumulate) == levels(horowitz.add) == (0.03, 0.4, 0.9)
    for mac, multiply, add in zip(*(map(levels, (horowitz.multiply_accumulate, horowitz.multiply, horowitz.add)))):
        assert mac == pytest.approx(multiply + add)
    assert (lemaire.multiply.mid, lemaire.add.mid) == (3.1, 0.1)
    assert lemaire.multiply_accumulate.mid == pytest.approx(3.1 + 0.1)
    assert (loihi.accumulate.mid, loihi.neuron_active.mid, loihi.neuron_inactive.mid) == (23.6, 81.0, 52.0)
    assert loihi.spike.low == 1.7
    assert loihi.spike.high == pytest.approx(1.7 + 7 * 3.0 + 3 * 4.0)
    columns = [abs(a - b) for a in range(8) for b in range(8)]
    rows = [abs(a - b) for a in range(4) for b in range(4)]
    assert loihi.spike.mid == pytest.approx(1.7 + 3.0 * sum(columns) / 64 + 4.0 * sum(rows) / 16)


@pytest.mark.parametrize(
    ("size", "energy"), [(0, 10), (8192, 10), (20480, 15), (32768, 20), (540672, 60), (2**20, 100), (2**24, 100)]
)
def test_memory_is_linear_between_the_published_sizes(size, energy):
    assert load_profile("lemaire-2022").memory.access(size) == pytest.approx(energy)


def test_a_file_of_ones_own_is_named_after_the_file(tmp_path):
    path = changed(tmp_path, "high = 4.6", "high = 5.6")
    assert load_profile(path).name == "mine"
    assert load_profile(str(path)).constants.multiply_accumulate.high == 5.6


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("runs_ann", "run_ann", r"run_ann: unknown key 'run_ann'; did you mean 'runs_ann'\?"),
        ("[constants.add]", "[constants.ad]", r"constants\.ad: unknown key 'ad'; did you mean 'add'\?"),
        ('unit = "pJ"\n', "", r"constants\.multiply_accumulate\.unit: is missing"),
        ('unit = "pJ"', 'unit = "nJ"', r"multiply_accumulate\.unit = 'nJ': input should be 'pJ'"),
        ("low = 0.23", "low = 2.3", r"multiply_accumulate: low <= mid <= high must hold, found 2\.3, 1\.5, 4\.6"),
        ("low = 0.23", "low = -1", r"multiply_accumulate\.low = -1: input should be greater than or equal to 0"),
        (
            "high = 4.6",
            "high = -4.6",
            r"multiply_accumulate\.high = -4\.6: input should be greater than or equal to 0",
        ),
        ("high = 4.6", "high = 0.5", r"multiply_accumulate: low <= mid <= high must hold, found 0\.23, 1\.5, 0\.5"),
        ("mid = 1.5\n", "", r"multiply_accumulate\.mid: is missing"),
        ("mid = 1.5", "mid = inf", r"multiply_accumulate\.mid = inf: .*finite"),
        ("mid = 1.5", "typical = 1.5", r"multiply_accumulate\.typical: unknown key 'typical'"),
        (
            'source = "Horowitz 2014: multiply and',
            'source = ""\nnote = "',
            r"multiply_accumulate\.source = '': .*at least 1",
        ),
        ("low = 0.23", "low = nan", r"multiply_accumulate\.low = nan: .*finite"),
        ("low = 0.23", 'low = "a"', r"multiply_accumulate\.low = 'a': "),
        (
            'kind = "estimated"',
            'kind = "guessed"',
            r"kind = 'guessed': input should be 'measured', 'simulated' or 'estimated'",
        ),
        ("title =", "name = 'x'\ntitle =", r"key 'name' is not allowed; the name is that of the file"),
        ("title =", "title", "is not TOML"),
    ],
)
def test_a_file_that_breaks_the_schema_is_refused_in_one_line(tmp_path, old, new, said):
    with pytest.raises(ConfigError, match=said) as caught:
        load_profile(changed(tmp_path, old, new))
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_memory_points_must_ascend(tmp_path):
    with pytest.raises(ConfigError, match=r"memory: points must ascend in bytes, found \[65536, 32768, 1048576\]"):
        load_profile(changed(tmp_path, "bytes = 8192", "bytes = 65536", LEMAIRE))


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(InputError, match=r"unknown energy profile 'lemaire-2021'; did you mean 'lemaire-2022'\?"):
        load_profile("lemaire-2021")
    with pytest.raises(InputError, match=r"unknown energy profile 'loihi1-sanaf'; did you mean 'loihi1-sanafe'\?"):
        load_profile("loihi1-sanaf", ["loihi1-sanafe"])


@pytest.mark.parametrize("name", ["loihi2", "Loihi-2", "loihi_2"])
def test_there_is_no_profile_for_loihi_2_and_the_reason_is_said(name):
    with pytest.raises(InputError, match=re.escape(NO_PROFILE["loihi2"])):
        load_profile(name)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"absent\.toml: cannot be read: No such file"):
        load_profile(tmp_path / "absent.toml")


def test_two_profiles_of_one_name_are_refused(tmp_path):
    (tmp_path / "lemaire-2022.toml").write_text(LEMAIRE)
    with pytest.raises(InputError, match="'lemaire-2022' is given twice"):
        load_profiles(["lemaire-2022", tmp_path / "lemaire-2022.toml"])


def test_the_file_shown_in_the_documentation_is_a_profile(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "energy.md").read_text()
    path = tmp_path / "shown.toml"
    path.write_text(re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1])
    assert load_profile(path).counts == "graded"
