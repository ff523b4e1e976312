"""The words that say where demonstrations come from."""

import gymnasium
import numpy as np
import pytest
from gymagine.envs.experts import ScriptedExpert, expert_for
from gymagine.experiments.demonstration_sources import (
    DEMONSTRATIONS_FILE,
    demonstrations_from,
    expert_from,
    is_expert,
)
from gymagine.experiments.training import train
from gymagine.generative.data.collecting import collect


@pytest.fixture
def env():
    made = gymnasium.make("CartPole-v1")
    yield made
    made.close()


def found_in(source, env, **changes):
    return demonstrations_from(source, env, **{"episodes": 3, "seed": 0, **changes})


@pytest.mark.parametrize("source", ["expert", "expert:cart-pole"])
def test_experts_act_now(source, env):
    data = found_in(source, env, max_steps=40)
    own = collect(env, expert_for(env), 3, seed=0, max_steps=40)
    assert np.array_equal(data.transitions.observation, own.transitions.observation)
    assert isinstance(expert_from(source, env), ScriptedExpert) and is_expert(source)


def test_files_and_folders_are_read_and_cut_to_what_is_wanted(env, tmp_path):
    data = collect(env, None, 5, seed=3)
    data.save(tmp_path / DEMONSTRATIONS_FILE)
    for source in (str(tmp_path), str(tmp_path / DEMONSTRATIONS_FILE)):
        found = found_in(source, env)
        assert found.lengths.tolist() == data.lengths[:3].tolist()
        assert found.seeds == data.seeds[:3]
        # nobody is asked who demonstrated, but CartPole has an expert
        assert isinstance(expert_from(source, env), ScriptedExpert)


def test_minari_data_sets_are_read_by_id_and_by_folder(env, tmp_path, monkeypatch):
    pytest.importorskip("minari")
    pytest.importorskip("h5py")
    from gymagine.generative.data.minari_files import write_minari

    data = collect(env, None, 2, seed=1)
    where = write_minari(data, "cart/random-v0", folder=tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    for source in ("minari:cart/random-v0", str(where)):
        found = found_in(source, env)
        assert np.array_equal(found.transitions.action, data.transitions.action)


def test_successes_are_kept_where_somebody_knows_them(env, tmp_path):
    data = collect(env, None, 5, seed=0, success=lambda one: len(one) > 15)
    assert 0 < data.success.sum() < 5
    data.save(tmp_path / "some")
    assert found_in(str(tmp_path / "some"), env, success_only=True, episodes=9).success.all()
    everything = found_in("expert", env, success_only=True, max_steps=20)
    assert everything.success is None and everything.num_episodes == 3


def test_the_agent_of_a_run_is_an_expert(env, tmp_path):
    result = train("random", "CartPole-v1", total_timesteps=50, folder=tmp_path, final_episodes=1)
    data = found_in(f"expert:{result.record.folder}", env)
    assert data.num_episodes == 3 and len(set(data.transitions.action.tolist())) == 2


def test_environments_without_an_expert_have_none():
    acrobot = gymnasium.make("Acrobot-v1")
    assert expert_from("some-file", acrobot) is None
    with pytest.raises(ValueError, match="environment with a scripted expert"):
        expert_from("expert", acrobot)


def test_mistakes_are_named(env, tmp_path):
    with pytest.raises(ValueError, match=r"expert .*or the folder of a run .*got 'someone'"):
        found_in("expert:someone", env)
    with pytest.raises(FileNotFoundError, match=r"got 'nowhere', where there are none"):
        found_in("nowhere", env)
    collect("FrozenLake-v1", None, 2).save(tmp_path / "lake")
    with pytest.raises(ValueError, match=r"CartPole|FrozenLake-v1, as these demonstrations are"):
        found_in(str(tmp_path / "lake"), env)
