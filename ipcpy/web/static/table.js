// The table of topics: a row each, sorted and filtered. Knows the document. Only rows that can be seen are in it.

import { arrange, eachFrame, el, say, svg } from "./dom.js";
import { bandwidth, causes, count, percent, rate, seconds, several } from "./format.js";
import { level } from "./losses.js";

const HEIGHT = 27,
  BEYOND = 6; // of a row, in px; rows above and below what is seen

const first = (latency) => latency?.[1] ?? null;
const COLUMNS = [
  { key: "topic", name: "Topic", of: (topic) => topic.topic, text: true },
  { key: "domain", name: "Domain", of: (topic) => topic.domain, text: true, many: true },
  { key: "rate", name: "Rate", of: (_, row) => row?.rate },
  { key: "history", name: "", of: (_, row) => row?.rate },
  { key: "bandwidth", name: "Bandwidth", of: (_, row) => row?.bandwidth },
  { key: "loss", name: "Loss", of: (_, row) => row?.loss },
  { key: "latency", name: "Latency", of: (_, row) => first(row?.latency) },
  { key: "publishers", name: "Pub", of: (topic) => topic.publishers.length },
  { key: "subscribers", name: "Sub", of: (topic) => topic.subscribers.length },
];

const names = new Intl.Collator("en", { numeric: true });

/** Return topics in the order of a column: numbers from the greatest, unknown ones last, equal ones by name. */
export function sorted(topics, rows, { by, down }) {
  const column = COLUMNS.find((each) => each.key === by) ?? COLUMNS[0];
  const sign = down ? -1 : 1;
  const keyed = topics.map((topic) => [column.of(topic, rows.get(topic.id)), topic]);
  const byName = (one, other) => names.compare(one[1].topic, other[1].topic) || (one[1].id < other[1].id ? -1 : 1);
  keyed.sort((one, other) => {
    const [a, b] = [one[0] ?? null, other[0] ?? null];
    if (column.text) return sign * names.compare(a, b) || byName(one, other);
    if (a === null || b === null) return (a === null) - (b === null) || byName(one, other);
    return sign * (a - b) || byName(one, other);
  });
  return keyed.map(([, topic]) => topic);
}

export class Table {
  /** @param choose is called with the id of a topic; sort is {by, down}, and resort is called when it was changed. */
  constructor(place, store, { choose, sort, resort }) {
    Object.assign(this, { store, choose, sort, resort, filter: () => true, chosen: null, order: [] });
    this.rows = new Map(); // topic id -> its row
    this.columns = COLUMNS;
    this.head = el("tr");
    this.body = el("tbody");
    this.above = el("tr", { class: "beyond", "aria-hidden": "true" }, el("td"));
    this.below = el("tr", { class: "beyond", "aria-hidden": "true" }, el("td"));
    this.total = el("p", { class: "total", role: "status" });
    this.table = el("table", {}, el("thead", {}, this.head), this.body);
    this.window = el("div", { class: "scroll", tabindex: "0" }, this.table);
    place.append(this.total, this.window);
    this.refresh = eachFrame(() => this.#refresh());
    this.draw = eachFrame(() => this.#draw());
    store.on("graph rows hello", this.refresh);
    this.window.addEventListener("scroll", this.draw, { passive: true });
    new ResizeObserver(this.draw).observe(this.window);
    this.#heads();
  }

  setFilter(filter) {
    this.filter = filter;
    this.refresh();
  }

  setChosen(id) {
    this.chosen = id;
    this.draw();
  }

  /** Choose the topic that is so many rows further down than the chosen one. */
  step(by) {
    if (!this.order.length) return;
    const at = this.order.findIndex((topic) => topic.id === this.chosen);
    const next = at < 0 ? 0 : Math.max(0, Math.min(this.order.length - 1, at + by));
    this.choose(this.order[next].id);
    const top = next * HEIGHT,
      seen = this.window.clientHeight - HEIGHT * 2;
    if (top < this.window.scrollTop) this.window.scrollTop = top;
    else if (top > this.window.scrollTop + seen) this.window.scrollTop = top - seen;
  }

  #heads() {
    this.head.replaceChildren(
      ...this.columns.map((column) => {
        const button = el("button", { type: "button", text: column.name, on: { click: () => this.#sortBy(column) } });
        const sorts = this.sort.by === column.key ? (this.sort.down ? "descending" : "ascending") : null;
        return el("th", { class: column.key, "aria-sort": sorts, scope: "col" }, column.name ? button : null);
      }),
    );
  }

  #sortBy(column) {
    this.sort = { by: column.key, down: this.sort.by === column.key ? !this.sort.down : !column.text };
    this.#heads();
    this.resort(this.sort);
    this.refresh();
  }

  #refresh() {
    const columns = COLUMNS.filter((column) => !column.many || this.store.manyDomains);
    if (columns.length !== this.columns.length) {
      this.columns = columns;
      this.rows.clear();
      this.#heads();
    }
    const all = [...this.store.topics.values()];
    this.order = sorted(all.filter(this.filter), this.store.rows, this.sort);
    const shown = this.order.length === all.length ? "" : `${count(this.order.length)} of `;
    say(this.total, `${shown}${several(all.length, "topic")}, ${several(this.store.nodes.size, "node")}`);
    this.table.setAttribute("aria-rowcount", this.order.length + 1);
    this.#draw();
  }

  #draw() {
    const height = this.window.clientHeight;
    if (!height) return;
    const from = Math.max(0, Math.floor(this.window.scrollTop / HEIGHT) - BEYOND);
    const seen = this.order.slice(from, from + Math.ceil(height / HEIGHT) + 2 * BEYOND);
    this.above.firstChild.style.height = `${from * HEIGHT}px`;
    this.below.firstChild.style.height = `${Math.max(0, this.order.length - from - seen.length) * HEIGHT}px`;
    const rows = seen.map((topic, at) => this.#row(topic, from + at));
    arrange(this.body, [this.above, ...rows, this.below]);
    const kept = new Set(seen.map((topic) => topic.id));
    for (const id of this.rows.keys()) if (!kept.has(id)) this.rows.delete(id);
  }

  #row(topic, at) {
    let row = this.rows.get(topic.id);
    if (!row) {
      row = el(
        "tr",
        { on: { click: () => this.choose(topic.id) } },
        ...this.columns.map((column) => el("td", { class: column.key })),
      );
      row.cellOf = new Map(this.columns.map((column, n) => [column.key, row.children[n]]));
      row.spark = svg("path", { class: "spark" });
      row.cellOf
        .get("history")
        .append(svg("svg", { viewBox: "0 0 60 18", preserveAspectRatio: "none", "aria-hidden": "true" }, row.spark));
      this.rows.set(topic.id, row);
    }
    row.setAttribute("aria-rowindex", at + 2);
    row.setAttribute("aria-selected", topic.id === this.chosen);
    row.dataset.topic = topic.topic;
    this.#fill(row, topic, this.store.rows.get(topic.id));
    return row;
  }

  #fill(row, topic, figures) {
    const cell = (key, text) => row.cellOf.has(key) && say(row.cellOf.get(key), text);
    cell("topic", topic.topic);
    cell("domain", topic.domain || "(none)");
    cell("rate", rate(figures?.rate));
    cell("bandwidth", bandwidth(figures?.bandwidth));
    cell("loss", percent(figures?.loss));
    cell("latency", seconds(first(figures?.latency)));
    cell("publishers", count(topic.publishers.length));
    cell("subscribers", count(topic.subscribers.length));
    row.dataset.loss = level(figures);
    row.cellOf.get("topic").title = topic.topic;
    row.cellOf.get("loss").title = causes(figures?.causes);
    row.cellOf.get("latency").title = figures?.latency
      ? `smallest, middle, 99 %: ${figures.latency.map(seconds).join(", ")}`
      : "";
    row.spark.setAttribute("d", spark(figures?.history ?? []));
  }
}

/** Return the path of a line through numbers, from 0 at the bottom to their greatest at the top; null is a gap. */
export function spark(history) {
  const top = Math.max(...history.map((value) => value ?? 0), 0) || 1;
  const place = (value, at) => `${60 - history.length + at + 0.5},${(17 - (16 * value) / top).toFixed(1)}`;
  return history
    .map((value, at) => (value === null ? "" : `${(history[at - 1] ?? null) === null ? "M" : "L"}${place(value, at)}`))
    .join("");
}
