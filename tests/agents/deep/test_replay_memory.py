"""What is drawn is what happened: against lists, by the definitions, whatever wraps around."""

from dataclasses import dataclass, field

import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents.deep.observation_leaves import ObservationLeaves
from gymagine.agents.deep.replay_memory import ReplayMemory
from gymagine.agents.vector_steps import VectorSteps
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import FrameStackObservation
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

PLAIN = ObservationLeaves(spaces.Box(-np.inf, np.inf, (1,)))
YES, NO = np.array([True]), np.array([False])


def generators(members, seed=0):
    return [np.random.default_rng((seed, member)) for member in range(members)]


def contents(memory, draws=2_000):
    """Per member, everything that can be drawn: {number: (observation, action, ...)}."""
    batch = memory.sample(draws, generators(memory.layout.members))
    parts = (*batch.observations, batch.actions, batch.rewards, batch.discounts)
    parts += batch.next_observations
    parts += () if batch.next_masks is None else (batch.next_masks,)
    found = []
    for m in range(memory.layout.members):
        columns = [part[m].tolist() for part in parts]
        rows = zip(*columns, strict=True)
        found.append(dict(zip(batch.indices[m].tolist(), rows, strict=True)))
    return found


# ---- against a list that knows nothing of rings -------------------------------------------------


@dataclass
class ListedCopy:
    seen: list = field(default_factory=list)  # every observation ever, with its mask
    start: int = 0  # where the episode began in it
    running: bool = False
    steps: list = field(default_factory=list)  # of the episode: (action, reward)
    told: int = 0  # steps of the episode that have become transitions


class ListedMemory:
    """Everything that ever happened, and what of it a memory of this layout must still know."""

    def __init__(self, layout, discounts):
        self.layout, self.discounts = layout, discounts
        self.copies = [[ListedCopy() for _ in range(layout.copies)] for _ in range(layout.members)]
        self.transitions = [[] for _ in range(layout.members)]

    def stack(self, copy, last):
        num_frames = self.layout.frame_stack
        frames = [copy.seen[max(copy.start, last - k)][0] for k in reversed(range(num_frames))]
        return frames if num_frames > 1 else frames[0]

    def tell(self, m, c, *, terminated):
        """Make a transition of the first step that is none yet."""
        copy = self.copies[m][c]
        last = len(copy.seen) - 1
        rewards = [reward for _, reward in copy.steps[copy.told :]]
        total = sum(self.discounts[m] ** k * reward for k, reward in enumerate(rewards))
        first = copy.start + copy.told
        values = (
            self.stack(copy, first),
            copy.steps[copy.told][0],
            total,
            0.0 if terminated else self.discounts[m] ** len(rewards),
            self.stack(copy, last),
            copy.seen[last][1],
        )
        oldest_frame = max(copy.start, first - self.layout.frame_stack + 1)
        self.transitions[m].append((c, oldest_frame, values))
        copy.told += 1

    def finish(self, m, c, *, terminated):
        copy = self.copies[m][c]
        while copy.told < len(copy.steps):
            self.tell(m, c, terminated=terminated)
        copy.running = False

    def begin(self, m, c, observation, mask):
        copy = self.copies[m][c]
        self.finish(m, c, terminated=False)
        copy.start, copy.running, copy.steps, copy.told = len(copy.seen), True, [], 0
        copy.seen.append((observation, mask))

    def step(self, m, c, action, reward, terminated, truncated, observation, mask):
        copy = self.copies[m][c]
        copy.steps.append((action, reward))
        copy.seen.append((observation, mask))
        if terminated or truncated:
            self.finish(m, c, terminated=terminated)
        elif len(copy.steps) - copy.told == self.layout.n_step:
            self.tell(m, c, terminated=False)

    def alive(self, m):
        """{number: values} of the last C, less all up to the last with a frame overwritten."""
        known = range(max(0, len(self.transitions[m]) - self.layout.capacity), 10**9)
        first = known[0]
        for number, (c, oldest_frame, _) in enumerate(self.transitions[m]):
            if oldest_frame < len(self.copies[m][c].seen) - self.layout.slots:
                first = max(first, number + 1)
        pairs = list(enumerate(values for _, _, values in self.transitions[m]))
        return dict(pairs[first:])


class Play:
    """Random episodes for all copies, told to a memory and a list alike."""

    def __init__(self, memory, seed, end_rate=0.2):
        self.memory, self.layout, self.end_rate = memory, memory.layout, end_rate
        self.listed = ListedMemory(memory.layout, memory.discounts)
        self.random = np.random.default_rng(seed)
        self.num_rows = self.layout.members * self.layout.copies
        self.waiting = np.ones(self.num_rows, dtype=np.bool_)
        self.calls = []  # of the last round

    def tell(self, name, *arguments):
        self.calls.append((name, arguments))
        getattr(self.memory, name)(*arguments)

    def rows(self):
        return np.ndindex(self.layout.members, self.layout.copies)

    def observations(self, begun):
        """New frames, as numbers that float32 holds, stacked as an environment would."""
        frames = self.random.integers(0, 10_000, self.num_rows).astype(np.float32)
        masks = self.random.random((self.num_rows, self.memory.num_actions)) < 0.5
        num_frames = self.layout.frame_stack
        if num_frames == 1:
            return frames, (frames[:, None],), masks
        stacks = np.empty((self.num_rows, num_frames, 1), dtype=np.float32)
        for i, (m, c) in enumerate(self.rows()):
            copy = self.listed.copies[m][c]
            earlier = [] if begun[i] else [frame for frame, _ in copy.seen[copy.start :]]
            padded = [[*earlier, frames[i]][0]] * num_frames + [*earlier, frames[i]]
            stacks[i, :, 0] = padded[-num_frames:]
        return frames, (stacks,), masks

    def masks_of(self, masks):
        return masks if self.layout.mask_size else None

    def round(self):
        random, self.calls = self.random, []
        restarted = ~self.waiting & (random.random(self.num_rows) < 0.03)
        begun = self.waiting & (random.random(self.num_rows) < 0.8) | restarted
        if begun.any():
            frames, leaves, masks = self.observations(begun)
            self.tell("begin", begun, leaves, self.masks_of(masks))
            for i, (m, c) in enumerate(self.rows()):
                if begun[i]:
                    self.listed.begin(m, c, float(frames[i]), masks[i].tolist())
            self.waiting &= ~begun
        taken = ~self.waiting & (random.random(self.num_rows) < 0.9)
        actions = random.integers(0, self.memory.num_actions, self.num_rows)
        rewards = random.integers(-8, 8, self.num_rows) / 4
        terminated, truncated = random.random((2, self.num_rows)) < self.end_rate / 2
        frames, leaves, masks = self.observations(np.zeros(self.num_rows, dtype=np.bool_))
        told = (taken, actions, rewards, terminated, truncated, leaves, self.masks_of(masks))
        self.tell("add", *told)
        for i, (m, c) in enumerate(self.rows()):
            if taken[i]:
                step = (int(actions[i]), float(rewards[i]), bool(terminated[i]))
                end = (bool(truncated[i]), float(frames[i]), masks[i].tolist())
                self.listed.step(m, c, *step, *end)
        self.waiting |= taken & (terminated | truncated)

    def check(self):
        alive = [self.listed.alive(m) for m in range(self.layout.members)]
        assert self.memory.size.tolist() == [len(known) for known in alive]
        if not all(alive):
            return
        stacked = self.layout.frame_stack > 1
        for known, found in zip(alive, contents(self.memory, 400), strict=True):
            assert known.keys() == found.keys()  # all of them, and nothing else
            for number, (first, action, reward, discount, last, mask) in known.items():
                row = found[number]
                assert row[0] == ([[frame] for frame in first] if stacked else [first])
                assert row[1] == action
                assert row[2:4] == pytest.approx((reward, discount), rel=1e-6, abs=1e-6)
                assert row[4] == ([[frame] for frame in last] if stacked else [last])
                assert row[5:] == ((mask,) if self.layout.mask_size else ())


def small_memory(**settings):
    num_frames = settings.get("frame_stack", 1)
    shape = (num_frames, 1) if num_frames > 1 else (1,)
    leaves = ObservationLeaves(spaces.Box(-np.inf, np.inf, shape))
    return ReplayMemory(leaves, settings.pop("capacity"), num_actions=3, **settings)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(
    members=st.integers(1, 3),
    copies=st.integers(1, 3),
    capacity=st.integers(1, 13),
    n_step=st.integers(1, 4),
    frame_stack=st.integers(1, 4),
    episode_length=st.sampled_from([1, 2, 100]),
    masks=st.booleans(),
    alpha=st.sampled_from([None, 0.0]),
    end_rate=st.sampled_from([0.05, 0.4, 1.0]),
    seed=st.integers(0, 2**32),
)
def test_memories_that_wrap_around_hold_what_a_list_does(seed, end_rate, alpha, **layout):
    memory = small_memory(**layout, priority_exponent=alpha, discount=0.75)
    play = Play(memory, seed, end_rate)
    for _ in range(20):
        play.round()
        play.check()


# ---- by hand ------------------------------------------------------------------------------------


def told(memory, rewards, *, terminated=False, truncated=False, first=0.0):
    """One episode of a single copy; observations count on from ``first``."""
    memory.begin(YES, (np.array([[first]], np.float32),))
    for k, reward in enumerate(rewards):
        ends = k == len(rewards) - 1
        following = (np.array([[first + k + 1]], np.float32),)
        memory.add(
            YES,
            np.array([k % 2]),
            np.array([reward]),
            np.array([ends and terminated]),
            np.array([ends and truncated]),
            following,
        )


def test_three_steps_by_hand():
    settings = {"num_actions": 2, "discount": 0.5, "n_step": 3}
    # rewards 8, 4, 2, 16: the sums are 8 + 4/2 + 2/4, then 4 + 2/2 + 16/4, 2 + 16/2, and 16
    whole = [
        (0, [0.0], 10.5, [3.0]),
        (1, [1.0], 9.0, [4.0]),
        (0, [2.0], 10.0, [4.0]),
        (1, [3.0], 16.0, [4.0]),
    ]
    for ends, discounts in (
        ({}, [0.125, 0.125]),
        ({"terminated": True}, [0.125, 0, 0, 0]),
        ({"truncated": True}, [0.125, 0.125, 0.25, 0.5]),
        ({"terminated": True, "truncated": True}, [0.125, 0, 0, 0]),
    ):
        memory = ReplayMemory(PLAIN, 10, **settings)
        told(memory, [8.0, 4.0, 2.0, 16.0], **ends)
        if ends:
            told(memory, [100.0], first=50.0)  # the next episode makes no difference
        expected = {
            number: (observation, action, reward, discount, following)
            for number, ((action, observation, reward, following), discount) in enumerate(
                zip(whole[: len(discounts)], discounts, strict=True)
            )
        }
        assert contents(memory) == [expected]


def test_an_episode_left_in_the_middle_counts_as_cut():
    memory = ReplayMemory(PLAIN, 10, num_actions=2, discount=0.5, n_step=3)
    told(memory, [8.0, 4.0])
    told(memory, [1.0], first=50.0)
    assert contents(memory) == [{0: ([0.0], 0, 10.0, 0.25, [2.0]), 1: ([1.0], 1, 4.0, 0.5, [2.0])}]


def test_a_million_steps_without_an_end_keep_their_capacity():
    memory = ReplayMemory(PLAIN, 1_000, num_actions=2, n_step=5)
    told(memory, np.zeros(3_000))
    assert memory.size.tolist() == [1_000]
    assert memory.layout.slots < 1.07 * 1_000 + 6


@pytest.mark.parametrize(("length", "kept"), [(1, 536), (16, 1_000)])
def test_how_much_room_short_episodes_leave(length, kept):
    """Episodes of one step need two observations each: R = 1 065 slots hold 532 or 533 of them."""
    memory = ReplayMemory(PLAIN, 1_000, num_actions=2)
    for _ in range(3_000 // length):
        told(memory, np.zeros(length), truncated=True)
    assert kept - 5 <= memory.size[0] <= kept


# ---- real environments --------------------------------------------------------------------------

COPIES, ROUNDS, SEED, CAP = 3, 90, 5, 7


def action_of(copy, turn, num_actions):
    return (7 * copy + 3 * turn + turn // 4) % num_actions


def rows_of(space, observation):
    return [
        np.asarray(leaf[0], np.float64).tolist()
        for leaf in ObservationLeaves(space).of_one(observation)
    ]


def from_single_envs(env_id, counts, n_step, discount):
    """By the definition, from one environment for each copy: a list for each."""
    lists = []
    for copy, count in enumerate(counts):
        env = gymnasium.make(env_id, max_episode_steps=CAP)
        space, turn, made, episode = env.observation_space, 0, [], []
        observation, _ = env.reset(seed=SEED + copy)
        while turn < count:
            action = int(action_of(copy, turn, env.action_space.n))
            following, reward, terminated, truncated, _ = env.step(action)
            episode.append((rows_of(space, observation), action, reward))
            observation, turn = following, turn + 1
            ended = terminated or truncated
            last = rows_of(space, observation)
            while len(episode) == n_step or (ended and episode):
                rewards = [step[2] for step in episode]
                total = sum(discount**k * reward for k, reward in enumerate(rewards))
                follows = 0.0 if terminated else discount ** len(rewards)
                made.append((*episode.pop(0)[:2], total, follows, last))
            if ended:
                observation, _ = env.reset()
        lists.append(made)
    return lists


def told_from_vector(env, memory):
    """How many steps each copy took."""
    steps, leaves = VectorSteps(env), ObservationLeaves(env.single_observation_space)
    batch, _ = steps.reset(SEED)
    memory.begin(np.ones(COPIES, dtype=np.bool_), leaves.of_batch(batch))
    turns = np.zeros(COPIES, dtype=int)
    for _ in range(ROUNDS):
        size = env.single_action_space.n
        actions = np.array([action_of(c, turns[c], size) for c in range(COPIES)])
        found = steps.step(actions)
        memory.add(
            found.taken,
            actions,
            found.rewards,
            found.terminated,
            found.truncated,
            leaves.of_batch(found.next_observations),
        )
        memory.begin(found.begun, leaves.of_batch(found.first_observations))
        turns += found.taken
    return turns


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("env_id", ["FrozenLake-v1", "Blackjack-v1", "CartPole-v1"])
@pytest.mark.parametrize("n_step", [1, 3])
def test_transitions_of_environments_in_every_autoreset_mode(env_id, mode, n_step):
    makers = [lambda: gymnasium.make(env_id, max_episode_steps=CAP)] * COPIES
    env = SyncVectorEnv(makers, autoreset_mode=mode)
    memory = ReplayMemory(
        ObservationLeaves(env.single_observation_space),
        10_000,
        num_actions=int(env.single_action_space.n),
        copies=COPIES,
        n_step=n_step,
        discount=0.9,
    )
    counts = told_from_vector(env, memory)
    expected = [row for made in from_single_envs(env_id, counts, n_step, 0.9) for row in made]
    leaves = len(memory.layout.shapes)
    found = []
    for row in contents(memory, 20_000)[0].values():
        first, last = (
            [np.asarray(leaf, np.float64).tolist() for leaf in part]
            for part in (row[:leaves], row[leaves + 3 :])
        )
        found.append((first, *row[leaves : leaves + 3], last))
    assert len(found) == len(expected) > COPIES * ROUNDS / 2

    def key(row):
        return str([row[0], row[1], row[4], round(row[2], 4), round(row[3], 4)])

    for (first, action, *numbers, last), truth in zip(
        sorted(found, key=key), sorted(expected, key=key), strict=True
    ):
        assert [first, action, last] == [truth[0], truth[1], truth[4]]
        assert numbers == pytest.approx(truth[2:4], rel=1e-6)


class Frames(gymnasium.Env):
    """Random images in episodes of a random length."""

    observation_space = spaces.Box(0, 255, (5, 4), np.uint8)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.frame(), {}

    def frame(self):
        return self.np_random.integers(0, 256, (5, 4), dtype=np.uint8)

    def step(self, action):
        terminated, truncated = self.np_random.random(2) < 0.08
        return self.frame(), 1.0, bool(terminated), bool(truncated), {}


@pytest.mark.parametrize("n_step", [1, 3])
def test_stacks_are_those_of_gymnasiums_wrapper(n_step):
    def make():
        return FrameStackObservation(Frames(), 4, padding_type="reset")

    env = SyncVectorEnv([make] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    leaves = ObservationLeaves(env.single_observation_space)
    settings = {"num_actions": 2, "copies": 2, "n_step": n_step}
    stacked = ReplayMemory(leaves, 150, frame_stack=4, **settings)
    whole = ReplayMemory(leaves, 150, **settings)
    steps = VectorSteps(env)
    batch, _ = steps.reset(3)
    for memory in (stacked, whole):
        memory.begin(np.ones(2, dtype=np.bool_), leaves.of_batch(batch))
    for _ in range(400):
        found = steps.step(np.zeros(2, dtype=int))
        for memory in (stacked, whole):
            memory.add(
                found.taken,
                np.zeros(2, dtype=int),
                found.rewards,
                found.terminated,
                found.truncated,
                leaves.of_batch(found.next_observations),
            )
            memory.begin(found.begun, leaves.of_batch(found.first_observations))
    assert stacked._observations["observations.0"].shape[3:] == (5, 4)  # one frame, not four
    ours, theirs = contents(stacked)[0], contents(whole)[0]
    shared = ours.keys() & theirs.keys()
    assert len(shared) > 120
    assert [ours[number] for number in shared] == [theirs[number] for number in shared]
    assert stacked.sample(3, generators(1)).observations[0].dtype == torch.uint8


# ---- how often ----------------------------------------------------------------------------------


def counted(memory, number_of_batches, batch_size, seed=1):
    sources = generators(memory.layout.members, seed)
    counts = np.zeros((memory.layout.members, int(memory._rings.written.max())))
    for _ in range(number_of_batches):
        batch = memory.sample(batch_size, sources)
        for m in range(memory.layout.members):
            np.add.at(counts[m], batch.indices[m], 1)
    return counts, batch


def test_even_sampling_is_even_over_what_is_alive():
    memory = ReplayMemory(PLAIN, 40, num_actions=2)
    told(memory, np.zeros(97))
    counts, batch = counted(memory, 500, 64)
    assert counts[0, :57].sum() == 0
    assert chisquare(counts[0, 57:]).pvalue > 1e-3
    assert torch.equal(batch.probabilities, torch.full((1, 64), 1 / 40))


def test_prioritised_sampling_follows_the_errors():
    memory = ReplayMemory(PLAIN, 30, num_actions=2, priority_exponent=0.6)
    told(memory, np.zeros(50))
    indices = np.arange(20, 50)[None]
    errors = np.random.default_rng(4).normal(size=(1, 30)) * 3
    memory.update_priorities(indices, errors)
    powers = (np.abs(errors[0]) + 1e-6) ** 0.6
    expected = powers / powers.sum()
    counts, batch = counted(memory, 1_000, 32)
    assert chisquare(counts[0, 20:], 32_000 * expected).pvalue > 1e-3
    assert batch.probabilities[0].numpy() == pytest.approx(expected[batch.indices[0] - 20])


def probabilities_of(memory):
    batch = memory.sample(4_000, generators(1))
    pairs = zip(batch.indices[0].tolist(), batch.probabilities[0].tolist(), strict=True)
    return dict(pairs)


def test_new_transitions_get_the_largest_priority_so_far():
    memory = ReplayMemory(PLAIN, 4, num_actions=2, priority_exponent=1.0)
    told(memory, [0.0, 0.0])
    assert probabilities_of(memory) == pytest.approx({0: 0.5, 1: 0.5})
    # of equal indices the last counts; the largest of all that was told stays in force
    memory.update_priorities(np.array([[0, 0]]), torch.tensor([[-7.0, 3.0]]))
    told(memory, [0.0], first=9.0)
    assert probabilities_of(memory) == pytest.approx({0: 3 / 11, 1: 1 / 11, 2: 7 / 11}, rel=1e-5)
    memory.update_priorities(np.array([[2]]), np.array([[1.0]]))
    told(memory, [0.0, 0.0], first=20.0)  # number 0 falls out
    assert probabilities_of(memory) == pytest.approx(
        {1: 1 / 16, 2: 1 / 16, 3: 7 / 16, 4: 7 / 16}, rel=1e-5
    )
    # one that has gone since is passed over, though its place has been taken
    memory.update_priorities(np.array([[0]]), np.array([[100.0]]))
    assert probabilities_of(memory)[4] == pytest.approx(7 / 16, rel=1e-5)


def test_members_draw_by_their_own_generators_alone():
    both = small_memory(capacity=9, members=2, copies=2, priority_exponent=0.5)
    play = Play(both, 8)
    for _ in range(30):
        play.round()
    alone = ReplayMemory(PLAIN, 9, num_actions=3, copies=2, priority_exponent=0.5)
    arrays = {name: array[1:] for name, array in both.arrays().items()}
    cut = {"places": both._rings.written[1], "values": both._rings.written[1]}
    for name, written in cut.items():
        arrays[name] = arrays[name][:, : min(int(written), 9)]
    alone.restore(arrays)
    first = both.sample(20, generators(2))
    second = alone.sample(20, generators(2)[1:])
    assert first.indices[1].tolist() == second.indices[0].tolist()
    assert torch.equal(first.observations[0][1], second.observations[0][0])


# ---- going on -----------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [None, 0.7])
@pytest.mark.parametrize("rounds", [0, 3, 40])
def test_a_restored_memory_goes_on_alike(alpha, rounds):
    settings = {"members": 2, "copies": 2, "n_step": 3, "frame_stack": 2, "masks": True}
    settings |= {"capacity": 20, "priority_exponent": alpha, "episode_length": 4}
    first = small_memory(**settings)
    play = Play(first, 11)

    def learn(memory, seed):
        if memory.size.all():
            batch = memory.sample(6, generators(2, seed))
            if alpha is not None:
                memory.update_priorities(batch.indices, batch.rewards.numpy() + seed)

    for turn in range(rounds):
        play.round()
        learn(first, turn)
    kept = {name: array.copy() for name, array in first.arrays().items()}
    second = small_memory(**settings)
    second.restore(kept)
    for turn in range(30):
        play.round()
        learn(first, turn)
        for name, arguments in play.calls:
            getattr(second, name)(*arguments)
        learn(second, turn)
    ours, theirs = first.arrays(), second.arrays()
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert np.array_equal(ours[name], theirs[name]), name
    assert contents(first) == contents(second)


# ---- what is refused ----------------------------------------------------------------------------


def step_of(memory, **changes):
    num_rows = memory.layout.members * memory.layout.copies
    no = np.zeros(num_rows, dtype=np.bool_)
    given = {
        "taken": ~no,
        "actions": np.zeros(num_rows, dtype=np.int64),
        "rewards": np.zeros(num_rows),
        "terminated": no,
        "truncated": no,
        "next_leaves": (np.zeros((num_rows, 1), np.float32),),
    }
    return memory.add(**{**given, **changes})


def begun(members=1, copies=2, **settings):
    memory = ReplayMemory(PLAIN, 5, num_actions=2, members=members, copies=copies, **settings)
    num_rows = members * copies
    memory.begin(np.ones(num_rows, dtype=np.bool_), (np.zeros((num_rows, 1), np.float32),))
    return memory


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": np.array([0.0, np.nan])}, "finite rewards, got nan in copy 1 of member 0"),
        ({"actions": np.array([2, 0])}, r"actions in \[0, 2\), got 2 in copy 0"),
        ({"actions": np.array([0, -1])}, r"got -1 in copy 1"),
        ({"actions": np.array([0.0, 1.0])}, "actions .* of int64, got .* float64"),
        ({"rewards": np.zeros(1)}, r"rewards \(2,\)"),
        ({"next_leaves": (np.zeros((1, 1), np.float32),)}, r"leaves \(2, 1\)"),
        ({"next_leaves": (np.zeros((2, 1)),)}, "of float32, got .* of float64"),
        ({"next_leaves": ()}, "expected 1 leaves, got 0"),
        ({"next_masks": np.ones((2, 2), dtype=np.bool_)}, "expected no masks"),
    ],
)
def test_a_wrong_step_is_refused_and_changes_nothing(changes, message):
    memory = begun()
    step_of(memory)
    before = {name: array.copy() for name, array in memory.arrays().items()}
    with pytest.raises(ValueError, match=message):
        step_of(memory, **changes)
    after = memory.arrays()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_steps_need_an_episode_and_draws_a_transition():
    memory = begun(members=2, copies=2)
    step_of(memory, taken=np.array([True, True, False, False]))
    with pytest.raises(ValueError, match="got none in that of member 1"):
        memory.sample(1, generators(2))
    step_of(memory, terminated=np.array([False, False, False, True]))
    with pytest.raises(ValueError, match="none in copy 1 of member 1"):
        step_of(memory)
    with pytest.raises(ValueError, match="expected 2 generators, got 1"):
        memory.sample(1, generators(1))
    with pytest.raises(ValueError, match="expected masks"):
        step_of(masked())


def masked():
    memory = ReplayMemory(PLAIN, 5, num_actions=2, masks=True)
    memory.begin(YES, (np.zeros((1, 1), np.float32),), np.ones((1, 2), dtype=np.bool_))
    return memory


def test_priorities_that_cannot_be():
    memory = begun(priority_exponent=0.6)
    step_of(memory)
    for errors in ([[np.nan]], [[np.inf]]):
        with pytest.raises(ValueError, match=r"finite errors, got (nan|inf)"):
            memory.update_priorities(np.array([[0]]), np.array(errors))
    for index in (-1, 2):
        with pytest.raises(ValueError, match="transitions up to 1"):
            memory.update_priorities(np.array([[index]]), np.array([[1.0]]))
    with pytest.raises(ValueError, match="memory with priorities"):
        begun().update_priorities(np.array([[0]]), np.array([[1.0]]))


def test_stacks_that_are_none():
    with pytest.raises(ValueError, match=r"frame_stack=4 .*got observations of shape \(1,\)"):
        ReplayMemory(PLAIN, 5, num_actions=2, frame_stack=4)
    images = ObservationLeaves(spaces.Box(0, 255, (3, 2, 2), np.uint8))
    memory = ReplayMemory(images, 5, num_actions=2, frame_stack=3)
    colours = np.arange(12, dtype=np.uint8).reshape(1, 3, 2, 2)
    with pytest.raises(ValueError, match="take frame_stack=1"):
        memory.begin(YES, (colours,))
    assert not memory._rings.counts.any()


@pytest.mark.parametrize(
    "changes",
    [
        {"capacity": 0},
        {"members": 0},
        {"copies": 0},
        {"num_actions": 0},
        {"discount": 1.5},
        {"discount": float("nan")},
        {"n_step": 0},
        {"frame_stack": 0},
        {"frame_stack": 257},
        {"priority_exponent": -0.1},
        {"episode_length": 0},
    ],
)
def test_settings_out_of_range(changes):
    (name,) = changes
    with pytest.raises(ValueError, match=f"expected .*{name}"):
        ReplayMemory(PLAIN, **{"capacity": 5, "num_actions": 2, **changes})
