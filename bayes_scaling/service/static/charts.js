// Charts as SVG, drawn for the width they have: axes, bands, lines, points, contours. No law is in here.

const SPACE = "http://www.w3.org/2000/svg";
const MARGIN = { left: 62, right: 14, top: 10, bottom: 44 };

function element(name, attributes = {}, children = []) {
  const made = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const at = (axis, value) => (axis.log ? Math.log10(value) : value);

/** Ticks of an axis: powers of ten, or round numbers; few enough for its length. */
export function ticks(axis, length) {
  const [low, high] = axis.domain.map((end) => at(axis, end));
  const most = Math.max(2, Math.floor(length / 60));
  if (axis.log && high - low >= 1.2) {
    const step = Math.max(1, Math.ceil((high - low) / most));
    const found = [];
    for (let power = Math.ceil(low - 1e-9); power <= high + 1e-9; power += step) found.push(10 ** power);
    return found;
  }
  const ends = axis.domain;
  const rough = (ends[1] - ends[0]) / most;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * size).find((each) => each >= rough);
  const found = [];
  for (let tick = Math.ceil(ends[0] / step) * step; tick <= ends[1] + 1e-9 * step; tick += step) found.push(tick);
  return found;
}

function scale(axis, from, to) {
  const [low, high] = axis.domain.map((end) => at(axis, end));
  return (value) => from + ((at(axis, value) - low) / (high - low || 1)) * (to - from);
}

const path = (points) => points.map(([x, y], place) => `${place ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

/** Segments along which a grid has a level, by marching squares: grid[row][column] at ys[row], xs[column], on the axes' scale. */
export function contour(xs, ys, grid, level) {
  const segments = [];
  const between = (a, b, one, two) => one + ((level - a) / (b - a)) * (two - one);
  for (let row = 0; row + 1 < ys.length; row += 1) {
    for (let column = 0; column + 1 < xs.length; column += 1) {
      const [a, b] = [grid[row][column], grid[row][column + 1]];
      const [d, c] = [grid[row + 1][column], grid[row + 1][column + 1]];
      const [left, right, below, above] = [xs[column], xs[column + 1], ys[row], ys[row + 1]];
      const crossings = [];
      if (a > level !== b > level) crossings.push([between(a, b, left, right), below]);
      if (b > level !== c > level) crossings.push([right, between(b, c, below, above)]);
      if (d > level !== c > level) crossings.push([between(d, c, left, right), above]);
      if (a > level !== d > level) crossings.push([left, between(a, d, below, above)]);
      for (let place = 0; place + 1 < crossings.length; place += 2) segments.push([crossings[place], crossings[place + 1]]);
    }
  }
  return segments;
}

const LAYERS = {
  band(layer, x, y) {
    const upper = layer.x.map((value, place) => [x(value), y(layer.upper[place])]);
    const lower = layer.x.map((value, place) => [x(value), y(layer.lower[place])]).reverse();
    return [element("path", { class: `band ${layer.kind ?? ""}`, d: `${path([...upper, ...lower])}Z` })];
  },
  area(layer, x, y) {
    return [element("path", { class: `band ${layer.kind ?? ""}`, d: `${path(layer.x.map((value, place) => [x(value), y(layer.y[place])]))}Z` })];
  },
  line(layer, x, y) {
    const points = layer.x.map((value, place) => [x(value), y(layer.y[place])]);
    return [element("path", { class: `line ${layer.kind ?? ""}`, d: path(points) })];
  },
  points(layer, x, y) {
    return layer.x.map((value, place) => {
      const made = element("circle", { class: "dot", cx: x(value), cy: y(layer.y[place]), r: 3 });
      if (layer.names?.[place]) made.append(element("title", {}, [layer.names[place]]));
      return made;
    });
  },
  here(layer, x, y) {
    const marks = [element("circle", { class: "here", cx: x(layer.x), cy: y(layer.y), r: 6 })];
    if (layer.lower !== undefined) {
      marks.unshift(element("path", { class: "line second", d: path([[x(layer.x), y(layer.lower)], [x(layer.x), y(layer.upper)]]) }));
    }
    return marks;
  },
  rule(layer, x, y, box) {
    const ends = layer.y === undefined ? [[x(layer.x), box.top], [x(layer.x), box.bottom]] : [[box.left, y(layer.y)], [box.right, y(layer.y)]];
    return [element("path", { class: "rule", fill: "none", d: path(ends) })];
  },
  spans(layer, x, y, box) {
    const [left, right] = [Math.max(x(layer.from), box.left), Math.min(x(layer.to), box.right)];
    return [element("rect", { class: "band flat", x: left, y: box.top, width: Math.max(right - left, 1), height: box.bottom - box.top })];
  },
  contours(layer, x, y, box, axes) {
    const [xs, ys] = [layer.x.map((value) => at(axes.x, value)), layer.y.map((value) => at(axes.y, value))];
    const back = (axis, value) => (axis.log ? 10 ** value : value);
    return layer.levels.flatMap((level) => {
      const segments = contour(xs, ys, layer.grid, level).map((ends) => ends.map(([u, v]) => [x(back(axes.x, u)), y(back(axes.y, v))]));
      if (!segments.length) return [];
      const [place] = segments.flat().sort((one, two) => two[0] - one[0] || one[1] - two[1]);
      const label = { x: Math.min(place[0], box.right) - 3, y: Math.max(place[1] - 4, box.top + 10), "text-anchor": "end" };
      return [element("path", { class: "line thin", d: segments.map(path).join("") }), element("text", label, [layer.write(level)])];
    });
  },
};

/** A chart of a width: axes {x, y} with label, domain, log and write; layers, the first lowest. */
export function chart(axes, layers, width, title) {
  const height = Math.round(Math.min(Math.max(0.62 * width, 240), 400));
  const box = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
  const [x, y] = [scale(axes.x, box.left, box.right), scale(axes.y, box.bottom, box.top)];
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": title });
  for (const tick of ticks(axes.x, box.right - box.left)) {
    svg.append(element("path", { class: "grid", d: `M${x(tick)} ${box.top}V${box.bottom}` }));
    svg.append(element("text", { x: x(tick), y: box.bottom + 16, "text-anchor": "middle" }, [axes.x.write(tick)]));
  }
  for (const tick of ticks(axes.y, box.bottom - box.top)) {
    svg.append(element("path", { class: "grid", d: `M${box.left} ${y(tick)}H${box.right}` }));
    svg.append(element("text", { x: box.left - 6, y: y(tick) + 4, "text-anchor": "end" }, [axes.y.write(tick)]));
  }
  const clip = `clip-${Math.random().toString(36).slice(2)}`;
  const inside = { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top };
  svg.append(element("clipPath", { id: clip }, [element("rect", inside)]));
  const drawn = element("g", { "clip-path": `url(#${clip})` });
  for (const layer of layers) drawn.append(...LAYERS[layer.type](layer, x, y, box, axes));
  svg.append(drawn);
  svg.append(element("path", { class: "axis", d: `M${box.left} ${box.top}V${box.bottom}H${box.right}` }));
  svg.append(element("text", { x: (box.left + box.right) / 2, y: height - 8, "text-anchor": "middle" }, [axes.x.label]));
  const turned = `rotate(-90) translate(${-(box.top + box.bottom) / 2} 14)`;
  svg.append(element("text", { transform: turned, "text-anchor": "middle" }, [axes.y.label]));
  return svg;
}

/** A key of a legend, drawn as the layer is. */
export function key(layer) {
  const svg = element("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" });
  const shapes = {
    band: () => element("rect", { class: `band ${layer.kind ?? ""}`, x: 1, y: 1, width: 24, height: 10 }),
    area: () => element("rect", { class: `band ${layer.kind ?? ""}`, x: 1, y: 1, width: 24, height: 10 }),
    spans: () => element("rect", { class: "band flat", x: 1, y: 1, width: 24, height: 10 }),
    points: () => element("circle", { class: "dot", cx: 13, cy: 6, r: 3 }),
    here: () => element("circle", { class: "here", cx: 13, cy: 6, r: 5 }),
    rule: () => element("path", { class: "rule", d: "M1 6H25" }),
    contours: () => element("path", { class: "line thin", d: "M1 6H25" }),
    line: () => element("path", { class: `line ${layer.kind ?? ""}`, d: "M1 6H25" }),
  };
  svg.append(shapes[layer.type]());
  return svg;
}

const LOOKS = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "font-family", "font-size"];

/** A chart as a PNG, at twice its size, with the colours it has on the page. */
export async function png(svg) {
  const copy = svg.cloneNode(true);
  const [from, to] = [[svg, ...svg.querySelectorAll("*")], [copy, ...copy.querySelectorAll("*")]];
  from.forEach((original, place) => {
    const look = getComputedStyle(original);
    for (const name of LOOKS) to[place].setAttribute(name, look.getPropertyValue(name));
  });
  const size = svg.viewBox.baseVal;
  const picture = new Image();
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await picture.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [2 * size.width, 2 * size.height];
  const pen = canvas.getContext("2d");
  pen.fillStyle = getComputedStyle(svg).backgroundColor;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

/** Rows as CSV; texts that a spreadsheet would take for a formula have an apostrophe before them, as those of the command line. */
export function csv(rows) {
  const names = Object.keys(rows[0] ?? {});
  const inert = (text) => (/^'*[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text);
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const cell = (value) => quoted(inert(String(value ?? "")));
  return [names.map(cell).join(","), ...rows.map((row) => names.map((name) => cell(row[name])).join(","))].join("\n");
}
