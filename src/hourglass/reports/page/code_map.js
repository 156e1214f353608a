"use strict";
(() => {
  const read = id => JSON.parse(document.getElementById(id).textContent);
  const data = read("map-data"), item = read("map-item");
  const shown = document.getElementById("map-shown"), lassoed = document.getElementById("map-lassoed");
  const colour = document.getElementById("map-colour"), sample = document.getElementById("map-sample");
  const key = document.getElementById("map-key");
  const sheet = data.sheet ? new Image() : null;
  if (sheet) sheet.src = data.sheet;
  const element = (name, text) => Object.assign(document.createElement(name), {textContent: text});
  const part = (at, place, zoom) => {
    const box = document.createElement("span");
    box.className = "thumb";
    box.setAttribute("role", "img");
    const [w, h] = [data.wide * zoom, data.tall * zoom];
    const x = (at % data.columns * 3 + place) * w, y = Math.floor(at / data.columns) * h;
    box.style.cssText = `width:${w}px;height:${h}px;background-image:url(${data.sheet});`
      + `background-size:${data.columns * 3 * w}px auto;background-position:-${x}px -${y}px`;
    return box;
  };
  const words = at => `Sample ${data.of[at] + 1}`
    + (data.class.length ? `, ${data.class[at]}` : "") + `, MSE ${data.error[at]}`;
  const show = at => {
    const line = element("p", words(at));
    const pictures = document.createElement("p");
    if (sheet) ["original", "reconstruction", "absolute error"].forEach((name, place) => {
      const box = part(at, place, Math.max(1, Math.round(84 / data.wide)));
      box.setAttribute("aria-label", name);
      box.title = name;
      pictures.append(box, " ");
    });
    shown.replaceChildren(line, pictures, ...(sheet ? [element("p", `original, reconstruction, absolute error (white: ${data.top})`)] : []));
  };
  window.hourglassMap = {
    point: indices => { if (indices.length) { show(indices[0]); sample.value = indices[0] + 1; } },
    lasso: indices => {
      if (!indices.length) { lassoed.replaceChildren(); return; }
      const mean = indices.reduce((sum, at) => sum + data.error[at], 0) / indices.length;
      const counts = {};
      for (const at of indices) if (data.class.length) counts[data.class[at]] = (counts[data.class[at]] ?? 0) + 1;
      const classes = Object.entries(counts).sort((a, b) => b[1] - a[1]).map(([name, n]) => `${name}: ${n}`).join(", ");
      const gallery = document.createElement("div");
      gallery.className = "lassoed";
      if (sheet) for (const at of indices.slice(0, 60)) {
        const box = part(at, 0, Math.max(1, Math.round(28 / data.wide)));
        box.setAttribute("aria-label", words(at));
        gallery.append(box);
      }
      lassoed.replaceChildren(element("p", `${indices.length} chosen, mean MSE ${mean.toPrecision(3)}`
        + (classes ? `; ${classes}` : "")), gallery);
    },
  };
  const paint = source => {
    const name = colour.value, byClass = name === "class" && data.classes;
    const palette = byClass ? data.classes : data.viridis;
    source.data.colour = data.shades[name].map(level => palette[level]);
    source.change.emit();
    const entry = (text, ink) => { const one = element("span", text); one.style.setProperty("--c", ink); return one; };
    key.replaceChildren(...(byClass ? data.names.map((one, at) => entry(one, palette[at])) : [
      entry(`${name} ${data.ends[name][0]}`, palette[0]), entry("to", palette[127]), entry(`${data.ends[name][1]}`, palette[254])]));
  };
  sample.addEventListener("input", () => {
    const at = parseInt(sample.value, 10) - 1;
    if (at >= 0 && at < data.of.length) show(at);
  });
  Bokeh.embed.embed_item(item, "map-plot").then(view => {
    const source = Object.values(view.roots ?? []).map(root => root.model.renderers).flat()[0].data_source;
    paint(source);
    colour.addEventListener("change", () => paint(source));
    document.getElementById("map-plot").dataset.ready = "true";
  });
  show(0);
})();
