"""What every plotly figure begins with: the page's ink on nothing, no zoom, no plotly look."""

import plotly.graph_objects as go

from fraud.models.figures.views import FONT, INK


def blank_figure(height: int, margin: dict[str, int], line: str) -> go.Figure:
    """Return an empty figure of a height in pixels, both of its axes still and in the colour `line`."""
    blank = go.Figure()
    blank.update_layout(
        template=None,
        height=height,
        margin=margin,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": INK},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        dragmode=False,
        hoverlabel={"font": {"family": FONT, "size": 13}},
    )
    for axes in (blank.update_xaxes, blank.update_yaxes):
        axes(gridcolor=line, linecolor=line, zeroline=False, fixedrange=True)
    return blank
