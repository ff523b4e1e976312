r"""The exact model of Gymnasium's Blackjack, which keeps no table of its own.

Cards come from an infinite deck: an ace to a nine with probability 1/13 each, a ten with 4/13. A
state is what the environment shows, (player's sum, dealer's card, usable ace), and, where the
rules pay for it, whether the player holds a *natural* (an ace and a ten at once): the observation
does not tell a natural from a 21 that was drawn. With :math:`t` the player's sum and
:math:`D` the dealer's final one (0 when bust, :math:`D \sim p(\cdot \mid \text{card})` by drawing
to 17), sticking pays

.. math:: \operatorname{sign}(t - D),

except that a natural pays 1 unless the dealer has one too (``sab``, the rules of the book), or 1.5
instead of 1 (``natural`` without ``sab``). Hitting adds a card, and more than 21 pays -1. Both
end the episode in the observation that the environment shows.

References:
    R. S. Sutton and A. G. Barto (2018), Reinforcement Learning: An Introduction, Example 5.1.
    The rules are those of Gymnasium 1.4's ``envs/toy_text/blackjack.py``.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TypeAlias

import numpy as np

from .mdp import TabularMDP
from .outcome_models import compress_outcomes

__all__ = ["blackjack_model"]

Row: TypeAlias = list[tuple[float, int, float, bool]]

_SUMS, _CARDS = 32, 11  # sizes of the observation's first two parts; the third is 2
_NUM_OBSERVATIONS = _SUMS * _CARDS * 2
_DECK = {card: (4 if card == 10 else 1) / 13 for card in range(1, 11)}
_BUST = 0


def blackjack_model(
    *,
    natural: bool = False,
    sab: bool = False,
    max_episode_steps: int | None = None,
    name: str = "Blackjack-v1",
) -> TabularMDP:
    """Build the model of one rule set.

    Args:
        natural: A natural that wins pays 1.5 (ignored under ``sab``, as in Gymnasium).
        sab: The rules of Sutton and Barto's book: a natural wins against all but a natural.
        max_episode_steps: The step cap to record, or None.
        name: For tables and plots.

    Returns:
        The model: state (sum * 11 + card) * 2 + usable is that observation, and where naturals pay
        the states 704 + card - 1 are the naturals, shown as (21, card, 1) by
        ``observation_index``. Observations that never occur are terminated loops without reward.

    Example:
        >>> blackjack_model(sab=True).num_states, blackjack_model().num_states
        (714, 704)
    """
    naturals_pay = natural or sab
    outcomes: list[list[Row]] = [
        [[(1.0, state, 0.0, True)]] * 2 for state in range(_NUM_OBSERVATIONS)
    ]
    for card in _DECK:
        for usable, lowest in ((0, 4), (1, 12)):
            for total in range(lowest, 22):
                state = _index(total, card, usable)
                outcomes[state] = [_stick(state, total, card), _hit(total, card, usable)]
    index = np.arange(_NUM_OBSERVATIONS)
    if naturals_pay:
        shown = [_index(21, card, 1) for card in _DECK]
        index = np.concatenate((index, shown))
        for card in _DECK:
            state = _natural_state(card)
            outcomes.append([_stick_natural(state, card, sab), _hit(21, card, 1)])
    return TabularMDP(
        **compress_outcomes(outcomes),
        initial_distribution=_deal(naturals_pay),
        max_episode_steps=max_episode_steps,
        observation_index=index if naturals_pay else None,
        name=name,
    )


def _index(total: int, card: int, usable: int) -> int:
    return (total * _CARDS + card) * 2 + usable


def _natural_state(card: int) -> int:
    return _NUM_OBSERVATIONS + card - 1


def _drawn(total: int, usable: int, card: int) -> tuple[int, int]:
    """The sum and the usable ace of a hand after one more card."""
    raw = total - 10 * usable + card
    # an ace that is not usable now stays so: counting it as 11 would bust already
    has_ace = usable or card == 1
    return (raw + 10, 1) if has_ace and raw + 10 <= 21 else (raw, 0)


@cache
def _dealer(total: int, usable: int) -> dict[int, float]:
    """The distribution of the dealer's final sum (0 when bust) from a hand."""
    if total > 21:
        return {_BUST: 1.0}
    if total >= 17:
        return {total: 1.0}
    final: dict[int, float] = defaultdict(float)
    for card, probability in _DECK.items():
        for end, weight in _dealer(*_drawn(total, usable, card)).items():
            final[end] += probability * weight
    return dict(final)


def _one_card(card: int) -> tuple[int, int]:
    return (11, 1) if card == 1 else (card, 0)


def _stick(state: int, total: int, card: int) -> Row:
    return [
        (probability, state, float((total > end) - (total < end)), True)
        for end, probability in _dealer(*_one_card(card)).items()
    ]


def _stick_natural(state: int, card: int, sab: bool) -> Row:
    final = _dealer(*_one_card(card))
    if sab:
        draw = {1: _DECK[10], 10: _DECK[1]}.get(card, 0.0)
        win, prize = 1 - draw, 1.0
    else:
        draw, prize = final.get(21, 0.0), 1.5
        win = sum(probability for end, probability in final.items() if end != 21)
    return [(win, state, prize, True), (draw, state, 0.0, True)]


def _hit(total: int, card: int, usable: int) -> Row:
    row = []
    for drawn, probability in _DECK.items():
        new_total, new_usable = _drawn(total, usable, drawn)
        bust = new_total > 21
        row.append((probability, _index(new_total, card, new_usable), -float(bust), bust))
    return row


def _deal(naturals_pay: bool) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The distribution of the first state: two cards for the player, one that the dealer shows."""
    start = np.zeros(_NUM_OBSERVATIONS + (len(_DECK) if naturals_pay else 0))
    for first, p_first in _DECK.items():
        for second, p_second in _DECK.items():
            total, usable = _drawn(*_one_card(first), second)
            for card, p_card in _DECK.items():
                is_natural = naturals_pay and total == 21
                state = _natural_state(card) if is_natural else _index(total, card, usable)
                start[state] += p_first * p_second * p_card
    return start
