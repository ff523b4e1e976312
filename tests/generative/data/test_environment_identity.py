"""Which environments are the same."""

import gymnasium
import pytest
from gymagine.generative.data.environment_identity import EnvironmentIdentity, options_of


def identity(*arguments, **options):
    return EnvironmentIdentity.of(gymnasium.make(*arguments, **options))


def test_an_environment_is_itself_however_it_is_drawn():
    assert identity("CartPole-v1").difference(identity("CartPole-v1")) is None
    drawn = identity("CartPole-v1", render_mode="rgb_array")
    assert identity("CartPole-v1").difference(drawn) is None


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (("CartPole-v0",), "CartPole-v0"),
        (("CartPole-v1", {"sutton_barto_reward": True}), "CartPole-v1@sutton_barto_reward=True"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*out of date:DeprecationWarning")
def test_ids_and_options_tell_environments_apart(other, told):
    name, *options = other
    found = identity("CartPole-v1").difference(identity(name, **(options[0] if options else {})))
    assert found == ("CartPole-v1", told)


def test_options_are_those_that_differ_from_what_is_registered():
    assert options_of(gymnasium.make("FrozenLake-v1", map_name="4x4").spec) == {}
    assert options_of(gymnasium.make("FrozenLake-v1", map_name="8x8").spec) == {"map_name": "8x8"}
