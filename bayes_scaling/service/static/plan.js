// One plan: a fit, a budget, a run and a target; its controls, and what the service answers about it.

import { chart, csv, key, png } from "./charts.js";
import { ask, get, needsToken, page, Refusal } from "./service.js";
import { flop, loss, percent, power, probability, short } from "./words.js";

const FURTHEST = 3;
const BEYOND = 2.5;
const BUDGETS = 15;
const SIDE = 13;
const PAUSE = 150;

const space = (low, high, count) => Array.from({ length: count }, (_, place) => low * (high / low) ** (place / (count - 1)));
const column = (rows, name) => rows.map((row) => row[name]);
const extent = (...lists) => [Math.min(...lists.flat()), Math.max(...lists.flat())];

function padded([low, high], share = 0.06) {
  const more = share * (high - low || Math.abs(high) || 1);
  return [low - more, high + more];
}

function widened([low, high], times = 1.3) {
  return [low / times, high * times];
}

/** A plan of the page: `state` is what the permalink says of it, `changed` is called when it says something else. */
export class Plan {
  constructor(letter, state, fits, devices, changed) {
    Object.assign(this, { letter, state, fits, devices, changed, charts: new Map(), drawn: 0 });
    const template = document.getElementById("plan");
    this.node = template.content.firstElementChild.cloneNode(true);
    this.node.setAttribute("aria-labelledby", `plan-${letter}`);
    const name = this.find(".name");
    name.id = `plan-${letter}`;
    name.textContent = `Plan ${letter}`;
    for (const input of this.node.querySelectorAll("[data-id]")) input.id = `${letter}-${input.dataset.id}`;
    for (const label of this.node.querySelectorAll("[data-for]")) label.htmlFor = `${letter}-${label.dataset.for}`;
    this.options(this.input("fit"), fits.map((fit) => [fit.id, `${fit.id}${fit.laws ? ` (${fit.laws.join(", ")})` : ""}`]));
    this.options(this.input("device"), devices.map((device) => [device, device]));
    this.find(".controls").addEventListener("submit", (event) => event.preventDefault());
    this.find(".controls").addEventListener("input", (event) => this.moved(event.target));
    this.input("optimal").addEventListener("click", () => this.set({ params: null, tokens: null }));
    new ResizeObserver(() => this.redraw()).observe(this.find(".charts"));
  }

  find(selector) {
    return this.node.querySelector(selector);
  }

  input(name) {
    return this.find(`[data-id="${name}"]`);
  }

  options(select, pairs) {
    select.replaceChildren(...pairs.map(([value, text]) => new Option(text, value)));
  }

  set(changes) {
    Object.assign(this.state, changes);
    this.changed();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.update(), PAUSE);
  }

  moved(input) {
    const name = input.dataset.id;
    const number = 10 ** Number(input.value);
    if (name === "fit") {
      this.state = Object.assign(this.state, { compute: null, params: null, tokens: null, target: null, observation: null, group: {} });
      this.state.fit = input.value;
      this.changed();
      this.load();
    } else if (name === "observation") {
      this.set({ observation: input.value, compute: null, params: null, tokens: null, target: null, group: {} });
      this.load();
    } else if (name === "compute") this.set({ compute: number, params: null, tokens: null });
    else if (name === "params" || name === "tokens") this.set({ [name]: number });
    else if (name === "target") this.set({ target: Number(input.value) });
    else if (name === "override") this.set({ override: input.checked });
    else if (input.dataset.group) this.set({ group: { ...this.state.group, [input.dataset.group]: input.value } });
    else this.set({ [name]: input.value });
    this.say();
  }

  /** Read what is known of the fit, set the sliders to its ranges, and ask. */
  async load() {
    this.charts.clear();
    this.find(".charts").replaceChildren();
    delete this.node.dataset.ready;
    this.node.classList.add("waiting");
    this.input("fit").value = this.state.fit;
    this.caveats([]);
    try {
      this.about = await get(`/fits/${encodeURIComponent(this.state.fit)}`);
    } catch (error) {
      this.refused(error);
      return;
    }
    this.find(".verdict").textContent = this.about.verdict;
    const names = Object.keys(this.about.observations);
    this.options(this.input("observation"), names.map((name) => [name, name]));
    this.find('[data-part="observation"]').hidden = names.length < 2;
    this.state.observation = names.includes(this.state.observation) ? this.state.observation : names[0];
    this.input("observation").value = this.state.observation;
    this.of = this.about.observations[this.state.observation];
    this.several = names.length > 1;
    this.groups();
    const { compute_flops: spent, loss: losses, params, tokens } = this.of.ranges;
    this.flat = this.about.kind === "mixture" || !(params && tokens && spent && losses) || this.of.inputs.slice().sort().join() !== "params,tokens";
    for (const name of ["compute", "params", "tokens", "target"]) this.input(name).disabled = this.flat;
    const report = this.find(".report");
    report.hidden = this.about.kind === "mixture";
    report.onclick = (event) => {
      if (!needsToken()) return;
      event.preventDefault(); // an address cannot bring the token: the report is fetched, and saved
      page(`/fits/${encodeURIComponent(this.state.fit)}/report`).then((made) => save(made, `${this.state.fit}-report.html`));
    };
    report.href = `/fits/${encodeURIComponent(this.state.fit)}/report`;
    if (this.flat) {
      this.caveats(["This fit is not one of a law of parameters and tokens: ask it below, under Ask anything else."]);
      this.find(".plan-run").textContent = this.find(".decision").textContent = "";
      this.find(".tiles").replaceChildren();
      this.find(".gauges").replaceChildren();
      this.done();
      return;
    }
    const furthest = spent[1] * 10 ** BEYOND;
    this.ranges(spent, furthest, params, tokens, losses);
    this.state.compute ??= spent[1] * 10;
    this.say();
    await this.update();
  }

  groups() {
    const fields = Object.entries(this.of.groups).map(([name, labels]) => {
      const field = document.createElement("div");
      field.className = "field";
      const select = document.createElement("select");
      select.id = `${this.letter}-group-${name}`;
      select.dataset.group = name;
      this.options(select, [["", "a new one"], ...labels.map((label) => [label, label])]);
      select.value = this.state.group[name] ?? labels[0] ?? "";
      this.state.group = { ...this.state.group, [name]: select.value };
      const label = document.createElement("label");
      label.htmlFor = select.id;
      label.textContent = `Group: ${name}`;
      field.append(label, select);
      return field;
    });
    if (!fields.length) this.state.group = {};
    this.find(".groups").replaceChildren(...fields);
  }

  ranges(spent, furthest, params, tokens, losses) {
    const decades = (ends) => ends.map((end) => Math.log10(end).toFixed(2));
    const set = (name, [low, high], step) => Object.assign(this.input(name), { min: low, max: high, step });
    set("compute", decades([spent[0], furthest]), "0.01");
    set("params", decades([params[0], params[1] * 30]), "0.01");
    set("tokens", decades([tokens[0], tokens[1] * 30]), "0.01");
    set("target", [(0.5 * losses[0]).toPrecision(3), losses[1].toPrecision(3)], String(10 ** (Math.floor(Math.log10(losses[0])) - 2)));
  }

  /** Write what the sliders say. */
  say() {
    const { compute, target, params, tokens, unit, override, device } = this.state;
    if (!compute) return;
    const money = this.rate && { hours: `${short(compute * this.rate.hours)} GPU-hours`, money: `${short(compute * this.rate.money)} dollars` };
    const said = (money && money[unit]) || flop(compute);
    const run = { params: params ?? this.optimum?.params, tokens: tokens ?? this.optimum?.tokens };
    const told = {
      compute: unit === "flop" || !money ? said : `${said} (${flop(compute)})`,
      target: target ? `${target} ${this.about.loss_unit}` : "",
      params: run.params ? short(run.params) : "",
      tokens: run.tokens ? short(run.tokens) : "",
    };
    for (const [name, text] of Object.entries(told)) {
      this.find(`[data-said="${name}"]`).textContent = text;
      this.input(name).setAttribute("aria-valuetext", text);
    }
    this.input("compute").value = Math.log10(compute);
    if (target) this.input("target").value = target;
    for (const name of ["params", "tokens"]) if (run[name]) this.input(name).value = Math.log10(run[name]);
    this.input("unit").value = unit;
    this.input("device").value = device;
    this.input("override").checked = Boolean(override);
  }

  ask(question, fields) {
    const whole = { ...fields };
    const group = Object.fromEntries(Object.entries(this.state.group).filter(([, label]) => label));
    if (Object.keys(group).length && question !== "cost") whole.group = group;
    if (this.several && question !== "cost") whole.observation = this.state.observation;
    if (this.state.override && question !== "cost") whole.override = true;
    return ask(this.state.fit, question, whole, this.asking.signal);
  }

  /** Ask everything about the plan as it is now; what was asked before and has not come yet is given up. */
  async update() {
    if (this.flat || !this.about) return;
    this.asking?.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    this.node.classList.add("waiting");
    const told = new Map();
    const note = (answer) => {
      for (const line of [...answer.caveats, ...answer.warnings]) told.set(line, true);
      this.caveats([...told.keys()]);
      return answer;
    };
    const { compute, device } = this.state;
    try {
      this.state.target ??= Number((await this.ask("allocate", { compute: [compute] })).median.toPrecision(3));
      const { target } = this.state;
      const decided = note(await this.ask("decide", { compute, target, device }));
      [this.optimum] = decided.allocation;
      const cost = Object.fromEntries(decided.cost.map((row) => [row.cost, row]));
      this.rate = { hours: cost.device_hours.median / compute, money: cost.money.median / compute };
      this.say();
      const run = { params: this.state.params ?? this.optimum.params, tokens: this.state.tokens ?? this.optimum.tokens };
      const here = note(await this.ask("predict", run));
      this.find(".plan-run").textContent = here.sentence.split("\n")[0];
      this.find(".decision").textContent = decided.sentence;
      this.tiles(decided, here, cost);
      this.gauges(here.extrapolation_distance);
      const bent = note(await this.ask("regret", { compute }));
      this.regret(bent);
      const sizes = bent.regret.filter((row, place) => row.relative < 0.2 && place % 2 === 0);
      const slice = await this.ask("predict", { table: sizes.map(({ params, tokens }) => ({ params, tokens })) });
      this.slice(slice.predictions, run, here);
      await this.wide(here);
      this.done();
    } catch (error) {
      if (!signal.aborted) this.refused(error, [...told.keys()]);
    }
  }

  /** What does not change with the sliders: the forecast along budgets, and the map of N and D. */
  async wide(here) {
    const { compute_flops: spent, params, tokens } = this.of.ranges;
    const budgets = space(spent[0], spent[1] * 10 ** BEYOND, BUDGETS);
    const path = (await this.ask("allocate", { compute: budgets })).budgets;
    const chances = (await this.ask("target", { target: this.state.target, compute: budgets })).chances;
    this.fan(path, here, chances);
    const products = this.of.runs.map((run) => run.params * run.tokens);
    const room = Math.log10(Math.max(...products)) + FURTHEST - 0.1 - Math.log10(params[1] * tokens[1]);
    const more = Math.min(Math.max(room / 2, 0), 1.2);
    const [xs, ys] = [params, tokens].map(([low, high]) => space(low, high * 10 ** more, SIDE));
    const table = ys.flatMap((y) => xs.map((x) => ({ params: x, tokens: y })));
    const seen = (await this.ask("predict", { table })).predictions;
    this.map(xs, ys, seen, path, here);
  }

  tiles(decided, here, cost) {
    const width = percent(here.prob);
    const interval = (row, write) => `${width}: ${write(row.lower)} to ${write(row.upper)}`;
    const [chance] = decided.chance;
    const entries = [
      ["Predicted loss of the run", loss(here.median), `${width}: ${loss(here.lower)} to ${loss(here.upper)}`],
      [`Probability that the optimum reaches ${chance.target}`, probability(chance.chance), "of a new run with this budget"],
      ["GPU-hours", short(cost.device_hours.median), interval(cost.device_hours, short)],
      ["Cost, dollars", short(cost.money.median), interval(cost.money, short)],
      ["Compute-optimal N", short(this.optimum.params), `${width}: ${short(this.optimum.params_lower)} to ${short(this.optimum.params_upper)}`],
      ["Compute-optimal D", short(this.optimum.tokens), `${width}: ${short(this.optimum.tokens_lower)} to ${short(this.optimum.tokens_upper)}`],
    ];
    this.find(".tiles").replaceChildren(
      ...entries.map(([name, value, more]) => {
        const tile = document.createElement("div");
        const [term, said, small] = ["dt", "dd", "dd"].map((tag) => document.createElement(tag));
        [term.textContent, said.textContent, small.textContent] = [name, value, more];
        small.className = "small";
        tile.append(term, said, small);
        return tile;
      }),
    );
  }

  gauges(distances) {
    const names = { params: "N", tokens: "D", compute_flops: "C" };
    const rows = Object.entries(distances).flatMap(([name, decades]) => {
      const [label, meter, text] = ["span", "meter", "span"].map((tag) => document.createElement(tag));
      label.textContent = `Extrapolation in ${names[name] ?? name}`;
      Object.assign(meter, { min: 0, max: FURTHEST, low: 1, high: 2, optimum: 0, value: Math.abs(decades) });
      const where = decades > 0 ? "beyond the runs" : decades < 0 ? "below the runs" : "inside the runs";
      text.textContent = decades ? `${Math.abs(decades).toFixed(2)} decades ${where}` : where;
      meter.setAttribute("aria-label", `${label.textContent}: ${text.textContent}`);
      return [label, meter, text];
    });
    this.find(".gauges").replaceChildren(...rows);
  }

  caveats(lines) {
    this.find(".caveats").replaceChildren(
      ...lines.map((line) => {
        const item = document.createElement("li");
        item.textContent = line;
        return item;
      }),
    );
  }

  refused(error, told = []) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Refusal) && !(error instanceof TypeError)) throw error;
    this.caveats([error instanceof Refusal ? error.message : "The service cannot be reached.", ...told]);
    if (error.status === 401) this.node.dispatchEvent(new Event("token", { bubbles: true }));
    this.done();
  }

  /** Say that everything that was asked is there: `data-ready` counts how often. */
  done() {
    this.node.classList.remove("waiting");
    this.node.dataset.ready = String(Number(this.node.dataset.ready ?? 0) + 1);
  }

  fan(path, here, chances) {
    const runs = this.of.runs;
    const x = column(path, "compute_flops");
    const layers = [
      { type: "band", name: "new run, 90 %", x, lower: column(path, "lower"), upper: column(path, "upper") },
      { type: "band", name: "mean loss, 90 %", kind: "inner", x, lower: column(path, "mean_lower"), upper: column(path, "mean_upper") },
      { type: "line", name: "median, compute-optimal", x, y: column(path, "median") },
      { type: "points", name: "runs", x: column(runs, "compute_flops"), y: column(runs, "loss"), names: runs.map((run) => `${run.run_id ?? "run"}: ${run.loss}`) },
      { type: "rule", name: "target", y: this.state.target },
      { type: "here", name: "you are here", x: here.compute_flops, y: here.median, lower: here.lower, upper: here.upper },
    ];
    const axes = {
      x: { label: "compute C, FLOP", domain: widened(extent(x, [here.compute_flops]), 1.2), log: true, write: power },
      y: { label: `loss, ${this.about.loss_unit}`, domain: padded(extent(column(path, "lower"), column(runs, "loss"), [this.state.target])), write: (v) => String(Number(v.toPrecision(4))) },
    };
    const rows = path.map((row, place) => ({ ...row, chance_of_target: chances[place]?.chance }));
    this.show("Forecast along compute", axes, layers, rows);
  }

  map(xs, ys, seen, path, here) {
    const runs = this.of.runs;
    const grid = ys.map((_, row) => xs.map((__, place) => seen[row * xs.length + place].median));
    const [low, high] = extent(grid.flat());
    const levels = space(low, high, 9).slice(1, -1).map((level) => Number(level.toPrecision(3)));
    const band = path.filter((row) => row.params < 3 * xs.at(-1) && row.tokens < 3 * ys.at(-1));
    const ends = (one, other) => [...column(band, one), ...column(band, other).reverse()];
    const layers = [
      { type: "area", name: "compute-optimal N, 90 %", x: ends("params_lower", "params_upper"), y: ends("tokens_upper", "tokens_lower") },
      { type: "contours", name: "equal predicted loss", x: xs, y: ys, grid, levels, write: (level) => String(level) },
      { type: "line", name: "compute-optimal", x: column(band, "params"), y: column(band, "tokens") },
      { type: "points", name: "runs", x: column(runs, "params"), y: column(runs, "tokens"), names: runs.map((run) => `${run.run_id ?? "run"}: ${run.loss}`) },
      { type: "here", name: "you are here", x: here.params, y: here.tokens },
    ];
    const axes = {
      x: { label: "parameters N", domain: widened([xs[0], xs.at(-1)], 1.1), log: true, write: short },
      y: { label: "tokens D", domain: widened([ys[0], ys.at(-1)], 1.1), log: true, write: short },
    };
    this.show("Loss over N and D", axes, layers, seen);
  }

  slice(rows, run, here) {
    const x = column(rows, "params");
    const near = this.of.runs.filter((one) => Math.abs(Math.log10(one.compute_flops / this.optimum.compute_flops)) < 0.1);
    const layers = [
      { type: "band", name: "new run, 90 %", x, lower: column(rows, "lower"), upper: column(rows, "upper") },
      { type: "band", name: "mean loss, 90 %", kind: "inner", x, lower: column(rows, "mean_lower"), upper: column(rows, "mean_upper") },
      { type: "line", name: "median", x, y: column(rows, "median") },
      { type: "points", name: "runs of this budget", x: column(near, "params"), y: column(near, "loss") },
      { type: "here", name: "you are here", x: run.params, y: here.median, lower: here.lower, upper: here.upper },
    ];
    const axes = {
      x: { label: "parameters N", domain: widened(extent(x), 1.1), log: true, write: short },
      y: { label: `loss, ${this.about.loss_unit}`, domain: padded(extent(column(rows, "lower"), column(rows, "upper"))), write: (v) => String(Number(v.toPrecision(4))) },
    };
    this.show(`Sizes at ${flop(this.state.compute)}`, axes, layers, rows, "slice");
  }

  regret(answer) {
    const rows = answer.regret.filter((row) => row.relative < 0.2);
    const flat = answer.near_optimal.find((row) => row.within === 0.01);
    const x = column(rows, "params");
    const layers = [
      { type: "spans", name: `within 1 % of the least loss: ${short(flat.params_lower)} to ${short(flat.params_upper)}`, from: flat.params_lower, to: flat.params_upper },
      { type: "band", name: `regret, ${percent(answer.prob)}`, x, lower: column(rows, "regret_lower"), upper: column(rows, "regret_upper") },
      { type: "line", name: "expected regret", x, y: column(rows, "regret") },
      { type: "line", name: "mean of the worst tenth", kind: "dashed second", x, y: column(rows, "regret_cvar") },
      { type: "rule", name: "size of the plan", x: this.state.params ?? this.optimum.params },
    ];
    const axes = {
      x: { label: "parameters N", domain: widened(extent(x), 1.1), log: true, write: short },
      y: { label: `regret, ${this.about.loss_unit}`, domain: [0, 1.05 * Math.max(...column(rows, "regret_cvar"))], write: (v) => String(Number(v.toPrecision(3))) },
    };
    this.show(`Regret of a size at ${flop(this.state.compute)}`, axes, layers, answer.regret, "regret");
  }

  show(title, axes, layers, rows, name = title) {
    this.charts.set(name, { title, axes, layers, rows });
    this.draw(name);
  }

  redraw() {
    for (const name of this.charts.keys()) this.draw(name);
  }

  draw(name) {
    const { title, axes, layers, rows } = this.charts.get(name);
    let figure = this.find(`figure[data-name="${name}"]`);
    if (!figure) {
      figure = document.createElement("figure");
      figure.dataset.name = name;
      figure.append(...["h3", "div", "ul", "div", "details"].map((tag) => document.createElement(tag)));
      const order = ["Forecast along compute", "Loss over N and D", "slice", "regret"];
      const after = [...this.find(".charts").children].find((other) => order.indexOf(other.dataset.name) > order.indexOf(name));
      this.find(".charts").insertBefore(figure, after ?? null);
    }
    const [heading, place, legend, saving, details] = figure.children;
    const width = Math.max(Math.floor(figure.clientWidth), 280);
    heading.textContent = title;
    const svg = chart(axes, layers, width, `${title}, plan ${this.letter}. The numbers are in the table below it.`);
    place.replaceChildren(svg);
    legend.className = "legend";
    legend.replaceChildren(
      ...layers.map((layer) => {
        const item = document.createElement("li");
        item.append(key(layer), layer.name);
        return item;
      }),
    );
    saving.className = "save";
    if (!saving.children.length) {
      for (const [text, make] of [["PNG", () => png(figure.querySelector("svg[role=img]"))], ["CSV", () => new Blob([csv(this.charts.get(name).rows)], { type: "text/csv" })]]) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = text;
        button.setAttribute("aria-label", `${title} of plan ${this.letter} as ${text}`);
        button.onclick = async () => save(await make(), `${this.state.fit}-${name.toLowerCase().replaceAll(" ", "-")}.${text.toLowerCase()}`);
        saving.append(button);
      }
      const summary = document.createElement("summary");
      summary.textContent = "Numbers";
      const into = document.createElement("div");
      details.append(summary, into);
      details.addEventListener("toggle", () => details.open && into.replaceChildren(table(this.charts.get(name).rows, title)));
    }
    if (details.open) details.lastElementChild.replaceChildren(table(rows, title));
  }
}

function written(name, value) {
  if (name === "compute_flops") return power(value);
  return Math.abs(value) >= 1e4 ? short(value) : String(Number(value.toPrecision(5)));
}

function save(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** Rows as a table that can be scrolled by keys. */
export function table(rows, title) {
  const around = document.createElement("div");
  around.className = "table";
  around.tabIndex = 0;
  around.setAttribute("role", "region");
  around.setAttribute("aria-label", title);
  const made = document.createElement("table");
  const names = Object.keys(rows[0] ?? {});
  const head = made.createTHead().insertRow();
  for (const name of names) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = name.replaceAll("_", " ");
    head.append(cell);
  }
  const body = made.createTBody();
  for (const row of rows.slice(0, 200)) {
    const line = body.insertRow();
    for (const name of names) {
      const value = row[name];
      line.insertCell().textContent = typeof value === "number" ? written(name, value) : String(value ?? "");
    }
  }
  around.append(made);
  return around;
}
