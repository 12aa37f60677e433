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

/** A probability that was counted in draws: no count makes a thing sure, or impossible. */
function probability(value) {
  if (value < 0.01) return "less than 0.01";
  return value > 0.99 ? "more than 0.99" : value.toFixed(2);
}

const power = (value) => Number(value.toPrecision(3)).toExponential().replace("e+", "e");
const amount = (value, unit) => (unit === "FLOP" ? power(value) : short(value));

/** A figure on logarithmic axes: bands, lines, points, and a mark at what is asked. */
function figure(svg, { x, y, bands = [], lines = [], points = [], mark, level, unit }) {
  const [width, height, left, bottom, top] = [Math.max(280, svg.clientWidth || 340), 250, 46, 40, 20];
  const all = [...bands.flatMap((band) => [band.lower, band.upper]), ...lines.map((line) => line.y), points.map((point) => point[1])].flat();
  const finite = all.filter((value) => Number.isFinite(value) && value > 0);
  const across = [...bands, ...lines].flatMap((of) => of.x).concat(points.map((point) => point[0]), mark ? [mark[0]] : []);
  const ends = (values) => [Math.log(Math.min(...values)), Math.log(Math.max(...values))];
  if (!finite.length) return;
  const [x0, x1] = ends(across);
  const [low, high] = ends(mark && mark[1] > 0 ? [...finite, mark[1]] : finite);
  const [y0, y1] = [low - 0.03 * (high - low || 1), high + 0.03 * (high - low || 1)];
  const px = (value) => left + ((Math.log(value) - x0) / (x1 - x0 || 1)) * (width - left - 10);
  const py = (value) => height - bottom - ((Math.log(value) - y0) / (y1 - y0)) * (height - bottom - top);
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
  for (const [at, value] of points) if (Math.log(at) >= x0 - 1e-9 && value > 0) add("circle", { cx: px(at), cy: py(value), r: 2.5, class: "run" });
  if (level && Math.log(level) > y0 && Math.log(level) < y1) add("path", { d: `M${left},${py(level)}H${width - 10}`, class: "level" });
  if (mark && Number.isFinite(mark[1])) {
    add("path", { d: `M${px(mark[0])},${top}V${height - bottom}`, class: "asked" });
    add("circle", { cx: px(mark[0]), cy: py(mark[1]), r: 5, class: "mark" });
  }
  add("path", { d: `M${left},${top}V${height - bottom}H${width - 10}`, class: "axis" });
  for (const value of ticks(x0, x1, Math.floor(width / 90))) {
    const anchor = px(value) > width - 24 ? "end" : "middle";
    add("text", { x: anchor === "end" ? width : px(value), y: height - bottom + 16, class: "tick", "text-anchor": anchor }, amount(value, unit));
  }
  for (const value of ticks(y0, y1, 5)) add("text", { x: left - 6, y: py(value) + 4, class: "tick", "text-anchor": "end" }, number(value));
  add("text", { x: (left + width) / 2, y: height - 6, class: "name", "text-anchor": "middle" }, x);
  add("text", { x: 6, y: 12, class: "name" }, y);
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

/** How a law of size and data spends a budget: on the size of least mean loss. */
class Splitting {
  constructor(observation) {
    Object.assign(this, { observation, ...observation.budget });
    this.axis = "C = 6 N D (FLOP), each at its best size";
    this.lost = "lost by this size";
  }

  compute(run) {
    return this.observation.formulas.compute(run[this.params], run[this.tokens]);
  }

  choice(compute) {
    return this.observation.choice(compute);
  }

  /** The run of a size, by its logarithm. */
  run(compute, logSize) {
    return this.observation.along(compute, logSize);
  }

  losses(compute, logSize) {
    const run = this.run(compute, logSize);
    return { expected: this.observation.expected(run), measured: this.observation.measured(run) };
  }

  /** What is best, and what it is in each draw. */
  best(compute, logSize) {
    const sizes = this.observation.optima(compute);
    const tokens = sizes.map((size) => this.observation.formulas.tokensAt(compute, size));
    return [
      ["N", Math.exp(logSize), sizes],
      ["D", this.run(compute, logSize)[this.tokens], tokens],
    ];
  }

  /** The logarithms of sizes between which a figure shows the loss. */
  ends(compute) {
    const sizes = this.observation.sensible(compute, 0.3);
    return [sizes[0], sizes.at(-1)];
  }
}

/** How a learning curve spends a budget: on the size of least mean loss, trained at the critical batch. */
class Running {
  constructor(observation) {
    const { at, low, high, start } = observation.training;
    [this.params, this.steps, this.batch] = at;
    Object.assign(this, { observation, low, high, start, training: new Training(observation) });
    this.axis = "C = 6 N B S (FLOP), each at its best size and batch";
    this.lost = "lost by this size and batch";
  }

  compute(run) {
    return this.observation.formulas.trainingCompute(run[this.params], run[this.steps], run[this.batch]);
  }

  choice(compute) {
    return this.training.choice(compute);
  }

  /** The run of a size, by its logarithm: its batch is the median of the critical ones. */
  run(compute, logSize) {
    const { low, high } = this.observation.inputs[this.batch];
    const median = interval(this.training.batches(compute, logSize), 0.5)[0];
    const inputs = [];
    inputs[this.params] = Math.exp(logSize);
    inputs[this.batch] = Math.min(Math.max(median, low), high);
    inputs[this.steps] = 1;
    inputs[this.steps] = compute / this.compute(inputs);
    return inputs;
  }

  losses(compute, logSize) {
    return this.training.losses(compute, logSize);
  }

  best(compute, logSize) {
    const run = this.run(compute, logSize);
    const [size, steps, batch] = [this.params, this.steps, this.batch].map((place) => run[place]);
    const chosen = { N: size, D: batch * steps, B: batch, S: steps };
    return Object.entries(this.training.optima(compute)).map(([name, draws]) => [name, chosen[name], draws]);
  }

  ends(compute) {
    const { low, high } = this.observation.inputs[this.params];
    const best = this.training.best(compute);
    return [Math.max(Math.min(...best) - 1.5, Math.log(low)), Math.min(Math.max(...best) + 1.5, Math.log(high))];
  }
}

/** The page's own answers of one observation. */
class Asking {
  constructor(observation, prob, root) {
    Object.assign(this, { observation, prob, root });
    const { inputs, groups, output, runs } = observation;
    this.budget = observation.budget ? new Splitting(observation) : observation.training ? new Running(observation) : null;
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
    if (groups[0].name) sliders.append(this.choosing(groups));
    if (this.budget) {
      this.spending = new Slider("C (FLOP), best size", { ...this.budget, unit: "FLOP" }, () => this.spent());
      sliders.append(this.spending.element);
      root.querySelector(".fan").parentElement.hidden = false;
    }
    sliders.append(...this.inputs.map((slider) => slider.element), this.target.element);
    this.anew();
    new ResizeObserver(() => this.draw()).observe(root);
  }

  /** A field to choose the group by. */
  choosing(groups) {
    const label = Object.assign(document.createElement("label"), { className: "group" });
    const select = document.createElement("select");
    select.append(...groups.map(({ name }, k) => Object.assign(document.createElement("option"), { value: k, textContent: name })));
    select.addEventListener("change", () => {
      this.observation.choose(Number(select.value));
      this.anew();
    });
    select.setAttribute("aria-label", "group");
    label.append(Object.assign(document.createElement("span"), { textContent: "for" }), select);
    return label;
  }

  /** Answer from the draws that there are now. */
  anew() {
    clearTimeout(this.next);
    if (!this.budget) return this.answer();
    this.path = [];
    this.spent();
    this.fan(spaced(Math.log(this.budget.low), Math.log(this.budget.high), 25).map(Math.exp));
  }

  get run() {
    return this.inputs.map((slider) => slider.value);
  }

  /** A budget was asked for: the run is the best one. */
  spent() {
    const compute = this.spending.value;
    const choice = this.budget.choice(compute);
    this.budget.run(compute, choice).forEach((value, k) => this.inputs[k].show(value));
    this.best = { compute, choice };
    this.answer();
  }

  /** An input was moved: where there are budgets, it is what the run spends. */
  moved() {
    if (this.budget) {
      const compute = this.budget.compute(this.run);
      this.spending.show(compute);
      this.best = { compute, choice: this.budget.choice(compute) };
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
    say(`below ${number(this.target.value, 4)}`, Number.isFinite(this.median) ? `probability ${probability(share(measured, this.target.value))}` : "not known here");
    if (this.budget) {
      const { compute, choice } = this.best;
      for (const [name, chosen, draws] of this.budget.best(compute, choice)) {
        const at = name === "N" ? ` at ${power(compute)} FLOP` : "";
        say(`best ${name}${at}`, `${short(chosen)} (optimum ${interval(draws, prob).slice(1).map(short).join(" to ")})`);
      }
      const lost = mean(expected) - mean(this.budget.losses(compute, choice).expected);
      say(this.budget.lost, Number.isFinite(lost) ? number(Math.max(lost, 0), 2) : "not known here");
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

  /** The runs that a figure shows: those of the group, or all where it has none. */
  points(across) {
    const { runs, group } = this.observation;
    const own = runs.group.includes(group) ? runs.y.map((_, k) => k).filter((k) => runs.group[k] === group) : runs.y.map((_, k) => k);
    return own.map((k) => [across(runs.x.map((values) => values[k])), runs.y[k]]);
  }

  /** The loss along the first input, or along the sizes of a budget. */
  slice() {
    const { observation, budget, run } = this;
    const at = budget ? budget.params : 0;
    const { symbol, unit, low, high } = observation.inputs[at];
    const compute = budget && budget.compute(run);
    const xs = spaced(...(budget ? budget.ends(compute) : [Math.log(low), Math.log(high)]), 41);
    const of = (x) => run.map((value, k) => (k === at ? Math.exp(x) : value));
    const losses = xs.map((x) => (budget ? budget.losses(compute, x) : { expected: observation.expected(of(x)), measured: observation.measured(of(x)) }));
    this.picture(".slice", losses, xs.map(Math.exp), [run[at], this.median], {
      x: budget ? `N (${unit}) at ${power(compute)} FLOP` : unit && unit !== "1" ? `${symbol} (${unit})` : symbol,
      unit,
      points: budget || observation.inputs.length > 1 ? [] : this.points((inputs) => inputs[at]),
    });
  }

  /** The forecast over budgets, each at its best size; worked out once it is seen, one budget at a time. */
  fan(budgets) {
    const [compute, ...rest] = budgets;
    if (compute === undefined) return;
    const { root } = this;
    if (root.open === false) {
      root.ontoggle = () => this.fan(budgets);
      return;
    }
    root.ontoggle = null;
    this.path.push([compute, this.budget.losses(compute, this.budget.choice(compute))]);
    if (!rest.length) this.fanned();
    this.next = setTimeout(() => this.fan(rest), 0);
  }

  fanned() {
    if (this.path.length < 2) return;
    this.picture(".fan", this.path.map(([, losses]) => losses), this.path.map(([compute]) => compute), [this.spending.value, this.median], {
      x: this.budget.axis,
      unit: "FLOP",
      points: this.points((inputs) => this.budget.compute(inputs)),
    });
  }

  picture(place, losses, xs, mark, how) {
    const { observation, prob } = this;
    const measured = losses.map((each) => interval(each.measured, prob));
    const expected = losses.map((each) => interval(each.expected, prob));
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
