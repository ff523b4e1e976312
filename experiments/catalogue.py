"""The agents that the command line and `compare` know by name.

An entry holds the place of a class, not the class: nothing is imported before it is asked for.
``sb3:NAME`` and ``sb3-contrib:NAME`` are the algorithms of Stable-Baselines3 and its contrib
package, which join through `peers`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..agents.agent import AbstractAgent

__all__ = ["AGENTS", "AgentEntry", "agent_class", "find_agent", "known_agents", "suggestion"]


@dataclass(frozen=True)
class AgentEntry:
    """One agent of the catalogue.

    Attributes:
        name: What the command line calls it.
        kind: ``planner`` (needs the model), ``learner`` (learns to act, in tables), ``deep`` (the
            same in networks), ``prediction`` (learns the values of a given policy), ``control``
            (does not learn; to compare with) or ``peer`` (from another library).
        target: ``module:Class``, or ``module:Algorithm`` of the other library for a peer.
        summary: One line.
    """

    name: str
    kind: str
    target: str
    summary: str


def _planner(name: str, target: str, summary: str) -> AgentEntry:
    return AgentEntry(name, "planner", f"gymagine.agents.planning.{target}", summary)


def _learner(name: str, target: str, summary: str, kind: str = "learner") -> AgentEntry:
    return AgentEntry(name, kind, f"gymagine.agents.tabular.{target}", summary)


def _deep(name: str, target: str, summary: str) -> AgentEntry:
    return AgentEntry(name, "deep", f"gymagine.agents.deep.{target}", summary)


def _peer(name: str, target: str, summary: str) -> AgentEntry:
    return AgentEntry(name, "peer", target, summary)


_PLANNERS = (
    _planner("value-iteration", "planner:ValueIteration", "backups of all states"),
    _planner("policy-iteration", "planner:PolicyIteration", "evaluate exactly, improve"),
    _planner(
        "modified-policy-iteration",
        "planner:ModifiedPolicyIteration",
        "evaluate by a few sweeps, improve",
    ),
    _planner(
        "prioritized-sweeping",
        "planner:PrioritizedSweeping",
        "backups in the order of their Bellman error",
    ),
    _planner(
        "backward-induction",
        "planner:BackwardInduction",
        "the optimum under a step cap, action by time to go",
    ),
    _planner("linear-programming", "planner:LinearProgramming", "the optimal values as an LP"),
)

_LEARNERS = (
    _learner("monte-carlo", "monte_carlo:MonteCarlo", "on-policy control by averaged returns"),
    _learner(
        "off-policy-monte-carlo",
        "off_policy_monte_carlo:OffPolicyMonteCarlo",
        "control by importance sampling",
    ),
    _learner("sarsa", "sarsa:SARSA", "on-policy temporal differences"),
    _learner("n-step-sarsa", "n_step_sarsa:NStepSARSA", "SARSA with n rewards before bootstrap"),
    _learner("sarsa-lambda", "sarsa_lambda:SARSALambda", "SARSA with eligibility traces"),
    _learner(
        "expected-sarsa", "expected_sarsa:ExpectedSARSA", "SARSA with the next action averaged out"
    ),
    _learner("q-learning", "q_learning:QLearning", "off-policy temporal differences"),
    _learner(
        "double-q-learning",
        "double_q_learning:DoubleQLearning",
        "two tables, against the maximisation bias",
    ),
    _learner("q-lambda", "q_lambda:QLambda", "Watkins's Q(lambda): traces cut by exploration"),
    _learner("dyna-q", "dyna_q:DynaQ", "Q-learning and planning in a learned model"),
    _learner(
        "monte-carlo-prediction",
        "monte_carlo_prediction:MonteCarloPrediction",
        "values of a given policy by averaged returns",
        kind="prediction",
    ),
    _learner(
        "off-policy-monte-carlo-prediction",
        "off_policy_monte_carlo_prediction:OffPolicyMonteCarloPrediction",
        "the same from another policy's episodes",
        kind="prediction",
    ),
    _learner(
        "td-prediction",
        "td_prediction:TDPrediction",
        "values of a given policy by temporal differences",
        kind="prediction",
    ),
)

_DEEP = (
    _deep("dqn", "dqn:DQN", "deep Q-learning, with the six switches of Rainbow"),
    _deep(
        "reinforce",
        "reinforce:REINFORCE",
        "policy gradient from whole episodes, with a learned baseline",
    ),
    _deep("a2c", "a2c:A2C", "advantage actor-critic, with generalised advantages"),
)

_CONTROLS = (
    AgentEntry(
        "random",
        "control",
        "gymagine.agents.random_policy:RandomPolicy",
        "every action equally likely",
    ),
)

_PEERS = (
    _peer("sb3:dqn", "stable_baselines3:DQN", "deep Q-network"),
    _peer("sb3:ppo", "stable_baselines3:PPO", "proximal policy optimisation"),
    _peer("sb3:a2c", "stable_baselines3:A2C", "advantage actor-critic"),
    _peer("sb3:sac", "stable_baselines3:SAC", "soft actor-critic (continuous actions)"),
    _peer("sb3:td3", "stable_baselines3:TD3", "twin delayed DDPG (continuous actions)"),
    _peer("sb3:ddpg", "stable_baselines3:DDPG", "deterministic policy gradient (continuous)"),
    _peer("sb3-contrib:qrdqn", "sb3_contrib:QRDQN", "quantile-regression DQN"),
    _peer("sb3-contrib:trpo", "sb3_contrib:TRPO", "trust-region policy optimisation"),
    _peer("sb3-contrib:tqc", "sb3_contrib:TQC", "truncated quantile critics (continuous)"),
    _peer("sb3-contrib:crossq", "sb3_contrib:CrossQ", "batch-normalised critics (continuous)"),
)

AGENTS: dict[str, AgentEntry] = {
    entry.name: entry for entry in (*_PLANNERS, *_LEARNERS, *_DEEP, *_CONTROLS, *_PEERS)
}


def known_agents() -> tuple[AgentEntry, ...]:
    """The entries whose library is installed, in the order of the catalogue."""
    installed = {
        entry.target.partition(":")[0]
        for entry in _PEERS
        if find_spec(entry.target.partition(":")[0]) is not None
    }
    return tuple(
        entry
        for entry in AGENTS.values()
        if entry.kind != "peer" or entry.target.partition(":")[0] in installed
    )


def suggestion(name: str, known: Iterable[str]) -> str:
    """``; did you mean X?`` with the nearest known name, or nothing.

    Example:
        >>> suggestion("q-lerning", ["sarsa", "q-learning"])
        '; did you mean q-learning?'
    """
    by_shape = {candidate.lower().replace("_", "-"): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower().replace("_", "-"), by_shape, n=1, cutoff=0.5)
    return f"; did you mean {by_shape[near[0]]}?" if near else ""


def find_agent(name: str) -> AgentEntry:
    """The entry of an agent.

    Raises:
        ValueError: There is no such agent, or its library is not installed; the message says
            which name is near, or what to install.
    """
    entry = AGENTS.get(name)
    if entry is None:
        hint = suggestion(name, AGENTS) or "; `gymagine list agents` shows all"
        raise ValueError(f"unknown agent {name!r}{hint}")
    library = entry.target.partition(":")[0]
    if entry.kind == "peer" and find_spec(library) is None:
        raise ValueError(f"{name} needs {library}: pip install {library.replace('_', '-')}")
    return entry


def agent_class(name: str) -> type[AbstractAgent]:
    """The class of an agent, imported now.

    Args:
        name: In the catalogue, or ``module:Class`` for an agent of one's own.

    Raises:
        ValueError: There is no such agent, or its library is not installed.
    """
    module, colon, _ = name.partition(":")
    if name not in AGENTS and colon and find_spec(module.partition(".")[0]) is not None:
        return _class_at(name)
    entry = find_agent(name)
    if entry.kind == "peer":
        from .peers import peer_agent

        return peer_agent(name, entry.target)
    return _class_at(entry.target)


def _class_at(place: str) -> type[AbstractAgent]:
    module, _, class_name = place.partition(":")
    found = getattr(import_module(module), class_name, None)
    if not isinstance(found, type):
        raise ValueError(f"{module} has no agent {class_name}")
    return found
