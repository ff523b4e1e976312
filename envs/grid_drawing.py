"""Drawing a model's states: a picture with values as a heat map and the policy as arrows, or text.

Cells are coloured by viridis, whose equal steps look equal (and also without colour vision); walls
are dark, goals green, pits red. Models without a layout are drawn as numbered cells, row by row.

References:
    S. van der Walt and N. Smith (2015), A better default colormap for Matplotlib, SciPy: viridis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from jaxtyping import UInt8
from numpy.typing import ArrayLike, NDArray

from .arguments import real_array
from .grid_layout import GridLayout
from .mdp import TabularMDP

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

__all__ = [
    "checked_values",
    "describe_model",
    "draw_grid",
    "draw_model",
    "draw_text",
    "numbered_layout",
]

Picture: TypeAlias = UInt8[NDArray[np.uint8], "height width 3"]
Colour: TypeAlias = tuple[int, int, int]
FloatArray: TypeAlias = NDArray[np.float64]

_WALL: Colour = (52, 56, 64)
_FLOOR: Colour = (246, 246, 243)
_LINE: Colour = (205, 207, 210)
_GOAL: Colour = (38, 160, 92)
_PIT: Colour = (198, 58, 52)
_START: Colour = (64, 120, 200)
_AGENT: Colour = (240, 130, 30)
_DARK: Colour = (28, 30, 34)
_LIGHT: Colour = (250, 250, 250)
_LARGEST_PICTURE = 1536  # pixels of the longer side that draw_model aims at
_SMALLEST_FONT = 8
_ARROWS = {
    (-1, 0): "↑",
    (0, 1): "→",
    (1, 0): "↓",
    (0, -1): "←",
    (-1, 1): "↗",
    (1, 1): "↘",
    (1, -1): "↙",
    (-1, -1): "↖",
    (0, 0): "o",
}


def draw_model(
    mdp: TabularMDP,
    *,
    agent_state: int | None = None,
    state_values: FloatArray | None = None,
    policy: NDArray[Any] | None = None,
) -> Picture:
    """`draw_grid` for a model: its layout, or numbered cells, at a size that suits a screen."""
    layout = mdp.layout or numbered_layout(mdp.num_states)
    longer = max(layout.num_rows, layout.num_columns)
    return draw_grid(
        layout,
        agent_state=agent_state,
        state_values=state_values,
        policy=policy,
        cell_size=max(1, min(64, _LARGEST_PICTURE // longer)),
        numbered=mdp.layout is None,
    )


def checked_values(
    mdp: TabularMDP, state_values: ArrayLike | None, policy: ArrayLike | None
) -> tuple[FloatArray | None, NDArray[Any] | None]:
    """Values and a policy to be drawn over a model, as arrays.

    Args:
        mdp: The model.
        state_values: (S,) values, or None.
        policy: (S,) actions or (S, A) probabilities, or None.

    Raises:
        ValueError: A shape does not fit the model, or the policy has actions that it has not.
        TypeError: These are no numbers.
    """
    shape = (mdp.num_states, mdp.num_actions)
    values = None if state_values is None else real_array(state_values, "state values").copy()
    if values is not None and values.shape != shape[:1]:
        raise ValueError(f"expected state values of shape {shape[:1]}, got {values.shape}")
    if policy is None:
        return values, None
    chosen = np.array(policy)
    if chosen.shape == shape[:1]:
        if chosen.dtype.kind not in "iu" or not ((chosen >= 0) & (chosen < shape[1])).all():
            raise ValueError(f"expected a policy of actions in [0, {shape[1]}), got {chosen}")
        return values, chosen
    chosen = real_array(chosen, "a policy")
    if chosen.shape != shape:
        raise ValueError(f"expected a policy of shape {shape[:1]} or {shape}, got {chosen.shape}")
    if not (chosen >= 0).all():
        raise ValueError("expected a policy of probabilities of at least 0, got less, or NaN")
    return values, chosen


def describe_model(
    mdp: TabularMDP,
    *,
    agent_state: int | None = None,
    last_action: int | None = None,
    policy: NDArray[Any] | None = None,
) -> str:
    """`draw_text` for a model, or a line that names the state where there is no layout."""
    action = "" if last_action is None else f" after action {last_action}"
    if mdp.layout is None:
        return f"{mdp.name}: state {agent_state} of {mdp.num_states}{action}\n"
    head = "" if last_action is None else f"action {last_action}\n"
    return head + draw_text(mdp.layout, agent_state=agent_state, policy=policy)


def numbered_layout(num_states: int) -> GridLayout:
    """A layout for states that have none: cells row by row, about as wide as high."""
    columns = num_states if num_states <= 12 else math.ceil(math.sqrt(num_states))
    rows = math.ceil(num_states / columns)
    states = np.arange(rows * columns, dtype=np.int64)
    states[num_states:] = -1
    cells = "".join("." if state >= 0 else " " for state in states.tolist())
    return GridLayout(
        cells=tuple(cells[row * columns : (row + 1) * columns] for row in range(rows)),
        state_of_cell=states.reshape(rows, columns),
        directions=(),
    )


def draw_text(
    layout: GridLayout, *, agent_state: int | None = None, policy: NDArray[Any] | None = None
) -> str:
    r"""The grid as text: its characters, arrows of the policy on floor, the agent in brackets.

    Args:
        layout: The grid.
        agent_state: The state to bracket, or None.
        policy: (S,) actions or (S, A) probabilities, of which the most likely is shown.

    Example:
        >>> line = GridLayout(("S.G",), np.array([[0, 1, 2]]), ((0, -1), (0, 1)))
        >>> draw_text(line, agent_state=0, policy=np.array([1, 1, 0]))
        '[S] →  G \n'
    """
    best = policy.argmax(axis=1) if policy is not None and policy.ndim == 2 else policy
    lines = []
    for row, text in enumerate(layout.cells):
        parts = []
        for column, character in enumerate(text):
            state = int(layout.state_of_cell[row, column])
            shown = character
            if best is not None and state >= 0 and character not in "#SGH":
                shown = _symbol(layout, int(best[state]))
            here = agent_state is not None and state == agent_state and state >= 0
            parts.append(f"[{shown}]" if here else f" {shown} ")
        lines.append("".join(parts))
    return "\n".join(lines) + "\n"


def draw_grid(
    layout: GridLayout,
    *,
    agent_state: int | None = None,
    state_values: FloatArray | None = None,
    policy: NDArray[Any] | None = None,
    cell_size: int = 64,
    numbered: bool = False,
) -> Picture:
    """A picture of the grid.

    Args:
        layout: The grid.
        agent_state: The state that the agent is drawn in, or None.
        state_values: (S,) values: a heat map from the lowest to the highest shown, with the number
            in each cell that has room. Terminal cells keep their own colours.
        policy: (S,) actions or (S, A) probabilities: an arrow for each action, thicker where more
            probable (below a tenth of the largest it is left out).
        cell_size: Pixels of a cell's side, at least 1. From 16 there are letters and arrows, from
            about 28 numbers.
        numbered: Print each state's number in its corner.

    Returns:
        (R * cell_size + 1, C * cell_size + 1, 3) pixels.

    Raises:
        ValueError: ``cell_size`` is not positive.
    """
    if cell_size < 1:
        raise ValueError(f"expected cell_size of at least 1, got {cell_size}")
    colours = _cell_colours(layout, state_values)
    pixels = np.repeat(np.repeat(colours, cell_size, axis=0), cell_size, axis=1)
    pixels = np.pad(pixels, ((0, 1), (0, 1), (0, 0)), mode="edge")
    if cell_size >= 6:
        pixels[::cell_size] = _LINE
        pixels[:, ::cell_size] = _LINE
    if cell_size < 6 and agent_state is None:
        return pixels
    from PIL import Image, ImageDraw

    image = Image.fromarray(pixels)
    pen = _Pen(ImageDraw.Draw(image), layout, cell_size, colours)
    for row, text in enumerate(layout.cells):
        for column, character in enumerate(text):
            state = int(layout.state_of_cell[row, column])
            if cell_size >= 16 and state >= 0 and character != "#":
                value = None if state_values is None else float(state_values[state])
                weights = _weights(layout, policy, state, character)
                pen.cell(row, column, character, value=value, weights=weights)
                if numbered:
                    pen.corner(row, column, str(state))
            if agent_state is not None and state == agent_state and state >= 0:
                pen.agent(row, column, plain=state_values is None and policy is None)
    return np.asarray(image).copy()


def _symbol(layout: GridLayout, action: int) -> str:
    if action < len(layout.directions):
        direction = layout.directions[action]
        unit = (int(np.sign(direction[0])), int(np.sign(direction[1])))
        return _ARROWS[unit]
    return str(action)


def _cell_colours(layout: GridLayout, state_values: FloatArray | None) -> Picture:
    own = {"#": _WALL, "G": _GOAL, "H": _PIT, " ": _LIGHT}
    colours = np.array(
        [[own.get(character, _FLOOR) for character in row] for row in layout.cells],
        dtype=np.uint8,
    )
    if state_values is None:
        return colours
    # a long grid's terminals would otherwise squeeze the scale of all others
    plain = np.array([[mark not in "#GH " for mark in row] for row in layout.cells])
    plain &= layout.state_of_cell >= 0
    values = state_values[layout.state_of_cell[plain]]
    finite = np.isfinite(values)
    if not finite.any():
        return colours
    values = values / 2  # the span of the largest numbers would overflow
    low, high = float(values[finite].min()), float(values[finite].max())
    span = high - low or 1.0
    from matplotlib import colormaps

    shares = np.clip(np.nan_to_num((values - low) / span, posinf=1.0, neginf=0.0), 0.0, 1.0)
    colours[plain] = (colormaps["viridis"](shares)[:, :3] * 255).round().astype(np.uint8)
    return colours


def _weights(
    layout: GridLayout, policy: NDArray[Any] | None, state: int, character: str
) -> dict[int, float]:
    """The share of each action to draw, the largest 1."""
    if policy is None or character in "GH":
        return {}
    if policy.ndim == 1:
        return {int(policy[state]): 1.0}
    row = policy[state] / max(float(policy[state].max()), 1e-300)
    return {action: float(share) for action, share in enumerate(row) if share >= 0.1}


@dataclass
class _Pen:
    """Draws into cells; all sizes are shares of the cell's side."""

    draw: ImageDraw
    layout: GridLayout
    size: int
    colours: Picture

    def cell(
        self,
        row: int,
        column: int,
        character: str,
        *,
        value: float | None,
        weights: dict[int, float],
    ) -> None:
        """The mark, the value and the arrows of one cell."""
        ink = self._ink(row, column)
        numbers = self.size >= 28 and character not in "GH" and value is not None
        numbers = numbers and math.isfinite(value or 0.0)
        if character not in "#. ":
            self._mark(row, column, character, aside=numbers or bool(weights))
        centre_down = 0.4 if numbers and weights else 0.5
        for action, share in weights.items():
            self._arrow(row, column, action, share=share, down=centre_down, ink=ink)
        if numbers and value is not None:
            down = 0.83 if weights else 0.5
            self._text(row, column, _number(value), down=down, height=0.2, ink=ink, width=0.92)

    def corner(self, row: int, column: int, text: str) -> None:
        """A small text in the upper left corner."""
        self._text(
            row, column, text, right=0.22, down=0.16, height=0.17, ink=self._ink(row, column)
        )

    def agent(self, row: int, column: int, *, plain: bool) -> None:
        """The agent: a disc in a plain cell, a frame where the cell shows something."""
        left, top = column * self.size, row * self.size
        right, bottom = left + self.size, top + self.size
        if self.size < 12:
            self.draw.rectangle((left, top, right, bottom), fill=_AGENT)
            return
        width = max(2, round(self.size * 0.07))
        if plain:
            inset = self.size * 0.24
            box = (left + inset, top + inset, right - inset, bottom - inset)
            self.draw.ellipse(box, fill=_AGENT, outline=_DARK, width=max(1, width // 3))
            return
        # white inside orange is seen on dark cells and on bright ones
        self.draw.rectangle((left, top, right, bottom), outline=_LIGHT, width=width + 2)
        self.draw.rectangle((left, top, right, bottom), outline=_AGENT, width=width)

    def _mark(self, row: int, column: int, character: str, *, aside: bool) -> None:
        plain = tuple(self.colours[row, column].tolist()) == _FLOOR
        ink = _START if character == "S" and plain else self._ink(row, column)
        if aside:
            self._text(row, column, character, right=0.16, down=0.17, height=0.22, ink=ink)
        else:
            self._text(row, column, character, height=0.42, ink=ink)

    def _arrow(
        self, row: int, column: int, action: int, *, share: float, down: float, ink: Colour
    ) -> None:
        if action >= len(self.layout.directions):
            self._text(row, column, f"a{action}", down=down, height=0.3, ink=ink)
            return
        x, y = (column + 0.5) * self.size, (row + down) * self.size
        delta_row, delta_column = self.layout.directions[action]
        length = math.hypot(delta_row, delta_column)
        if length == 0:
            radius = 0.07 * self.size
            self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)
            return
        across, along = delta_column / length, delta_row / length
        reach, width = 0.26 * self.size, max(1, round(self.size * 0.055 * share))
        tip = (x + across * reach, y + along * reach)
        head = reach * (0.35 + 0.2 * share)
        neck = (tip[0] - across * head, tip[1] - along * head)
        half = head * 0.55
        tail = (x, y) if share < 1 else (x - across * reach * 0.8, y - along * reach * 0.8)
        self.draw.line((*tail, *neck), fill=ink, width=width)
        self.draw.polygon(
            (
                tip,
                (neck[0] - along * half, neck[1] + across * half),
                (neck[0] + along * half, neck[1] - across * half),
            ),
            fill=ink,
        )

    def _text(
        self,
        row: int,
        column: int,
        text: str,
        *,
        ink: Colour,
        height: float,
        right: float = 0.5,
        down: float = 0.5,
        width: float = 1.0,
    ) -> None:
        pixels = max(_SMALLEST_FONT, round(self.size * height))
        font = _font(pixels)
        wide = self.draw.textlength(text, font=font)
        if wide > width * self.size:
            font = _font(max(_SMALLEST_FONT, int(pixels * width * self.size / wide)))
        at = ((column + right) * self.size, (row + down) * self.size)
        self.draw.text(at, text, fill=ink, font=font, anchor="mm")

    def _ink(self, row: int, column: int) -> Colour:
        red, green, blue = (int(channel) for channel in self.colours[row, column])
        # Rec. 709 luma; half way between black and white text's contrast
        return _DARK if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 125 else _LIGHT


@cache
def _font(pixels: int) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size=pixels)


def _number(value: float) -> str:
    """The value in at most six characters where that can be."""
    if value == 0:
        return "0"
    if 0.001 <= abs(value) < 1:
        return f"{value:.3f}".replace("0.", ".", 1)
    if abs(value) < 0.001 or abs(value) >= 1e5:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:.{max(0, 3 - len(str(int(abs(value)))))}f}"
