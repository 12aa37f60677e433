// Asking the service: one place that knows its addresses, the token, and what was asked before.

const answers = new Map();
const MOST = 300;

/** A refusal of the service: its sentence, its status. */
export class Refusal extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export function useToken(token) {
  sessionStorage.setItem("token", token);
  answers.clear();
}

export function needsToken() {
  return Boolean(sessionStorage.getItem("token"));
}

function headers() {
  const token = sessionStorage.getItem("token");
  return token ? { authorization: `Bearer ${token}` } : {};
}

async function read(response) {
  if (response.ok) {
    const warnings = JSON.parse(response.headers.get("bayes-scaling-warnings") ?? "[]");
    return { ...(await response.json()), warnings };
  }
  let detail = `The service answered ${response.status}.`;
  try {
    detail = (await response.json()).detail ?? detail;
  } catch {
    // no sentence came with it
  }
  throw new Refusal(response.status, detail);
}

/** What an address gives. */
export async function get(path) {
  return read(await fetch(path, { headers: headers() }));
}

/** The answer of a fit to a question; the same question is asked once. One that comes too often waits and tries again. */
export async function ask(fit, question, fields, signal) {
  const body = JSON.stringify(fields);
  const key = `${fit}/${question}?${body}`;
  if (answers.has(key)) return answers.get(key);
  for (let tries = 0; ; tries += 1) {
    const response = await fetch(`/fits/${encodeURIComponent(fit)}/${question}`, {
      method: "POST",
      headers: { ...headers(), "content-type": "application/json" },
      body,
      signal,
    });
    if ((response.status === 429 || response.status === 503) && tries < 3) {
      await new Promise((go) => setTimeout(go, 1000 * Number(response.headers.get("retry-after") ?? 1)));
      continue;
    }
    const answer = await read(response);
    answers.set(key, answer);
    if (answers.size > MOST) answers.delete(answers.keys().next().value);
    return answer;
  }
}

/** A page of the service, fetched. */
export async function page(path) {
  const response = await fetch(path, { headers: headers() });
  if (!response.ok) await read(response);
  return response.blob();
}
