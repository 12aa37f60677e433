// Compute-optimal training of a learning curve: what size, batch, steps and data a compute buys, at the critical batch.

const REACH = Math.log(100);
const FINE = 0.1;
const WIDE = 0.3;

/** The learning curve of an observation, its discrepancy and noise with it. */
class Training {
  constructor(observation) {
    Object.assign(this, observation.training);
    this.observation = observation;
    this.formulas = observation.formulas;
  }

  /** What the law expects of a size that is trained at its critical batch as far as a compute takes it. */
  #law(compute, size, row) {
    const logLeft = newton((x) => this.formulas.computeExcess(x, compute, size, ...row), 0, 60, 1e-12);
    return this.formulas.converged(size, ...row) + Math.exp(logLeft);
  }

  /** What a draw expects and measures of a size, by the logarithm of it. */
  #losses(compute, logSize, draw) {
    const { rows } = this.observation;
    const size = Math.exp(logSize);
    const law = this.#law(compute, size, rows[draw]);
    return this.formulas.ofLaw(law, this.#added(size, law, draw), ...rows[draw]);
  }

  #added(size, law, draw) {
    if (!this.along.length) return 0;
    const amounts = this.formulas.atCriticalBatch(size, law, ...this.observation.rows[draw]);
    const inside = this.along.map((k) => Math.min(Math.max(amounts[k], 1), this.most[k]));
    return this.observation.added(inside, draw);
  }

  /** The logarithm of the best size of each draw; of the budget asked last it is remembered. */
  best(compute) {
    if (this.asked !== compute) [this.asked, this.found] = [compute, this.#find(compute)];
    return this.found;
  }

  #find(compute) {
    const spent = this.formulas.leastCompute(compute);
    return this.observation.rows.map((row, draw) => {
      const logT = newton((x) => this.formulas.efficientExcess(x, spent, ...row), Math.LN2, 20, 1e-13);
      const ofLaw = Math.log(this.formulas.efficientSize(logT, ...row));
      if (!this.along.length) return ofLaw;
      const loss = (x) => this.#losses(spent, x, draw)[0];
      return minimise(loss, ofLaw - REACH, ofLaw + REACH, Math.ceil((2 * REACH) / FINE) + 1, 16);
    });
  }


  /** The critical batch of each draw of a size that a compute is spent on. */
  batches(compute, logSize) {
    const spent = this.formulas.leastCompute(compute);
    const size = Math.exp(logSize);
    return this.observation.rows.map((row) => this.formulas.atCriticalBatch(size, this.#law(spent, size, row), ...row)[3]);
  }

  /** Size, batch, steps and data of the best run in each draw. */
  optima(compute) {
    const spent = this.formulas.leastCompute(compute);
    const runs = this.best(compute).map((logSize, draw) => {
      const row = this.observation.rows[draw];
      const size = Math.exp(logSize);
      const [, steps, , batch, tokens] = this.formulas.atCriticalBatch(size, this.#law(spent, size, row), ...row);
      return { N: size, D: tokens, B: batch, S: steps };
    });
    return Object.fromEntries(["N", "D", "B", "S"].map((name) => [name, Float64Array.from(runs, (run) => run[name])]));
  }

  /** What is expected and what is measured in each draw of a size that a compute is spent on. */
  losses(compute, logSize) {
    const spent = this.formulas.leastCompute(compute);
    const each = this.observation.rows.map((_, draw) => this.#losses(spent, logSize, draw));
    return { expected: Float64Array.from(each, ([value]) => value), measured: Float64Array.from(each, ([, value]) => value) };
  }

  /** The logarithm of the size that makes the mean loss least over all draws. */
  choice(compute) {
    const best = this.best(compute);
    const [low, high] = [Math.min(...best) - 0.1, Math.max(...best) + 0.1];
    const risk = (x) => mean(this.losses(compute, x).expected);
    return minimise(risk, low, high, Math.max(13, Math.ceil((high - low) / WIDE) + 1), 18);
  }
}
