import copy

import numpy as np
import pytest
import torch
from gymagine.generative.autoencoders.vae import VAE
from gymagine.generative.autoregressive.gated_pixelcnn import GatedPixelCNN
from gymagine.generative.baselines.conditional_gaussian import ConditionalGaussian
from gymagine.generative.data.environments import Transitions
from gymagine.generative.diffusion.ddpm import DDPM
from gymagine.generative.flows.real_nvp import RealNVP
from gymagine.generative.world_model import WorldModel
from gymagine.generative.world_model_fitting import fit_scales
from gymnasium import spaces

torch.set_num_threads(1)

BOX = spaces.Box(-2, 2, (3,), dtype=np.float32)
TWO = spaces.Discrete(2)
SMALL = {"hidden_sizes": (8,)}


def model_of(observation_space=BOX, action_space=TWO, family=ConditionalGaussian, **more):
    more.setdefault("hyperparameters", SMALL)
    return WorldModel(observation_space, action_space, family, **more).eval()


def rng_of(seed):
    return torch.Generator().manual_seed(seed)


def drawn(space, num, seed=0):
    space = copy.deepcopy(space)
    space.seed(seed)
    return np.stack([space.sample() for _ in range(num)])


@pytest.mark.parametrize(
    ("family", "hyperparameters"),
    [
        (ConditionalGaussian, SMALL),
        (RealNVP, {"hidden_sizes": (8,), "num_couplings": 2}),
        (VAE, SMALL),
        (DDPM, {"num_steps": 4}),
    ],
)
@pytest.mark.parametrize("history", [1, 3])
def test_steps_stay_in_the_space_and_come_again(family, hyperparameters, history):
    model = model_of(family=family, hyperparameters=hyperparameters, history=history)
    state = model.begin(drawn(BOX, 5))
    actions = drawn(TWO, 5)
    after, step = model.step(state, actions, rng=rng_of(0))
    assert all(BOX.contains(row) for row in step.observation)
    assert step.reward.shape == step.terminated.shape == step.num_clipped.shape == (5,)
    assert step.terminated.dtype == bool
    _, again = model.step(state, actions, rng=rng_of(0))  # the state is as it was
    np.testing.assert_array_equal(again.observation, step.observation)
    _, other = model.step(state, actions, rng=rng_of(1))
    assert (other.observation != step.observation).any()
    assert len(after) == 5


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(4, start=-1),
        spaces.MultiBinary(3),
        spaces.MultiDiscrete([2, 3]),
        spaces.Tuple([BOX, spaces.Discrete(3)]),
        spaces.Dict(place=BOX, lamp=spaces.MultiBinary(2)),
    ],
    ids=str,
)
def test_observations_and_actions_of_every_kind(space):
    from gymnasium.vector.utils import batch_space

    several = batch_space(space, 4)
    several.seed(0)
    model = model_of(space, space, history=2)
    state, step = model.step(model.begin(several.sample()), several.sample(), rng=rng_of(0))
    assert several.contains(step.observation)
    _, step = model.step(state, several.sample(), rng=rng_of(0))
    assert several.contains(step.observation)


def test_a_state_remembers_what_was_seen_and_done():
    """o_t and a_t of each step, oldest first; a counter as the observation tells which."""
    space = spaces.Box(0, 100, (1,), dtype=np.float32)
    model = model_of(space, space, history=3)
    state = model.begin(np.array([[10.0]], np.float32))
    assert state.known.tolist() == [[False, False, True]]
    for t in (11.0, 12.0, 13.0):
        state = model.observe(state, np.array([[t + 39]], np.float32), np.array([[t]], np.float32))
    assert state.observations[0, :, 0].tolist() == [11, 12, 13]
    assert state.actions[0, :, 0].tolist() == [51, 52]  # those taken at 11 and 12
    assert state.known.all()


def test_rows_are_branched_and_replaced():
    model = model_of(history=2)
    state = model.begin(drawn(BOX, 3))
    chosen = state.take([2, 0, 0])
    assert torch.equal(chosen.observations[1], state.observations[0])
    other = state.put([1], chosen.take([0]))
    assert torch.equal(other.observations[1], state.observations[2])
    assert not torch.equal(other.observations[1], state.observations[1])


def test_a_state_shows_what_the_step_did_to_the_last_bit():
    """A reset of some rows shows the others anew; bounds are no multiples of the scales."""
    space = spaces.Box(-1, 1, (60,), dtype=np.float32)
    seen, no = drawn(space, 300), np.zeros(300, dtype=bool)
    data = Transitions(seen, drawn(TWO, 300), np.arange(300.0), seen[::-1].copy(), no, no)
    model = model_of(space)
    fit_scales(model, data)
    state = model.recall(data, np.arange(300))
    clipped = 0
    for seed in range(3):
        state, step = model.step(state, data.action, temperature=2.0, rng=rng_of(seed))
        np.testing.assert_array_equal(model.observations(state), step.observation)
        clipped += step.num_clipped.sum()
    assert clipped > 0


def test_functions_of_the_user_judge_real_values():
    seen = []

    def reward(before, action, after):
        seen.append((before, action, after))
        return action * 10.0

    model = model_of(
        termination=lambda before, action, after: after[:, 0] > before[:, 0],
        reward_function=reward,
    )
    observations, actions = drawn(BOX, 6), drawn(TWO, 6)
    _, step = model.step(model.begin(observations), actions, rng=rng_of(0))
    np.testing.assert_allclose(seen[0][0], observations, atol=1e-6)
    np.testing.assert_array_equal(step.reward, actions * 10.0)
    np.testing.assert_array_equal(step.terminated, step.observation[:, 0] > observations[:, 0])
    with pytest.raises(ValueError, match=r"termination to give \(B,\) numbers, got shape \(\)"):
        wrong = model_of(termination=lambda *_: True)
        wrong.step(wrong.begin(observations), actions)


def test_without_ends_nothing_ends():
    model = model_of(termination="never")
    assert model.head is None
    assert not model.step(model.begin(drawn(BOX, 50)), drawn(TWO, 50))[1].terminated.any()


def test_what_leaves_the_space_is_clipped_and_counted():
    model = model_of(termination="never")
    with torch.no_grad():
        last = model.members[0].network.layers[-1]
        last.weight.zero_()
        last.bias.copy_(torch.tensor([50.0, 0, 0, 0, -9, -9, -9, -9]))  # the first entry flies
    _, step = model.step(model.begin(np.zeros((4, 3), np.float32)), drawn(TWO, 4), rng=rng_of(0))
    assert (step.observation[:, 0] == 2).all()
    assert step.num_clipped.tolist() == [1] * 4


def test_members_disagree_where_they_differ():
    alone, three = model_of(), model_of(num_members=3, termination="never")
    state, actions = alone.begin(drawn(BOX, 40)), drawn(TWO, 40)
    assert (alone.step(state, actions)[1].disagreement == 0).all()
    assert (three.step(state, actions, rng=rng_of(0))[1].disagreement > 0).all()
    for member in (1, 2):
        three.members[member].load_state_dict(three.members[0].state_dict())
    same = three.step(state, actions, rng=rng_of(0))[1].disagreement
    np.testing.assert_allclose(same, 0, atol=1e-6)


def test_disagreement_is_the_length_of_the_members_deviations():
    model = model_of(num_members=3)
    model.varies[1] = False  # it is never drawn, so nobody disagrees about it
    observations, actions = drawn(BOX, 5), drawn(TWO, 5)
    _, step = model.step(model.begin(observations), actions)
    given = torch.cat([torch.tensor(observations), torch.eye(2)[actions]], dim=1)
    with torch.no_grad():
        means = torch.stack([member.moments(given, 5)[0] for member in model.members])
    from_mean = (means - means.mean(dim=0))[:, :, [0, 2, 3]]
    expected = (from_mean.square().sum(dim=2).mean(dim=0)).sqrt()
    np.testing.assert_allclose(step.disagreement, expected, rtol=1e-5)


def test_categories_have_ten_times_the_noise_of_numbers_and_rewards():
    model = model_of(spaces.Tuple([BOX, spaces.Discrete(2)]), noise=0.02)
    expected = torch.tensor([0.02, 0.02, 0.02, 0.2, 0.2, 0.02])
    torch.testing.assert_close(model.target_noise, expected)


@pytest.mark.parametrize(
    ("family", "hyperparameters"),
    [(ConditionalGaussian, SMALL), (RealNVP, {"hidden_sizes": (8,), "num_couplings": 2})],
)
def test_each_row_is_drawn_from_any_of_the_members(family, hyperparameters):
    model = model_of(family=family, hyperparameters=hyperparameters, num_members=2)
    begun = model.begin(np.zeros((400, 3), np.float32))
    _, step = model.step(begun, np.zeros(400, int), temperature=0.0, rng=rng_of(0))
    kinds, counts = np.unique(step.reward.round(5), return_counts=True)
    assert len(kinds) == 2
    assert counts.min() > 150


def test_temperature_0_has_no_noise():
    model = model_of(termination="never")
    state, actions = model.begin(drawn(BOX, 5)), drawn(TWO, 5)
    one, other = (model.step(state, actions, temperature=0.0, rng=rng_of(s))[1] for s in (0, 1))
    np.testing.assert_array_equal(one.observation, other.observation)


def test_files_bring_back_the_same_dream(tmp_path):
    path = tmp_path / "model"
    model = model_of(history=2, num_members=2)
    model.save(path)
    loaded = WorldModel.load(path)
    observations, actions = drawn(BOX, 5), drawn(TWO, 5)
    steps = [m.step(m.begin(observations), actions, rng=rng_of(3))[1] for m in (model, loaded)]
    np.testing.assert_array_equal(steps[0].observation, steps[1].observation)
    np.testing.assert_array_equal(steps[0].terminated, steps[1].terminated)
    assert loaded.observation_space == BOX


def test_functions_are_given_again(tmp_path):
    def judge(before, action, after):
        return np.zeros(len(action))

    path = tmp_path / "model"
    model_of(termination=judge).save(path)
    with pytest.raises(ValueError, match="expected a function for termination, with which"):
        WorldModel.load(path)
    with pytest.raises(ValueError, match="expected no function for reward_function"):
        WorldModel.load(path, termination=judge, reward_function=judge)
    assert WorldModel.load(path, termination=judge).termination is judge


class Foreign(ConditionalGaussian):
    """A user's own family."""


def test_a_family_of_ones_own_is_named_when_loading(tmp_path):
    path = tmp_path / "model"
    model_of(family=Foreign).save(path)
    with pytest.raises(ValueError, match=r"expected the family of .* as an argument"):
        WorldModel.load(path)
    assert WorldModel.load(path, family=Foreign).family is Foreign


def test_mistakes(without_shape_checks):
    with pytest.raises(TypeError, match="expected a family of generators, got 'vae'"):
        WorldModel(BOX, TWO, "vae")
    with pytest.raises(ValueError, match="history of at least 1, got 0"):
        model_of(history=0)
    with pytest.raises(ValueError, match="termination among"):
        model_of(termination="always")
    with pytest.raises(ValueError, match="expected pictures"):
        WorldModel(BOX, TWO, GatedPixelCNN)
    with pytest.raises(ValueError, match="vectors, got pictures"):
        model_of(spaces.Box(0, 255, (8, 8, 3), np.uint8))
    model = model_of()
    with pytest.raises(ValueError, match="expected 5 actions, got 4"):
        model.step(model.begin(drawn(BOX, 5)), drawn(TWO, 4))
    with pytest.raises(ValueError, match="expected 5 observations, got 4"):
        model.observe(model.begin(drawn(BOX, 5)), drawn(TWO, 5), drawn(BOX, 4))
    for num_members in (1, 2):
        model = model_of(num_members=num_members)
        with pytest.raises(ValueError, match="temperature of at least 0, got -1"):
            model.step(model.begin(drawn(BOX, 5)), drawn(TWO, 5), temperature=-1.0)
    unknown = {"reward_function": lambda before, action, after: action * np.nan}
    with pytest.raises(ValueError, match="expected reward_function to give finite numbers"):
        model_of(**unknown).step(model.begin(drawn(BOX, 5)), drawn(TWO, 5))
