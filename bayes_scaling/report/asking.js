// The part of the page that asks: sliders, what is answered, and two figures. All text is set as text, never as markup.

/** A number to three digits; small and large ones as powers of ten. */
function number(value, digits = 3) {
  if (!Number.isFinite(value)) return "not known here";
  const rounded = Number(value.toPrecision(digits));
  const size = Math.abs(rounded);
  if (size === 0 || (size >= 1e-4 && size < 1e6)) return String(rounded);
  return rounded.toExponential().replace("e+", "e");
}

/** An amount to three digits with the suffix K, M, B or T. */
function short(value) {
  const rounded = Number(value.toPrecision(3));
  const [factor, letter] = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "K"]].find(([factor]) => Math.abs(rounded) >= factor) ?? [1, ""];
  return number(rounded / factor) + letter;
}

const power = (value) => Number(value.toPrecision(3)).toExponential().replace("e+", "e");
const amount = (value, unit) => (unit === "FLOP" ? power(value) : short(value));

/** A figure on logarithmic axes: bands, lines, points, and a mark at what is asked. */
function figure(svg, { x, y, bands = [], lines = [], points = [], mark, level, unit }) {
  const [width, height, left, bottom] = [Math.max(280, svg.clientWidth || 340), 250, 46, 40];
  const all = [...bands.flatMap((band) => [band.lower, band.upper]), ...lines.map((line) => line.y), points.map((point) => point[1])].flat();
  const finite = all.filter((value) => Number.isFinite(value) && value > 0);
  const across = [...bands, ...lines].flatMap((of) => of.x).concat(points.map((point) => point[0]), mark ? [mark[0]] : []);
  const ends = (values) => [Math.log(Math.min(...values)), Math.log(Math.max(...values))];
  if (!finite.length) return;
  const [x0, x1] = ends(across);
  const [low, high] = ends(mark && mark[1] > 0 ? [...finite, mark[1]] : finite);
  const [y0, y1] = [low - 0.03 * (high - low || 1), high + 0.03 * (high - low || 1)];
  const px = (value) => left + ((Math.log(value) - x0) / (x1 - x0 || 1)) * (width - left - 10);
  const py = (value) => height - bottom - ((Math.log(value) - y0) / (y1 - y0)) * (height - bottom - 8);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren();
  const add = (name, attributes, text) => {
    const element = document.createElementNS(svg.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    svg.append(element);
  };
  const path = (xs, ys) => xs.flatMap((at, k) => (Number.isFinite(ys[k]) ? [`${px(at).toFixed(1)},${py(ys[k]).toFixed(1)}`] : [])).join("L");
  for (const { x: xs, lower, upper, of } of bands) {
    const back = path([...xs].reverse(), [...upper].reverse());
    if (back) add("path", { d: `M${path(xs, lower)}L${back}Z`, class: `band ${of}` });
    if (back && of === "new") for (const end of [lower, upper]) add("path", { d: `M${path(xs, end)}`, class: "edge" });
  }
  for (const { x: xs, y: ys } of lines) if (path(xs, ys)) add("path", { d: `M${path(xs, ys)}`, class: "line" });
  for (const [at, value] of points) if (at >= Math.exp(x0) && value > 0) add("circle", { cx: px(at), cy: py(value), r: 2.5, class: "run" });
  if (level && Math.log(level) > y0 && Math.log(level) < y1) add("path", { d: `M${left},${py(level)}H${width - 10}`, class: "level" });
  if (mark && Number.isFinite(mark[1])) {
    add("path", { d: `M${px(mark[0])},8V${height - bottom}`, class: "asked" });
    add("circle", { cx: px(mark[0]), cy: py(mark[1]), r: 5, class: "mark" });
  }
  add("path", { d: `M${left},8V${height - bottom}H${width - 10}`, class: "axis" });
  for (const value of ticks(x0, x1, Math.floor(width / 90))) {
    add("text", { x: px(value), y: height - bottom + 16, class: "tick", "text-anchor": "middle" }, amount(value, unit));
  }
  for (const value of ticks(y0, y1, 5)) add("text", { x: left - 6, y: py(value) + 4, class: "tick", "text-anchor": "end" }, number(value));
  add("text", { x: (left + width) / 2, y: height - 6, class: "name", "text-anchor": "middle" }, x);
  add("text", { x: left + 6, y: 14, class: "name" }, y);
}

/** Round values between two logarithms, about as many as asked. */
function ticks(low, high, count) {
  const decades = (high - low) / Math.LN10;
  if (decades >= count) {
    const step = Math.ceil(decades / count);
    const first = Math.ceil(low / Math.LN10 / step) * step;
    return Array.from({ length: 99 }, (_, k) => 10 ** (first + k * step)).filter((value) => Math.log(value) <= high);
  }
  const [least, most] = [Math.exp(low), Math.exp(high)];
  const rough = (most - least) / count;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = decades < 0.7 ? unit * [1, 2, 5, 10].find((times) => times * unit >= rough) : null;
  if (step) return Array.from({ length: 99 }, (_, k) => Number(((Math.ceil(least / step) + k) * step).toPrecision(12))).filter((v) => v <= most);
  const round = Array.from({ length: 60 }, (_, k) => [1, 2, 5].map((times) => times * 10 ** (Math.floor(low / Math.LN10) + k))).flat();
  const inside = round.filter((value) => value >= least && value <= most);
  return inside.length <= count + 1 ? inside : inside.filter((value) => /^1e/.test(value.toExponential().replace(/\.0+e/, "e")));
}

/** A slider on a logarithmic scale, beside a field for the number. */
class Slider {
  constructor(name, { low, high, start, unit }, changed) {
    const label = document.createElement("label");
    this.unit = unit;
    this.range = Object.assign(document.createElement("input"), { type: "range", min: Math.log(low), max: Math.log(high), step: "any" });
    this.field = Object.assign(document.createElement("input"), { type: "text", inputMode: "decimal", autocomplete: "off" });
    this.range.setAttribute("aria-label", `${name}, slider`);
    this.field.setAttribute("aria-label", name);
    label.append(Object.assign(document.createElement("span"), { textContent: name }), this.field, this.range);
    this.element = label;
    this.element.className = "slider";
    [this.low, this.high] = [low, high];
    this.range.addEventListener("input", () => {
      this.show(Math.exp(Number(this.range.value)));
      changed();
    });
    this.field.addEventListener("change", () => {
      const factor = { K: 1e3, M: 1e6, B: 1e9, T: 1e12 }[this.field.value.trim().slice(-1).toUpperCase()] ?? 1;
      const given = parseFloat(this.field.value) * factor;
      this.show(given > 0 ? given : this.value);
      changed();
    });
    this.show(start);
  }

  /** Set the value, kept between the ends, and say it in the field and to screen readers. */
  show(value) {
    this.value = Math.min(Math.max(value, this.low), this.high);
    this.range.value = Math.log(this.value);
    this.field.value = amount(this.value, this.unit);
    this.range.setAttribute("aria-valuetext", `${this.field.value} ${this.unit}`);
  }
}

/** How far beyond the runs, in a sentence. */
function reach(decades) {
  const outside = decades.filter(([, far]) => Math.abs(far) > 0.005);
  if (!outside.length) return "inside the runs";
  return outside.map(([symbol, far]) => `${Math.abs(far).toFixed(2)} decades ${far > 0 ? "beyond" : "below"} the runs in ${symbol}`).join(", ");
}

const between = ([median, lower, upper], write) => `${write(median)} (${write(lower)} to ${write(upper)})`;

/** The page's own answers of one observation. */
class Asking {
  constructor(observation, prob, root) {
    Object.assign(this, { observation, prob, root });
    const { inputs, budget, output, runs } = observation;
    const changed = () => this.answer();
    const sliders = root.querySelector(".sliders");
    const labelled = ({ symbol, unit }) => (unit && unit !== "1" ? `${symbol} (${unit})` : symbol);
    this.inputs = inputs.map((input, k) => new Slider(labelled(input), input, () => this.moved(k)));
    const sorted = [...runs.y].sort((a, b) => a - b);
    this.target = new Slider(`target: below`, { low: sorted[0] / 4, high: sorted.at(-1), start: sorted[0], unit: output }, changed);
    this.target.show = function (value) {
      Slider.prototype.show.call(this, value);
      this.field.value = number(this.value, 4);
    };
    this.target.show(sorted[0]);
    if (budget) {
      this.budget = new Slider("C (FLOP), best size", { ...budget, unit: "FLOP" }, () => this.spent());
      sliders.append(this.budget.element);
    }
    sliders.append(...this.inputs.map((slider) => slider.element), this.target.element);
    if (budget) {
      root.querySelector(".fan").parentElement.hidden = false;
      this.path = [];
      this.spent();
      this.fan(spaced(Math.log(budget.low), Math.log(budget.high), 25).map(Math.exp));
    } else changed();
    new ResizeObserver(() => this.draw()).observe(root);
  }

  get run() {
    return this.inputs.map((slider) => slider.value);
  }

  /** A budget was asked for: the run is the best one. */
  spent() {
    const inputs = this.observation.along(this.budget.value, this.observation.choice(this.budget.value));
    inputs.forEach((value, k) => this.inputs[k].show(value));
    this.best = inputs;
    this.answer();
  }

  /** An input was moved: where a budget is split, it is what the run spends. */
  moved() {
    if (this.budget) {
      const { params, tokens } = this.observation.budget;
      this.budget.show(this.observation.formulas.compute(this.run[params], this.run[tokens]));
      this.best = null;
    }
    this.answer();
  }

  answer() {
    const { observation, prob, run } = this;
    const [measured, expected] = [observation.measured(run), observation.expected(run)];
    const lines = [];
    const say = (what, text) => lines.push([what, text]);
    this.median = interval(measured, prob)[0];
    say("a new run", between(interval(measured, prob), (value) => number(value, 4)));
    say("mean", between(interval(expected, prob), (value) => number(value, 4)));
    say(`below ${number(this.target.value, 4)}`, Number.isFinite(this.median) ? `probability ${share(measured, this.target.value).toFixed(2)}` : "not known here");
    if (this.budget) {
      const compute = observation.formulas.compute(run[observation.budget.params], run[observation.budget.tokens]);
      const sizes = observation.optima(compute);
      const tokens = sizes.map((size) => observation.formulas.tokensAt(compute, size));
      const chosen = this.best ?? observation.along(compute, observation.choice(compute));
      say(`best N at ${power(compute)} FLOP`, `${short(chosen[observation.budget.params])} (optimum ${interval(sizes, prob).slice(1).map(short).join(" to ")})`);
      say("best D", `${short(chosen[observation.budget.tokens])} (optimum ${interval(tokens, prob).slice(1).map(short).join(" to ")})`);
      const lost = mean(expected) - mean(observation.expected(chosen));
      say("lost by this size", Number.isFinite(lost) ? number(Math.max(lost, 0), 2) : "not known here");
    }
    say("this run is", reach(observation.reaches(run)));
    const list = this.root.querySelector(".answers");
    list.replaceChildren(
      ...lines.flatMap(([what, text]) => [
        Object.assign(document.createElement("dt"), { textContent: what }),
        Object.assign(document.createElement("dd"), { textContent: text }),
      ]),
    );
    this.draw();
  }

  draw() {
    this.slice();
    if (this.budget) this.fanned();
  }

  /** The loss along the first input, or along the sizes of a budget. */
  slice() {
    const { observation, prob, run } = this;
    const at = this.budget ? observation.budget.params : 0;
    const [{ symbol, unit, low, high }] = [observation.inputs[at]];
    const compute = this.budget && observation.formulas.compute(run[observation.budget.params], run[observation.budget.tokens]);
    const ends = this.budget ? observation.sensible(compute, 0.3) : [Math.log(low), Math.log(high)];
    const xs = spaced(ends[0], ends.at(-1), 41);
    const runs = xs.map((x) => (this.budget ? observation.along(compute, x) : run.map((value, k) => (k === at ? Math.exp(x) : value))));
    this.picture(".slice", runs, xs.map(Math.exp), [run[at], this.median], {
      x: this.budget ? `N (${unit}) at ${power(compute)} FLOP` : unit && unit !== "1" ? `${symbol} (${unit})` : symbol,
      unit,
      points: this.budget || observation.inputs.length > 1 ? [] : observation.runs.x[at].map((x, k) => [x, observation.runs.y[k]]),
    });
  }

  /** The forecast over budgets, each at its best size; worked out once, one budget at a time. */
  fan(budgets) {
    const [compute, ...rest] = budgets;
    if (compute === undefined) return;
    this.path.push([compute, this.observation.along(compute, this.observation.choice(compute))]);
    if (!rest.length) this.fanned();
    setTimeout(() => this.fan(rest), 0);
  }

  fanned() {
    const { observation } = this;
    if (this.path.length < 2) return;
    const points = observation.runs.x[observation.budget.params].map((size, k) => [
      observation.formulas.compute(size, observation.runs.x[observation.budget.tokens][k]),
      observation.runs.y[k],
    ]);
    this.picture(".fan", this.path.map(([, run]) => run), this.path.map(([compute]) => compute), [this.budget.value, this.median], {
      x: "C = 6 N D (FLOP), each at its best size",
      unit: "FLOP",
      points,
    });
  }

  picture(place, runs, xs, mark, how) {
    const { observation, prob } = this;
    const measured = runs.map((run) => interval(observation.measured(run), prob));
    const expected = runs.map((run) => interval(observation.expected(run), prob));
    const end = (of, k) => of.map((each) => each[k]);
    figure(this.root.querySelector(place), {
      ...how,
      y: observation.output,
      mark,
      level: this.target.value,
      bands: [
        { x: xs, lower: end(measured, 1), upper: end(measured, 2), of: "new" },
        { x: xs, lower: end(expected, 1), upper: end(expected, 2), of: "mean" },
      ],
      lines: [{ x: xs, y: end(expected, 0) }],
    });
  }
}

if (typeof document !== "undefined") {
  const { prob, observations } = JSON.parse(document.getElementById("draws").textContent);
  const section = document.getElementById("ask");
  section.hidden = false;
  observations.forEach((data, k) => {
    const root = document.createElement(data.name ? "details" : "div");
    root.open = k === 0;
    root.append(section.querySelector("template").content.cloneNode(true));
    if (data.name) root.prepend(Object.assign(document.createElement("summary"), { textContent: data.name }));
    section.append(root);
    new Asking(new Observation(data, FORMULAS[k]), prob, root);
  });
}
