import gymnasium
import pytest
from gymagine.experiments.environment_names import EnvironmentName, folder_name, parse_options


@pytest.mark.parametrize(
    "text",
    [
        "FrozenLake-v1",
        "FrozenLake-v1@is_slippery=false",
        "FrozenLake-v1@is_slippery=false,map_name=8x8",
        'FrozenLake-v1@desc=["SF", "HG"],is_slippery=true',
        "gymagine/GridWorld-v0",
    ],
)
def test_label_and_parse_are_inverse(text):
    name = EnvironmentName.parse(text)
    assert EnvironmentName.parse(name.label) == name


def test_options_reach_the_environment():
    env = EnvironmentName.parse('FrozenLake-v1@desc=["SF","HG"],is_slippery=false').make()
    assert env.observation_space.n == 4
    assert env.unwrapped.P[0][2] == [(1, 1, 0, False)]  # slips nowhere


def test_options_on_top_win():
    name = EnvironmentName.parse("FrozenLake-v1@map_name=8x8", ["map_name=4x4", "is_slippery=no"])
    assert name.options == {"map_name": "4x4", "is_slippery": "no"}


def test_ids_of_other_modules_are_imported_first():
    assert EnvironmentName.parse("gymnasium:CartPole-v1").make().spec.id == "CartPole-v1"


def test_bins_make_observations_countable():
    env = EnvironmentName.parse("CartPole-v1@bins=4").make()
    assert isinstance(env.observation_space, gymnasium.spaces.MultiDiscrete)
    assert env.observation_space.nvec.tolist() == [4, 4, 4, 4]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FrozenLak-v1", r"unknown environment 'FrozenLak-v1'; did you mean FrozenLake-v1\?"),
        ("frozenlake-v1", "did you mean FrozenLake-v1"),
        ("Taxi-v3", "did you mean Taxi-v4"),
        ("nowhere:Thing-v0", "No module named 'nowhere'"),
        ("gymnasium:FrozenLak-v1", r"did you mean gymnasium:FrozenLake-v1\?"),
        ("nospace/Thing-v0", "nospace"),
        ("FrozenLake-v1@slippery=true", "unexpected keyword argument 'slippery'"),
    ],
)
def test_wrong_names_are_said_in_one_error(text, message):
    with pytest.raises(ValueError, match=message):
        EnvironmentName.parse(text).make()


def test_an_option_needs_a_value():
    with pytest.raises(ValueError, match="expected an option as key=value, got 'slippery'"):
        parse_options(["slippery"])


def test_values_are_json_or_text():
    options = parse_options(["a=1", "b=1.5", "c=true", "d=None", "e=[1, 2]", "f=8x8", "g=a=b"])
    assert options == {
        "a": 1, "b": 1.5, "c": True, "d": None, "e": [1, 2], "f": "8x8", "g": "a=b",
    }  # fmt: skip


def test_folder_names_stay_one_level_deep():
    for name in ("gymagine/GridWorld-v0", "sb3:dqn", "../../etc", 'X@desc=["S/F"]', ".."):
        folder = folder_name(name)
        assert folder and not set(folder) & set('/\\:"*?<>|') and not folder.startswith(".")


def test_wrappers_that_a_preset_counts_on_cannot_be_left_out():
    plain = EnvironmentName("ALE/Pong-v5")
    assert plain.preprocessed("atari").options == {"preprocessing": "atari"}
    assert plain.preprocessed("") is plain
    with pytest.raises(ValueError, match="expected preprocessing=atari, which the preset"):
        EnvironmentName("ALE/Pong-v5", {"preprocessing": "none"}).preprocessed("atari")
