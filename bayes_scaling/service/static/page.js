// The page: one plan or two, the link that brings them back, the look, and any other question.

import { Plan, table } from "./plan.js";
import { ask, get, Refusal, useToken } from "./service.js";

const byId = (id) => document.getElementById(id);
const NUMBERS = ["compute", "target", "params", "tokens"];
const TEXTS = ["fit", "observation", "unit", "device"];
let plans = [];
let known;
let document_;
let proposed;

/** What the link says of a plan. */
function read(link, letter) {
  const state = { unit: "flop", device: "h100", group: {}, override: false };
  for (const name of NUMBERS) {
    const number = Number(link.get(`${letter}.${name}`) ?? NaN);
    state[name] = Number.isFinite(number) && number > 0 ? number : null;
  }
  for (const name of TEXTS) if (link.has(`${letter}.${name}`)) state[name] = link.get(`${letter}.${name}`);
  for (const [key, label] of link) if (key.startsWith(`${letter}.group.`)) state.group[key.slice(letter.length + 7)] = label;
  state.override = link.get(`${letter}.override`) === "true";
  return state;
}

function write() {
  const link = new URLSearchParams();
  for (const { letter, state } of plans) {
    for (const name of NUMBERS) if (state[name]) link.set(`${letter}.${name}`, String(Number(state[name].toPrecision(6))));
    for (const name of TEXTS) if (state[name]) link.set(`${letter}.${name}`, state[name]);
    for (const [name, label] of Object.entries(state.group)) link.set(`${letter}.group.${name}`, label);
    if (state.override) link.set(`${letter}.override`, "true");
  }
  history.replaceState(null, "", `#${link}`);
  if (byId("fields").value === proposed) chosen();
}

function tell(text) {
  byId("told").textContent = text;
}

function add(letter, state) {
  if (!known.fits.some((fit) => fit.id === state.fit)) state.fit = (known.fits.find((fit) => fit.converged) ?? known.fits[0]).id;
  const plan = new Plan(letter, state, known.fits, known.devices, write);
  plans.push(plan);
  byId("plans").append(plan.node);
  return plan.load().then(write);
}

function compared() {
  byId("plans").classList.toggle("two", plans.length > 1);
  byId("compare").setAttribute("aria-pressed", String(plans.length > 1));
}

async function start() {
  byId("login").hidden = true;
  try {
    const listed = await get("/fits");
    document_ = await get("/openapi.json");
    const about = document_.paths["/fits/{fit}/cost"].post.requestBody.content["application/json"].schema.properties.device.description;
    known = { fits: listed.fits.filter((fit) => !fit.problem), devices: about.match(/[a-z]+_?[a-z]*\d+/g) };
    if (!known.fits.length) {
      tell("There are no fits in the folder: put one there, written by `bayes-scaling fit`.");
      return;
    }
    tell(listed.more ? "The first hundred fits are listed." : "");
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    byId("login").hidden = error.status !== 401;
    tell(error.status === 401 ? "" : error.message);
    return;
  }
  questions();
  plans = [];
  byId("plans").replaceChildren();
  const link = new URLSearchParams(location.hash.slice(1));
  const loads = [add("A", read(link, "A"))];
  if ([...link.keys()].some((name) => name.startsWith("B."))) loads.push(add("B", read(link, "B")));
  compared();
  await Promise.all(loads);
}

byId("compare").addEventListener("click", () => {
  if (plans.length > 1) plans.pop().node.remove();
  else add("B", structuredClone(plans[0].state));
  compared();
  write();
});

byId("permalink").addEventListener("click", async () => {
  write();
  try {
    await navigator.clipboard.writeText(location.href);
    tell("The link to these plans was copied.");
  } catch {
    tell("The link to these plans is in the address bar.");
  }
});

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(byId("token").value.trim());
  byId("token").value = "";
  start();
});

document.addEventListener("token", () => {
  byId("login").hidden = false;
});

function look(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  byId("theme").setAttribute("aria-pressed", String(dark));
  return dark;
}

byId("theme").addEventListener("click", () => {
  const theme = look(document.documentElement.dataset.theme) ? "light" : "dark";
  localStorage.setItem("theme", theme);
  look(theme);
});

window.addEventListener("hashchange", start);

/** Every question, from the service's own description of them. */
function questions() {
  const paths = Object.entries(document_.paths).filter(([path, ways]) => path.startsWith("/fits/{fit}/") && ways.post);
  byId("question").replaceChildren(...paths.map(([path]) => new Option(path.slice("/fits/{fit}/".length))));
  byId("question").value = "predict";
  chosen();
}

/** An example with numbers near the runs of the fit, where it names a run, a budget or a loss. */
function nearby(example) {
  const { params, tokens, compute_flops: spent, loss: losses } = plans[0]?.of?.ranges ?? {};
  const beyond = { params: params && 2 * params[1], tokens: tokens && 2 * tokens[1], compute: spent && 10 * spent[1] };
  const near = { ...beyond, most: spent?.[1], target: losses && 0.95 * losses[0], loss: losses && 0.95 * losses[0] };
  return Object.fromEntries(
    Object.entries(example).map(([name, value]) => {
      const number = near[name] === undefined ? undefined : Number(near[name].toPrecision(2));
      return [name, number === undefined ? value : Array.isArray(value) ? [number] : number];
    }),
  );
}

function chosen() {
  const { summary, requestBody } = document_.paths[`/fits/{fit}/${byId("question").value}`].post;
  byId("question-about").textContent = summary;
  proposed = byId("fields").value = JSON.stringify(nearby(requestBody.content["application/json"].example), null, 2);
}

byId("question").addEventListener("change", chosen);

byId("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const into = byId("answer");
  into.replaceChildren();
  const say = (tag, text, name = "") => {
    const line = document.createElement(tag);
    [line.textContent, line.className] = [text, name];
    into.append(line);
  };
  try {
    const answer = await ask(plans[0].state.fit, byId("question").value, JSON.parse(byId("fields").value));
    for (const caveat of [...answer.caveats, ...answer.warnings]) say("p", caveat, "caveat");
    say("p", answer.sentence, "sentence");
    for (const [name, rows] of Object.entries(answer)) {
      if (Array.isArray(rows) && rows.length && typeof rows[0] === "object") {
        say("h3", name.replaceAll("_", " "));
        into.append(table(rows, name));
      }
    }
  } catch (error) {
    say("p", error instanceof SyntaxError ? "The fields are not JSON." : error.message, "caveat");
  }
});

look(localStorage.getItem("theme"));
start();
