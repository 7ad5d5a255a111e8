"""What the programs cost by the size of the day, as one chart."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import altair as alt
import vl_convert

# Rows in millions → processor seconds.
Costs = Sequence[tuple[float, float]]


def draw(costs: Mapping[str, Costs], file: Path) -> None:
    """Write an SVG with a line for each program, on white: it is looked at on pages of either colour."""
    values = [
        {"program": program, "rows": millions, "seconds": seconds}
        for program, line in costs.items()
        for millions, seconds in line
    ]
    sizes = sorted({millions for line in costs.values() for millions, _ in line})
    chart = (
        alt.Chart(alt.InlineData(values=values), width=560, height=300, background="white", padding=12)
        .mark_line(point=alt.OverlayMarkDef(size=60, filled=True))
        .encode(
            x=alt.X("rows:Q", title="million shipments", axis=alt.Axis(values=sizes)),
            y=alt.Y("seconds:Q", title="processor seconds"),
            color=alt.Color("program:N", title=None, sort=list(costs), legend=alt.Legend(orient="top-left")),
        )
    )
    file.write_text(vl_convert.vegalite_to_svg(chart.to_dict()))
