// Numbers as people read them. Pure.

const NONE = "–";

function digits(value, places = 3) {
  if (value === 0) return "0";
  const size = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(places))))) + 1;
  return value.toFixed(Math.max(0, Math.min(6, places - Math.max(size, 1))));
}

function scaled(value, units, step = 1000) {
  let n = 0;
  while (n < units.length - 1 && Math.abs(value) >= 999.5) {
    value /= step;
    n += 1;
  }
  return `${digits(value)} ${units[n]}`;
}

const known = (value) => typeof value === "number" && Number.isFinite(value);

/** Messages a second. */
export const rate = (value) => (known(value) ? scaled(value, ["Hz", "kHz", "MHz"]) : NONE);

/** A number as it is, in five digits: it may be anything. */
export const number = (value) => (known(value) ? String(Number(value.toPrecision(5))) : NONE);

/** Bytes. */
export const bytes = (value) =>
  Number.isInteger(value) && value < 1000
    ? `${value} B`
    : known(value)
      ? scaled(value, ["B", "kB", "MB", "GB", "TB"])
      : NONE;

/** Bytes a second. */
export const bandwidth = (value) => (known(value) ? `${bytes(value)}/s` : NONE);

/** A part of the whole, from 0 to 1. What is lost at all is never shown as 0. */
export function percent(value) {
  if (!known(value)) return NONE;
  if (value === 0) return "0 %";
  return value < 0.0001 ? "< 0.01 %" : `${digits(value * 100)} %`;
}

/** A time in seconds. */
export function seconds(value) {
  if (!known(value)) return NONE;
  const size = Math.abs(value);
  if (size < 0.0009995) return `${digits(value * 1e6)} µs`;
  if (size < 0.9995) return `${digits(value * 1e3)} ms`;
  return size < 120 ? `${digits(value)} s` : `${Math.round(value / 60)} min`;
}

/** A count. */
export const count = (value) => (known(value) ? value.toLocaleString("en-US") : NONE);

/** A moment, in seconds since 1970, on this computer's clock. */
export function clock(value) {
  return known(value) ? new Date(value * 1000).toLocaleTimeString("en-GB") : NONE;
}

/** A number and what it counts: "1 topic", "2 topics". */
export const several = (number, what) => `${count(number)} ${what}${number === 1 ? "" : "s"}`;

/** What was lost, by cause, in words. */
export function causes(lost) {
  return Object.entries(lost ?? {})
    .filter(([, number]) => number > 0)
    .sort((one, other) => other[1] - one[1])
    .map(([cause, number]) => `${cause} ${count(number)}`)
    .join(", ");
}

/** A name that is too long, without its middle. */
export function shortened(text, length) {
  if (text.length <= length) return text;
  const end = Math.floor((length - 1) * 0.6);
  return `${text.slice(0, length - 1 - end)}…${text.slice(-end)}`;
}
