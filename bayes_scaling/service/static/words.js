// Numbers as people read them: one notation everywhere.

const SUFFIXES = [
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
  [1e3, "K"],
];

function digits(value, count = 3) {
  const rounded = Number(value.toPrecision(count));
  return rounded !== 0 && Math.abs(rounded) < 1e-4 ? rounded.toExponential() : String(rounded);
}

/** A count of parameters, tokens, hours or money: 70.3B. */
export function short(value) {
  if (!Number.isFinite(value)) return "–";
  for (const [size, suffix] of SUFFIXES) {
    if (Math.abs(value) >= 0.9995 * size && Math.abs(value) < 1e15) return digits(value / size) + suffix;
  }
  return Math.abs(value) >= 1e15 ? power(value) : digits(value);
}

/** Compute: 5.76e23. */
export function power(value) {
  const exponent = Math.floor(Math.log10(value) + 1e-9);
  return `${digits(value / 10 ** exponent)}e${exponent}`;
}

export function flop(value) {
  return `${power(value)} FLOP`;
}

/** A loss to four decimals. */
export function loss(value) {
  return Number.isFinite(value) ? value.toFixed(4) : "–";
}

export function percent(share) {
  return `${digits(100 * share)} %`;
}

/** A probability that was counted in draws: no count makes a thing sure, or impossible. */
export function probability(value) {
  if (value < 0.01) return "less than 0.01";
  return value > 0.99 ? "more than 0.99" : value.toFixed(2);
}
