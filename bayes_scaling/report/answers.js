// Answers from draws: what is predicted of a run, and the best run of a budget. It knows nothing of the page.

const unpack = (text, Kind) => new Kind(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);

/** A quantile of numbers in order, straight between them. */
function quantile(sorted, at) {
  const place = (sorted.length - 1) * at;
  const below = Math.floor(place);
  return sorted[below] + (place - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
}

/** Median and ends of the equal-tailed interval. */
function interval(draws, prob) {
  const sorted = Float64Array.from(draws).sort();
  return [0.5, (1 - prob) / 2, (1 + prob) / 2].map((at) => quantile(sorted, at));
}

const mean = (draws) => draws.reduce((sum, value) => sum + value, 0) / draws.length;
const share = (draws, below) => draws.reduce((sum, value) => sum + (value < below), 0) / draws.length;
const spaced = (low, high, count) => Array.from({ length: count }, (_, k) => low + ((high - low) * k) / (count - 1));

const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** Where a function is least between two ends, by golden sections. */
function goldenSection(f, left, right, steps) {
  let inner = right - GOLDEN * (right - left);
  let outer = left + GOLDEN * (right - left);
  let [atInner, atOuter] = [f(inner), f(outer)];
  for (let step = 0; step < steps; step++) {
    if (atInner > atOuter) {
      [left, inner, atInner] = [inner, outer, atOuter];
      outer = left + GOLDEN * (right - left);
      atOuter = f(outer);
    } else {
      [right, outer, atOuter] = [outer, inner, atInner];
      inner = right - GOLDEN * (right - left);
      atInner = f(inner);
    }
  }
  return (left + right) / 2;
}

/** Where a function is least between two ends: the best point of a grid, then golden sections. */
function minimise(f, low, high, grid, steps) {
  const width = (high - low) / (grid - 1);
  const best = leastOf(Array.from({ length: grid }, (_, k) => f(low + (k / (grid - 1)) * (high - low))));
  return goldenSection(f, low + Math.max(best - 1, 0) * width, low + Math.min(best + 1, grid - 1) * width, steps);
}

/** The root of a function that comes with its slope; a step below the tolerance is rest. */
function newton(f, start, steps, tolerance) {
  let x = start;
  for (let step = 0; step < steps; step++) {
    const [value, slope] = f(x);
    const move = -value / slope;
    if (Number.isNaN(move)) return x;
    x += move;
    if (Math.abs(move) < tolerance) return x;
  }
  return x;
}

const leastOf = (values) => values.reduce((best, value, k) => (value < values[best] || Number.isNaN(values[best]) ? k : best), 0);

/** The draws of one observation, and what follows from them. */
class Observation {
  constructor(data, formulas) {
    Object.assign(this, data);
    this.formulas = formulas;
    this.choose(0);
  }

  /** Answer for one of the groups from now on. */
  choose(group) {
    const { values, splines } = this.groups[group];
    this.group = group;
    const columns = values.map((place) => unpack(this.pool[place], Float64Array));
    this.rows = Array.from({ length: this.draws }, (_, draw) => columns.map((column) => column[draw]));
    this.splines = splines.map((spline) => {
      const moves = unpack(this.pool[spline.moves], Int32Array);
      const knots = new Float64Array(moves.length);
      moves.forEach((move, k) => (knots[k] = move + (k < this.draws ? 0 : knots[k - this.draws])));
      return { ...spline, knots: knots.map((value) => value * spline.unit), count: moves.length / this.draws };
    });
  }

  /** Which knots of each spline count where its column has a value, and how much; nothing beyond what the page has. */
  #places(values) {
    const places = this.splines.map(({ first, spacing, knots, count }, k) => {
      const place = (Math.log10(values[k]) - first) / spacing;
      const nearest = Math.floor(place + 0.5);
      if (!(nearest >= 1 && nearest <= count - 2)) return null;
      const off = place - nearest;
      return { knots, at: nearest * this.draws, below: 0.5 * (0.5 - off) ** 2, here: 0.75 - off ** 2, above: 0.5 * (0.5 + off) ** 2 };
    });
    return places.includes(null) ? null : places;
  }

  /** The same at a run. */
  #knots(inputs) {
    const columns = this.formulas.columns(...inputs);
    return this.#places(this.splines.map(({ tracked }) => columns[tracked]));
  }

  /** What the discrepancy adds to the log loss in a draw; not a number beyond what the page has. */
  #added(places, draw) {
    if (places === null) return NaN;
    let sum = 0;
    for (const { knots, at, below, here, above } of places) {
      const k = at + draw;
      sum += below * knots[k - this.draws] + here * knots[k] + above * knots[k + this.draws];
    }
    return sum;
  }

  /** What the discrepancy adds to the log loss in a draw where the column of each spline has a value. */
  added(values, draw) {
    return this.#added(this.#places(values), draw);
  }

  #each(formula, inputs, places) {
    return Float64Array.from(this.rows, (row, draw) => formula(...inputs, this.#added(places, draw), ...row));
  }

  /** The mean loss in each draw: the law and its discrepancy. */
  expected(inputs) {
    return this.#each(this.formulas.expected, inputs, this.#knots(inputs));
  }

  /** What a new run measures in each draw. */
  measured(inputs) {
    return this.#each(this.formulas.measured, inputs, this.#knots(inputs));
  }

  /** The law alone in each draw. */
  law(inputs) {
    return this.#each(this.formulas.expected, inputs, []);
  }

  /** Decades beyond the runs, or below them as a negative number, of every quantity that the runs have. */
  reaches(inputs) {
    const values = this.formulas.columns(...inputs);
    const known = this.tracked.map((of, k) => ({ ...of, value: values[k] })).filter((of) => of.least !== null);
    return known.map(({ symbol, least, most, value }) => [symbol, Math.log10(value / Math.min(Math.max(value, least), most))]);
  }

  /** The run of a budget that has so many parameters, by their logarithm. */
  along(compute, logParams) {
    const inputs = [];
    inputs[this.budget.params] = Math.exp(logParams);
    inputs[this.budget.tokens] = this.formulas.tokensAt(compute, Math.exp(logParams));
    return inputs;
  }

  /** The logarithms of the smallest and the largest size that the page answers for at a budget. */
  sizes(compute) {
    const [params, tokens] = [this.inputs[this.budget.params], this.inputs[this.budget.tokens]];
    const low = Math.max(params.low, this.formulas.paramsAt(compute, tokens.high));
    return [Math.log(low), Math.log(Math.min(params.high, this.formulas.paramsAt(compute, tokens.low)))];
  }

  /** A grid of sizes at which the law loses little enough for its discrepancy to make it good. */
  sensible(compute, step) {
    const [low, high] = this.sizes(compute);
    const grid = spaced(low, high, Math.max(3, Math.ceil((high - low) / step) + 1));
    const losses = grid.map((x) => this.law(this.along(compute, x)));
    const least = Float64Array.from(this.rows, (_, draw) => Math.min(...losses.map((loss) => loss[draw])));
    const good = losses.map((loss) => interval(loss.map((value, draw) => value / least[draw]), 0.9)[0] <= 1.25);
    return grid.slice(Math.max(good.indexOf(true) - 1, 0), good.lastIndexOf(true) + 2);
  }

  /** The logarithm of the size that makes the mean loss least: of the law and its discrepancy, over all draws. */
  choice(compute) {
    const grid = this.sensible(compute, 0.3);
    const risk = (x) => mean(this.expected(this.along(compute, x)));
    const best = leastOf(grid.map(risk));
    return goldenSection(risk, grid[Math.max(best - 1, 0)], grid[Math.min(best + 1, grid.length - 1)], 30);
  }

  /** The size with the least loss in each draw. */
  optima(compute) {
    const grid = this.sensible(compute, 0.1);
    const losses = grid.map((x) => this.expected(this.along(compute, x)));
    const formula = this.formulas.expected;
    return Float64Array.from(this.rows, (row, draw) => {
      const best = leastOf(losses.map((loss) => loss[draw]));
      const ends = [grid[Math.max(best - 1, 0)], grid[Math.min(best + 1, grid.length - 1)]];
      const loss = (x) => {
        const inputs = this.along(compute, x);
        return formula(...inputs, this.#added(this.#knots(inputs), draw), ...row);
      };
      return Math.exp(goldenSection(loss, ...ends, 16));
    });
  }
}
