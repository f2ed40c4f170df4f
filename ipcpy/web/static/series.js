// The values of one field over time, as the server thinned them, and several of them on one axis. Pure.

const MOST = 20000; // columns of one series that are kept

export class Series {
  constructor() {
    this.t = [];
    this.low = [];
    this.high = [];
    this.samples = 0; // messages behind what came last
    this.thinned = false;
    this.rate = null;
  }

  /** Take a "points" message: columns from its `since` on replace those that are there. */
  take({ since, t, low, high, reset, samples, thinned, rate }) {
    if (reset) this.#cut(0);
    else if (since !== null && since !== undefined) {
      let kept = this.t.length;
      while (kept > 0 && this.t[kept - 1] >= since) kept -= 1;
      this.#cut(kept);
    }
    for (let n = 0; n < t.length; n += 1) {
      this.t.push(t[n]);
      this.low.push(low[n]);
      this.high.push(high[n]);
    }
    Object.assign(this, { samples, thinned, rate });
    if (this.t.length > MOST) this.#drop(this.t.length - MOST);
  }

  /** Forget what is older than a moment, but for one column: the line comes from there. */
  trim(before) {
    let n = 0;
    while (n + 1 < this.t.length && this.t[n + 1] < before) n += 1;
    if (n > 200) this.#drop(n);
  }

  /** Return the newest value, null where there is none. */
  get newest() {
    return this.high[this.high.length - 1] ?? null;
  }

  #cut(length) {
    this.t.length = this.low.length = this.high.length = length;
  }

  #drop(n) {
    this.t.splice(0, n);
    this.low.splice(0, n);
    this.high.splice(0, n);
  }
}

/** Return the points of a line: a column with extremes becomes two of them, one above the other. */
export function points({ t, low, high }) {
  const x = [],
    y = [];
  for (let n = 0; n < t.length; n += 1) {
    const both = low[n] !== high[n];
    const rising = both && n > 0 && high[n - 1] !== null && high[n - 1] <= low[n];
    x.push(t[n]);
    y.push(both && !rising && n > 0 ? high[n] : low[n]);
    if (both) {
      x.push(t[n]);
      y.push(rising || n === 0 ? high[n] : low[n]);
    }
  }
  return [x, y];
}

/**
 * Return lines on one axis, as uPlot wants them: [x, y of the first, y of the second, ...].
 *
 * Where a line has no point, its y is undefined, which is drawn across; null, a value that is no number, is a gap.
 */
export function merged(lines) {
  const heads = lines.map(() => 0);
  const x = [],
    all = lines.map(() => []);
  for (;;) {
    let next = Infinity;
    lines.forEach(([t], n) => {
      if (heads[n] < t.length && t[heads[n]] < next) next = t[heads[n]];
    });
    if (next === Infinity) return [x, ...all];
    x.push(next);
    lines.forEach(([t, y], n) => {
      const here = heads[n] < t.length && t[heads[n]] === next;
      all[n].push(here ? y[heads[n]] : undefined);
      if (here) heads[n] += 1;
    });
  }
}
