"""Laws that an environment with a known model keeps, to be called from anyone's tests.

An environment is held to Gymnasium's own checker, to its model ``P`` (what it does must be what
``P`` says), to its seed, and to its render modes. Toy text's environments pass as well as ours.

Example:
    >>> import gymnasium
    >>> check_tabular_env(gymnasium.make("FrozenLake-v1"), num_samples=200)
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils.env_checker import check_env

from .tabular_env import TabularEnv

__all__ = [
    "check_determinism",
    "check_frequencies",
    "check_gymnasium_api",
    "check_illegal_actions",
    "check_rendering",
    "check_returns",
    "check_tabular_env",
]

_FALSE_ALARM = 1e-9  # probability that a sampled law fails although it holds


def check_tabular_env(
    env: gymnasium.Env[Any, Any], *, num_pairs: int = 20, num_samples: int = 1000, seed: int = 0
) -> None:
    """Hold an environment to every law of this module.

    Args:
        env: An environment whose ``unwrapped`` has the model ``P``, the current state ``s`` and
            the distribution ``initial_state_distrib``, as toy text's and `TabularEnv` have.
        num_pairs: State-action pairs to try for their frequencies.
        num_samples: Tries of each.
        seed: Of all that is drawn.

    Raises:
        AssertionError: A law is broken; the message says which, and where.
    """
    check_gymnasium_api(env)
    check_returns(env, seed=seed)
    check_determinism(env, seed=seed)
    check_frequencies(env, num_pairs=num_pairs, num_samples=num_samples, seed=seed)
    if isinstance(env.unwrapped, TabularEnv):
        check_illegal_actions(env.unwrapped)
    check_rendering(env)


def check_gymnasium_api(env: gymnasium.Env[Any, Any]) -> None:
    """Gymnasium's ``check_env`` passes, and warns of nothing.

    Its tests of rendering are left to `check_rendering`.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env.unwrapped, skip_render_check=True)
    found = [str(warning.message) for warning in caught]
    _require(not found, f"expected no warning from check_env, got {found}")


def check_returns(env: gymnasium.Env[Any, Any], *, num_steps: int = 300, seed: int = 0) -> None:
    """Observations, rewards, flags and info of every step are what the model says."""
    base: Any = env.unwrapped
    actions = np.random.default_rng(seed)
    observation, info = base.reset(seed=seed)
    for _ in range(num_steps):
        _require(
            base.observation_space.contains(observation),
            f"expected an observation in {base.observation_space}, got {observation!r}",
        )
        state, model = int(base.s), base.P
        action = int(actions.choice(_legal_actions(base)))
        if "action_mask" in info and isinstance(base, TabularEnv):
            expected = [bool(model[state][index]) for index in range(base.mdp.num_actions)]
            _require(
                info["action_mask"].tolist() == expected,
                f"state {state}: expected action_mask {expected}, got {info['action_mask']}",
            )
        observation, reward, terminated, truncated, info = base.step(action)
        _require_outcome(
            model[state][action],
            (int(base.s), float(reward), terminated),
            place=f"state {state}, action {action}",
        )
        _require(
            isinstance(terminated, bool) and truncated is False,
            f"expected bool flags and no truncation inside, got {terminated!r}, {truncated!r}",
        )
        if terminated:
            observation, info = base.reset()


def check_determinism(
    env: gymnasium.Env[Any, Any], *, num_steps: int = 300, seed: int = 0
) -> None:
    """Equal seeds give equal episodes."""
    first, second = (_episodes(env, num_steps, seed) for _ in range(2))
    for step, (one, other) in enumerate(zip(first, second, strict=True)):
        _require(one == other, f"seed {seed}, step {step}: expected {one} again, got {other}")


def check_frequencies(
    env: gymnasium.Env[Any, Any],
    *,
    num_pairs: int = 20,
    num_samples: int = 1000,
    seed: int = 0,
) -> None:
    r"""Start states and outcomes are drawn as often as the model says.

    By Hoeffding's inequality a frequency of n tries leaves its probability by more than
    :math:`\sqrt{\ln(2 m / \delta) / 2n}` with a probability below :math:`\delta / m`, so that a
    correct environment fails with probability 1e-9 over all m comparisons. A setting of the clock
    of ``model_changes`` is kept meanwhile.
    """
    base: Any = env.unwrapped
    base.reset(seed=seed)
    clock = base.steps_taken if isinstance(base, TabularEnv) else None
    starts = Counter(_start(base) for _ in range(num_samples))
    expected = dict(enumerate(np.asarray(base.initial_state_distrib).tolist()))
    _require_frequencies(starts, expected, num_samples, place="start")
    rng = np.random.default_rng(seed)
    model = base.P
    pairs = [(state, action) for state, row in model.items() for action in row if row[action]]
    chosen = rng.permutation(len(pairs))[:num_pairs]
    for state, action in (pairs[index] for index in chosen):
        found: Counter[tuple[int, float, bool]] = Counter()
        for _ in range(num_samples):
            if clock is not None:
                base.steps_taken = clock
            base.s = state
            _, reward, terminated, _, _ = base.step(action)
            found[int(base.s), float(reward), bool(terminated)] += 1
        listed: dict[tuple[int, float, bool], float] = {}
        for probability, to, reward, terminated in model[state][action]:
            outcome = (int(to), float(reward), bool(terminated))
            listed[outcome] = listed.get(outcome, 0.0) + probability
        place = f"state {state}, action {action}"
        _require_frequencies(found, listed, num_samples, place=place)


def check_illegal_actions(env: TabularEnv) -> None:
    """Actions outside the space, and masked ones, are refused with a ValueError."""
    env.reset(seed=0)
    num_actions = env.mdp.num_actions
    illegal = [(env.s, action) for action in (-1, num_actions)]
    illegal += [(int(state), int(action)) for state, action in np.argwhere(~env.mdp.allowed)[:5]]
    for state, action in illegal:
        env.s = state
        try:
            env.step(action)
        except ValueError:
            continue
        _require(False, f"state {state}: expected ValueError for action {action}, got a step")
    env.reset(seed=0)


def check_rendering(env: gymnasium.Env[Any, Any]) -> None:
    """Every declared render mode draws: pixels, text, or a window; needs ``env.spec``."""
    if env.spec is None:
        return
    for mode in env.metadata["render_modes"]:
        other = env.spec.make(render_mode=mode)
        other.unwrapped.metadata = {**other.metadata, "render_fps": 1000}  # no time to watch
        other.reset(seed=0)
        other.step(_legal_actions(other.unwrapped)[0])
        _require_frame(mode, other.render())
        other.close()


def _require_frame(mode: str, frame: Any) -> None:
    if mode == "rgb_array":
        drawn = isinstance(frame, np.ndarray) and frame.dtype == np.uint8
        _require(
            drawn and frame.ndim == 3 and frame.shape[2] == 3 and len(np.unique(frame)) > 1,
            "rgb_array: expected (H, W, 3) uint8 pixels that are not all alike",
        )
    elif mode == "ansi":
        _require(isinstance(frame, str) and bool(frame.strip()), f"ansi: got {frame!r}")
    elif mode == "human":
        _require(frame is None, f"human: expected render() to return None, got {type(frame)}")


def _episodes(env: gymnasium.Env[Any, Any], num_steps: int, seed: int) -> list[Any]:
    base: Any = env.unwrapped
    actions = np.random.default_rng(seed)
    seen: list[Any] = [base.reset(seed=seed)[0]]
    for _ in range(num_steps):
        action = int(actions.choice(_legal_actions(base)))
        observation, reward, terminated, truncated, info = base.step(action)
        seen.append((observation, reward, terminated, truncated, info["prob"]))
        if terminated:
            seen.append(base.reset()[0])
    return seen


def _legal_actions(base: Any) -> list[int]:
    if isinstance(base, TabularEnv):  # without building P, which may be large
        allowed: list[int] = np.flatnonzero(base.mdp.allowed[base.s]).tolist()
        return allowed
    return [action for action, outcomes in base.P[int(base.s)].items() if outcomes]


def _start(base: Any) -> int:
    base.reset()
    return int(base.s)


def _require_outcome(listed: list[Any], got: tuple[int, float, bool], *, place: str) -> None:
    known = {(int(to), float(reward), bool(ended)) for _, to, reward, ended in listed}
    _require(got in known, f"{place}: expected an outcome of {sorted(known)}, got {got}")


def _require_frequencies(
    found: Counter[Any], expected: dict[Any, float], num_samples: int, *, place: str
) -> None:
    bound = math.sqrt(math.log(2 * max(len(expected), 1) / _FALSE_ALARM) / (2 * num_samples))
    for outcome in set(found) | set(expected):
        frequency, probability = found[outcome] / num_samples, expected.get(outcome, 0.0)
        _require(
            abs(frequency - probability) <= bound and (probability > 0 or frequency == 0),
            f"{place}: expected {outcome} with probability {probability:.6g}, got frequency "
            f"{frequency:.6g} in {num_samples} tries",
        )


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)
