// Live plots: any fields of any topics, several in one. Knows uPlot and the document; what comes is series.js.

import { el, say } from "./dom.js";
import { rate, shortened } from "./format.js";
import { Series, merged, points } from "./series.js";
import uPlot from "./vendor/uplot/uPlot.esm.js";

const HEIGHT = 230,
  REDRAW = 100; // px, ms
const WINDOWS = [5, 10, 30, 60, 300]; // seconds
const COLOURS = 8; // --series-0 ... in style.css
const MOST_SERIES = 16,
  MOST_PLOTS = 24;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const moment = (at, step) => {
  const time = new Date(at * 1000).toLocaleTimeString("en-GB");
  const places = step >= 1 ? 0 : Math.min(6, Math.ceil(-Math.log10(step)));
  return places ? time + (at - Math.floor(at)).toFixed(places).slice(1) : time;
};
const number = (value) => (typeof value === "number" ? String(Number(value.toPrecision(6))) : "–");

/** One plot: its series, a window of time that follows the clock, or one that stands still. */
class Plot {
  constructor(plots, id, { series = [], seconds = 30 }) {
    this.plots = plots;
    this.id = id;
    this.seconds = WINDOWS.includes(seconds) ? seconds : 30;
    this.still = null; // {from, to} while it does not follow
    this.series = [];
    this.next = 0;
    this.chart = null;
    this.canvas = el("div", { class: "canvas" });
    this.legend = el("ul", { class: "series" });
    this.note = el("span", { class: "note", role: "status" });
    this.pauser = el("button", {
      type: "button",
      class: "pause",
      on: { click: () => this.pause(this.still === null) },
    });
    this.windows = el(
      "select",
      { "aria-label": "Seconds shown", on: { change: () => this.#setWindow() } },
      ...WINDOWS.map((seconds) =>
        el("option", { value: seconds, text: seconds < 60 ? `${seconds} s` : `${seconds / 60} min` }),
      ),
    );
    this.windows.value = this.seconds;
    const close = el("button", {
      type: "button",
      class: "close",
      title: "Close this plot",
      text: "✕",
      on: { click: () => plots.close(this) },
    });
    this.element = el(
      "article",
      { class: "plot", data: { plot: id } },
      el("header", {}, this.legend, this.note, this.windows, this.pauser, close),
      this.canvas,
    );
    this.canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    new ResizeObserver(() => this.#resize()).observe(this.canvas);
    this.seen = true;
    new IntersectionObserver((all) => this.#see(all.at(-1).isIntersecting)).observe(this.element);
    for (const each of series) this.#add(each);
    this.pause(false);
  }

  #add({ topic, field }) {
    if (this.series.length >= MOST_SERIES || this.series.some((each) => each.topic === topic && each.field === field))
      return;
    const used = new Set(this.series.map((each) => each.colour));
    const free = Array.from({ length: COLOURS }, (_, n) => n).find((n) => !used.has(n)) ?? this.series.length % COLOURS;
    this.series.push({ id: `${this.id}.${this.next++}`, topic, field, colour: free, values: new Series() });
  }

  add(topic, field) {
    this.#add({ topic, field });
    this.rebuild();
    this.plots.changed();
  }

  #remove(series) {
    this.series = this.series.filter((each) => each !== series);
    if (!this.series.length) this.plots.close(this);
    else {
      this.rebuild();
      this.plots.changed();
    }
  }

  #setWindow() {
    this.seconds = Number(this.windows.value);
    this.pause(false);
  }

  /** Stand still, so that one can look and zoom, or follow the clock again. */
  pause(still, view = null) {
    this.still = still ? (view ?? this.still ?? this.view()) : null;
    say(this.pauser, still ? "▶ Follow" : "❚❚ Pause");
    this.pauser.title = still ? "Follow again (Space, or a double click)" : "Stand still (Space)";
    this.element.classList.toggle("still", still);
    this.plots.changed();
    this.draw();
  }

  /** Return what is shown: {from, to}, seconds since 1970. */
  view() {
    const now = this.plots.store.now();
    return this.still ?? { from: now - this.seconds, to: now };
  }

  wants() {
    const columns = Math.max(50, Math.round((this.canvas.clientWidth || 800) * Math.min(2, devicePixelRatio)));
    const still = this.still === null ? {} : this.still;
    return this.series.map(({ id, topic, field }) => ({ id, topic, field, seconds: this.seconds, columns, ...still }));
  }

  /** Make the chart anew: its series, or the theme, are others. */
  rebuild() {
    this.chart?.destroy();
    this.chart = null;
    this.#showLegend();
    if (!this.canvas.clientWidth) return;
    const axis = {
      stroke: colour("--dim"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1 },
    };
    const line = (each) => ({ label: "", stroke: colour(`--series-${each.colour}`), width: 1.5 });
    this.chart = new uPlot(
      {
        width: this.canvas.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        scales: {
          x: {
            time: true,
            range: () => {
              const { from, to } = this.view();
              return [from, to];
            },
          },
        },
        series: [{}, ...this.series.map(line)],
        axes: [
          {
            ...axis,
            size: 34,
            space: 80,
            values: (_u, splits, _axis, _space, step) => splits.map((at) => moment(at, step)),
          },
          { ...axis, size: 62, values: (_, ticks) => ticks.map(number) },
        ],
        cursor: {
          drag: { x: true, y: false, setScale: false },
          bind: {
            dblclick: () => () => {
              this.pause(false);
              return null;
            },
          },
        },
        hooks: { setSelect: [(chart) => this.#selected(chart)], setCursor: [() => this.#showValues()] },
      },
      this.#data(),
      this.canvas,
    );
  }

  #data() {
    return merged(this.series.map((each) => points(each.values)));
  }

  #selected(chart) {
    const { left, width } = chart.select;
    if (width < 4) return;
    const view = { from: chart.posToVal(left, "x"), to: chart.posToVal(left + width, "x") };
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.pause(true, view);
  }

  #wheel(event) {
    if (!this.chart || (!event.ctrlKey && this.still === null && !event.shiftKey)) return; // the page scrolls
    event.preventDefault();
    const { from, to } = this.view();
    const over = this.chart.over.getBoundingClientRect();
    const part = Math.max(0, Math.min(1, (event.clientX - over.left) / over.width));
    const span = Math.max(0.001, Math.min(3600, (to - from) * Math.exp(event.deltaY * 0.002)));
    const at = from + (to - from) * part;
    this.pause(true, { from: at - span * part, to: at + span * (1 - part) });
  }

  /** Whether it can be seen: what is scrolled away is not drawn. */
  #see(seen) {
    this.seen = seen;
    if (seen) this.draw();
  }

  #resize() {
    const width = this.canvas.clientWidth;
    if (!width) return;
    if (!this.chart) this.rebuild();
    else if (width !== this.chart.width) {
      this.chart.setSize({ width, height: HEIGHT });
      this.plots.changed();
    }
  }

  draw() {
    if (!this.chart || !this.seen || !this.canvas.clientWidth) return;
    const { from, to } = this.view();
    this.chart.batch(() => {
      this.chart.setData(this.#data(), false);
      this.chart.setScale("x", { min: from, max: to });
    });
    this.#showValues();
  }

  #showLegend() {
    this.legend.replaceChildren(
      ...this.series.map((each) => {
        const mark = el("span", { class: "mark" });
        mark.style.background = `var(--series-${each.colour})`;
        each.value = el("output", { text: "–" });
        const name = `${this.plots.nameOf(each.topic)}${each.field ? ` ${each.field}` : ""}`;
        const remove = el("button", {
          type: "button",
          title: `Take ${name} out`,
          text: "✕",
          on: { click: () => this.#remove(each) },
        });
        return el(
          "li",
          { title: name, data: { field: each.field } },
          mark,
          el("span", { class: "name", text: shortened(name, 44) }),
          each.value,
          remove,
        );
      }),
    );
  }

  #showValues() {
    const at = this.chart?.cursor.idx;
    this.series.forEach((each, n) => {
      const value =
        at === null || at === undefined ? each.values.newest : (this.chart.data[n + 1]?.[at] ?? each.values.newest);
      say(each.value, number(value));
    });
    const thinned = this.series.find((each) => each.values.thinned);
    say(this.note, thinned ? `thinned: of ${rate(thinned.values.rate)}, the least and greatest of each column` : "");
  }
}

export class Plots {
  /** @param changed is called when the page needs other values, or has other plots. */
  constructor(place, store, changed) {
    this.store = store;
    this.told = changed;
    this.plots = [];
    this.next = 0;
    this.loading = false;
    this.empty = el("p", { class: "empty", text: "Choose a topic, and + beside a number of its newest message." });
    this.list = el("div", { class: "list" });
    place.append(this.empty, this.list);
    store.on("points", (message) => this.#take(message));
    store.on("hello graph", () => this.#names());
    setInterval(() => this.#tick(), REDRAW);
  }

  /** Show the plots that were kept: [{series: [{topic, field}], seconds}]. */
  load(kept) {
    this.loading = true;
    for (const each of kept.slice(0, MOST_PLOTS))
      if (Array.isArray(each.series) && each.series.length) this.#open(each);
    this.loading = false;
  }

  keep() {
    return this.plots.map(({ series, seconds }) => ({
      series: series.map(({ topic, field }) => ({ topic, field })),
      seconds,
    }));
  }

  /** Plot a field: in the newest plot that is there, or in one of its own. */
  add(topic, field, { apart = false } = {}) {
    const last = this.plots[this.plots.length - 1];
    if (last && (!apart || this.plots.length >= MOST_PLOTS)) last.add(topic, field);
    else this.#open({ series: [{ topic, field }] });
    this.changed();
  }

  #open(kept) {
    const plot = new Plot(this, `p${this.next++}`, kept);
    this.plots.push(plot);
    this.list.append(plot.element);
    this.empty.hidden = true;
    plot.rebuild();
  }

  close(plot) {
    this.plots = this.plots.filter((each) => each !== plot);
    plot.chart?.destroy();
    plot.element.remove();
    this.empty.hidden = this.plots.length > 0;
    this.changed();
  }

  changed() {
    if (!this.loading) this.told();
  }

  wants() {
    return this.plots.flatMap((plot) => plot.wants());
  }

  /** Let all plots stand still, or follow again if all do. */
  pauseAll() {
    const still = this.plots.some((plot) => plot.still === null);
    for (const plot of this.plots) plot.pause(still);
  }

  /** Take the colours of another theme. */
  repaint() {
    for (const plot of this.plots) plot.rebuild();
  }

  nameOf(id) {
    const topic = this.store.topics.get(id);
    if (!topic) return id;
    return this.store.manyDomains && topic.domain ? `${topic.domain}:${topic.topic}` : topic.topic;
  }

  #names() {
    for (const plot of this.plots) {
      for (const [n, each] of plot.series.entries()) {
        const name = `${this.nameOf(each.topic)}${each.field ? ` ${each.field}` : ""}`;
        const item = plot.legend.children[n];
        item.title = name;
        say(item.querySelector(".name"), shortened(name, 44));
      }
    }
  }

  #take(message) {
    for (const plot of this.plots) {
      const series = plot.series.find((each) => each.id === message.id);
      if (series) {
        series.values.take(message);
        if (plot.still === null) series.values.trim(plot.view().from);
        else plot.draw();
      }
    }
  }

  #tick() {
    if (!document.hidden) for (const plot of this.plots) if (plot.still === null) plot.draw();
  }
}
