"""Draw the README's two pictures: `python docs/draw_pictures.py runs/comparisons/NAME`."""

import shutil
import sys
from pathlib import Path

from gymagine.experiments.results import load_comparison
from gymagine.experiments.tables import comparison_table
from gymagine.storage import write_text
from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME

DOCS = Path(__file__).parent
# rich's own frame loads a font from the net; the reader's monospace will do
FRAME = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>.{unique_id}-matrix {{
font-family: monospace; font-size: {char_height}px; line-height: {line_height}px; }}
{styles}</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}</defs>
<rect width="100%" height="100%" fill="white"/>
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g></svg>
"""


def main(folder: Path) -> None:
    """Write docs/demo-table.svg and docs/demo-curves.svg."""
    console = Console(record=True, width=84, file=open("/dev/null", "w"))
    console.print(comparison_table(load_comparison(folder / "results.json"), width=84))
    picture = console.export_svg(theme=DEFAULT_TERMINAL_THEME, code_format=FRAME, unique_id="t")
    write_text(DOCS / "demo-table.svg", picture)
    shutil.copy(folder / "learning_curves.svg", DOCS / "demo-curves.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
