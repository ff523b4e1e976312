"""Blackjack's model against the real game: its own code on whole hands, and its own play."""

from collections import Counter, defaultdict
from functools import cache

import numpy as np
import pytest
from gymagine.envs.blackjack_model import blackjack_model
from gymagine.envs.state_index import StateIndex
from gymnasium.envs.toy_text import blackjack as game
from scipy import stats

RULES = {
    "book": {"sab": True},
    "book, natural ignored": {"sab": True, "natural": True},
    "natural pays more": {"natural": True},
    "natural pays nothing more": {},
}
CARDS = Counter(game.deck)
INDEX = StateIndex(game.BlackjackEnv().observation_space)
STICK, HIT = 0, 1


def state_of(hand, card, rules):
    """The model's state of a hand."""
    if any(rules.values()) and game.is_natural(list(hand)):
        return 704 + card - 1
    return INDEX.encode((game.sum_hand(list(hand)), card, game.usable_ace(list(hand))))


@cache
def dealer_hands(hand):
    """Final hands of the dealer and their probabilities, drawing as the game does."""
    if game.sum_hand(list(hand)) >= 17:
        return {hand: 1.0}
    final = defaultdict(float)
    for card, count in CARDS.items():
        for end, weight in dealer_hands(tuple(sorted((*hand, card)))).items():
            final[end] += count / 13 * weight
    return dict(final)


def stick_reward(hand, card, rules):
    """Expected reward of sticking, by the lines of the game's ``step``."""
    total = 0.0
    for second, count in CARDS.items():
        for final, weight in dealer_hands(tuple(sorted((card, second)))).items():
            reward = game.cmp(game.score(list(hand)), game.score(list(final)))
            natural = game.is_natural(list(hand))
            if rules.get("sab") and natural and not game.is_natural(list(final)):
                reward = 1.0
            elif not rules.get("sab") and rules.get("natural") and natural and reward == 1.0:
                reward = 1.5
            total += count / 13 * weight * reward
    return total


def best_values(card, rules):
    """Optimal value of every hand that can be held against a card, by enumeration."""
    sticks = {}

    @cache
    def value(hand):
        if game.is_bust(list(hand)):
            return -1.0
        key = state_of(hand, card, rules)
        if key not in sticks:
            sticks[key] = stick_reward(hand, card, rules)
        hit = sum(n / 13 * value(tuple(sorted((*hand, drawn)))) for drawn, n in CARDS.items())
        values[hand] = max(sticks[key], hit)
        return values[hand]

    values = {}
    for first in CARDS:
        for second in CARDS:
            value(tuple(sorted((first, second))))
    return values


def optimal_action_values(mdp):
    matrix, rewards = mdp.continuation_matrix(), mdp.expected_rewards
    values = np.zeros(mdp.num_states)
    for _ in range(30):  # a hand takes fewer cards than that, so this is exact
        action_values = rewards + (matrix @ values).reshape(rewards.shape)
        values = action_values.max(axis=1)
    return action_values


@cache
def optimal_values_under(rules):
    return optimal_action_values(blackjack_model(**dict(rules))).max(axis=1)


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize("card", [1, 2, 10])
def test_values_are_those_of_all_hands_enumerated(card, rules):
    values = optimal_values_under(tuple(rules.items()))
    for hand, value in best_values(card, rules).items():
        assert values[state_of(hand, card, rules)] == pytest.approx(value, abs=1e-13), hand


def test_the_book_is_reproduced():
    # optimum and tables: Sutton and Barto (2018), figure 5.2; the values by enumeration
    mdp = blackjack_model(sab=True)
    action_values = optimal_action_values(mdp)
    optimum = mdp.initial_distribution @ action_values.max(axis=1)
    assert optimum == pytest.approx(-0.043113105413476974, abs=1e-12)
    hard = {1: 17, 2: 13, 3: 13, 4: 12, 5: 12, 6: 12, 7: 17, 8: 17, 9: 17, 10: 17}
    soft = {1: 19, 2: 18, 3: 18, 4: 18, 5: 18, 6: 18, 7: 18, 8: 18, 9: 19, 10: 19}
    for usable, lowest, table in ((0, 4, hard), (1, 12, soft)):
        for card, first_stick in table.items():
            for total in range(lowest, 22):
                action = action_values[INDEX.encode((total, card, usable))].argmax()
                assert action == (STICK if total >= first_stick else HIT)


def test_sticking_on_20_has_its_known_value():
    mdp = blackjack_model(sab=True)
    sums = mdp.observation_index // 22
    policy = np.where(sums >= 20, STICK, HIT)
    rows = np.arange(mdp.num_states) * 2 + policy
    matrix, rewards = mdp.continuation_matrix()[rows], mdp.expected_rewards.ravel()[rows]
    values = np.zeros(mdp.num_states)
    for _ in range(30):
        values = rewards + matrix @ values
    assert mdp.initial_distribution @ values == pytest.approx(-0.35011114608834143, abs=1e-12)


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_states_are_observations_and_hidden_naturals(rules):
    mdp = blackjack_model(**rules)
    assert mdp.num_observations == INDEX.num_states == 704
    assert mdp.num_states == (714 if any(rules.values()) else 704)
    if any(rules.values()):
        naturals = [INDEX.decode(index) for index in mdp.observation_index[704:].tolist()]
        assert naturals == [(21, card, 1) for card in range(1, 11)]
        # a natural is an ace and a ten: 2 * 1/13 * 4/13
        assert mdp.initial_distribution[704:].sum() == pytest.approx(8 / 169)
    else:
        assert mdp.observation_index is None
    assert mdp.max_episode_steps is None


def test_observations_that_never_occur_end_without_reward():
    mdp = blackjack_model(sab=True)
    for observation in ((0, 0, 0), (3, 5, 0), (11, 5, 1), (25, 3, 0), (20, 0, 1)):
        state = INDEX.encode(observation)
        assert mdp.outcomes(state, STICK) == mdp.outcomes(state, HIT) == [(1.0, state, 0.0, True)]


def play(rules, num_episodes, seed):
    """Counts of first states and of outcomes of the real game under random actions."""
    env = game.BlackjackEnv(**rules)
    rng = np.random.default_rng([seed, 1])
    env.reset(seed=seed)
    starts, outcomes = Counter(), defaultdict(Counter)
    for _ in range(num_episodes):
        env.reset()
        starts[state_of(env.player, env.dealer[0], rules)] += 1
        terminated = False
        while not terminated:
            state = state_of(env.player, env.dealer[0], rules)
            action = int(rng.random() < 0.4)
            observation, reward, terminated, truncated, _ = env.step(action)
            assert not truncated
            shown = INDEX.encode(observation)
            if action == STICK:  # the hand is the same, and so is the hidden natural
                assert shown == INDEX.encode((game.sum_hand(env.player), *observation[1:]))
                shown = state
            outcomes[state, action][shown, reward, terminated] += 1
    return starts, outcomes


def chi_square(counts, expected):
    """Pearson's statistic and its degrees of freedom; rare cells are pooled."""
    total = sum(counts.values())
    assert set(counts) <= set(expected), "the game did what the model holds impossible"
    cells = [(counts[key], total * p) for key, p in expected.items() if total * p >= 5]
    rest = (total - sum(n for n, _ in cells), total - sum(mean for _, mean in cells))
    cells += [rest] if rest[1] >= 1 else []
    if len(cells) < 2:
        return 0.0, 0
    return sum((n - mean) ** 2 / mean for n, mean in cells), len(cells) - 1


@pytest.mark.parametrize("name", ["book", "natural pays more"])
def test_the_real_game_plays_with_these_frequencies(name):
    rules = RULES[name]
    mdp = blackjack_model(**rules)
    starts, outcomes = play(rules, 6000, seed=1)
    first = {state: p for state, p in enumerate(mdp.initial_distribution.tolist()) if p > 0}
    statistics = [chi_square(starts, first)]
    for (state, action), counts in outcomes.items():
        expected = {(s, r, end): p for p, s, r, end in mdp.outcomes(state, action)}
        statistics.append(chi_square(counts, expected))
    statistic, freedom = np.sum(statistics, axis=0)
    assert freedom > 400
    assert stats.chi2(freedom).sf(statistic) > 1e-4
