"""The codes as points that a reader can ask: which sample is this, what became of it, what do those over there share.

Drawn by Bokeh. Of the kept libraries it is the one that has a lasso and is small: 1.2 MB of script in the page, where
Plotly has 4.7 MB; Vega has 0.9 MB but no lasso. Beside the points stand the sample, its reconstruction and the error
of the point that is pointed at, or that is chosen by its number on the keyboard.
"""

import json
from html import escape
from typing import Any

import numpy as np

from hourglass.figures.canvas import COLOURS
from hourglass.figures.codes import projected
from hourglass.figures.picture import Array, colours, levels
from hourglass.reports.content import Live
from hourglass.reports.images import sheet
from hourglass.reports.inside import Inside

_UNITS = 32  # that the points can be coloured by


def code_map(inside: Inside, *, method: str) -> Live:
    """The first 2,000 codes as points in a plane.

    Args:
        inside: the model and its samples.
        method: `pca` or `tsne`.
    """
    code = inside.code.double().numpy()
    kept = np.flatnonzero(np.isfinite(code).all(1))
    points, names, words = projected(code[kept], method="tsne" if method == "tsne" else "pca")
    kept = kept[: len(points)]
    shades, keys = _shades(inside, kept)
    library, plot = _plot(points, names)
    data: dict[str, Any] = {
        "shades": shades,
        "viridis": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in colours("viridis")],
        "classes": list(COLOURS) if len(set(_classes(inside))) <= len(COLOURS) else None,
        "names": [_called(inside, which) for which in sorted(set(_classes(inside)))],
        "of": [int(at) for at in kept],
        "error": [float(f"{value:.3g}") for value in inside.errors[kept]],
        "class": [] if inside.y is None else [_called(inside, int(value)) for value in inside.y[kept]],
        "ends": keys,
    }
    if inside.is_image:
        x = inside.x[kept].double().numpy()
        output = inside.reconstruction[kept].double().numpy()
        error = np.abs(x - output).mean(1, keepdims=True)
        top = float(np.quantile(error, 0.999)) or 1.0
        low, high = inside.data.range
        picture, wide, tall, columns = sheet([x, output.clip(low, high), error], (low, high), top)
        data |= {"sheet": picture, "wide": wide, "tall": tall, "columns": columns, "top": float(f"{top:.2g}")}
    options = "".join(f'<option value="{escape(key)}">{escape(key)}</option>' for key in shades)
    count = f"{len(kept):,} codes of {code.shape[1]} unit{'s' * (code.shape[1] > 1)}"
    controls = (
        f"<p>{escape(count + words)}. Point at a code to see its sample; draw around some with the lasso to see them"
        f' all.</p><p class="controls"><label>Colour by <select id="map-colour">{options}</select></label>'
        f'<label>Sample <input id="map-sample" type="number" min="1" max="{len(kept)}" value="1"></label></p>'
        '<div class="key" id="map-key"></div>'
    )
    html = (
        f'{controls}<div class="map"><div class="plot" id="map-plot" role="group" aria-label="Map of the codes"></div>'
        '<div class="beside"><div id="map-shown" role="status"></div><div id="map-lassoed" role="status"></div></div>'
        f'</div><script type="application/json" id="map-data">{_json(data)}</script>'
        f'<script type="application/json" id="map-item">{_json(plot)}</script><script>{_script()}</script>'
    )
    return Live(html=html, says="the map of the code", scripts=(library,))


def _shades(inside: Inside, kept: Array) -> tuple[dict[str, list[int]], dict[str, list[float]]]:
    """By what the points can be coloured: a level from 0 to 254 for each, or its class; and the ends of the scales."""
    found: dict[str, list[int]] = {}
    ends: dict[str, list[float]] = {}
    if inside.y is not None:
        known = sorted(set(_classes(inside)))
        found["class"] = [known.index(int(value)) for value in inside.y[kept]]
        ends["class"] = [float(known[0]), float(known[-1])]
        if len(known) > len(COLOURS):
            found["class"] = levels(inside.y[kept].astype(float), (known[0], known[-1])).tolist()
    code = inside.code.double().numpy()[kept]
    units = np.argsort(-code.var(0), kind="stable")[:_UNITS]
    measured = {"error": inside.errors[kept], **{f"unit {unit + 1}": code[:, unit] for unit in sorted(units)}}
    for name, values in measured.items():
        low, high = (float(end) for end in np.quantile(values, [0.01, 0.99]))
        high = high if high > low else low + 1.0
        found[name] = np.minimum(levels(values, (low, high)), 254).tolist()
        ends[name] = [float(f"{low:.3g}"), float(f"{high:.3g}")]
    return found, ends


def _classes(inside: Inside) -> list[int]:
    return [] if inside.y is None else [int(value) for value in inside.y]


def _called(inside: Inside, which: int) -> str:
    """A class by its name, or as `class 3`."""
    name = inside.class_name(which)
    return f"class {name}" if name.isdigit() else name


def _plot(points: Array, names: tuple[str, str]) -> tuple[str, Any]:
    """Bokeh's script, and the plot as it reads it."""
    from bokeh.embed import json_item
    from bokeh.models import ColumnDataSource, CustomJS, HoverTool
    from bokeh.plotting import figure
    from bokeh.resources import Resources

    source = ColumnDataSource(
        {
            "x": points[:, 0].astype(np.float32),
            "y": points[:, 1].astype(np.float32),
            "colour": ["#332288"] * len(points),
        },
        name="codes",
    )
    plot = figure(
        width=720,
        height=540,
        sizing_mode="scale_width",
        x_axis_label=names[0],
        y_axis_label=names[1],
        tools="pan,wheel_zoom,box_zoom,lasso_select,tap,reset,save",
        active_drag="lasso_select",
        active_scroll=None,
        match_aspect=names[1] != "sample",
        output_backend="canvas",
    )
    drawn = plot.scatter("x", "y", source=source, size=6, color="colour", alpha=0.75, nonselection_alpha=0.15)
    show = CustomJS(code="window.hourglassMap.point(cb_data.index.indices)")
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=None, callback=show))
    source.selected.js_on_change("indices", CustomJS(code="window.hourglassMap.lasso(cb_obj.indices)"))
    plot.toolbar.logo = None
    return "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw), json_item(plot)


def _json(value: Any) -> str:
    """JSON that ends no script."""
    return json.dumps(value, separators=(",", ":")).replace("</", "<\\/")


def _script() -> str:
    from importlib.resources import files

    return (files("hourglass.reports") / "page" / "code_map.js").read_text(encoding="utf-8")
