// A message as a tree whose branches stay open while newer messages come. Knows the server's stand-ins for what JSON
// has not ({"$float": "nan"}, ...; docs/web.md); nothing of topics.

import { arrange, el, say } from "./dom.js";
import { bytes, count, several } from "./format.js";

const OPEN = 24; // children up to which a branch near the root is open from the start

/** Return the path of a child, as the server writes those of fields. */
export function pathOf(parent, key) {
  if (typeof key === "number") return `${parent}[${key}]`;
  if (key === "" || /[.[\]"]/.test(key)) return `${parent}[${JSON.stringify(key)}]`;
  return parent ? `${parent}.${key}` : key;
}

const child = (key, value) => ({ label: String(key), value, path: (parent) => pathOf(parent, key) });

/** Return the children of an array, whose values stand one after another: that of row 1, column 2 is "[1][2]". */
function elements(values, shape) {
  return values.map((value, n) => {
    const at = [];
    for (const side of [...shape].reverse()) {
      at.unshift(n % side);
      n = Math.floor(n / side);
    }
    return { label: at.join(", "), value, path: (parent) => at.reduce(pathOf, parent) };
  });
}

/** Return what a value is: {text, kind}, or {note, children: [{label, value, path}], left: how many are left out}. */
export function read(value) {
  if (value === null) return { text: "null", kind: "null" };
  if (typeof value !== "object") return { text: plain(value), kind: typeof value };
  if (Array.isArray(value)) {
    const left = value.at(-1)?.$more ?? 0;
    const items = left ? value.slice(0, -1) : value;
    return { note: several(items.length + left, "item"), children: items.map((item, n) => child(n, item)), left };
  }
  if ("$float" in value) return { text: value.$float, kind: "number" };
  if ("$int" in value) return { text: value.$int, kind: "number" };
  if ("$datetime" in value) return { text: value.$datetime, kind: "string" };
  if ("$text" in value) return { text: `${value.$text}… (${several(value.size, "character")})`, kind: "string" };
  if ("$bytes" in value) return { text: hexadecimal(value), kind: "bytes" };
  if ("$deep" in value) return { text: `(too deep: ${count(value.$deep)} more inside)`, kind: "null" };
  if ("$array" in value) {
    const { $array: values, shape, dtype } = value;
    const size = shape.reduce((product, side) => product * side, 1);
    const note = `array of ${dtype}, ${shape.join(" × ") || "one number"}`;
    return { note, children: elements(values, shape), left: size - values.length };
  }
  const entries = "$map" in value ? value.$map : Object.entries(value).filter(([key]) => key !== "$more");
  const key = (each) => (typeof each === "string" || Number.isInteger(each) ? each : JSON.stringify(each));
  const left = typeof value.$more === "number" ? value.$more : 0;
  const note = entries.length + left ? "" : "empty";
  return { note, children: entries.map(([each, item]) => child(key(each), item)), left };
}

function hexadecimal({ $bytes: text, size }) {
  return `${bytes(size)}: ${text.replace(/(..)(?=.)/g, "$1 ")}${size * 2 > text.length ? " …" : ""}`;
}

function plain(value) {
  if (typeof value === "number" && !Number.isInteger(value) && String(value).length > 12)
    return String(Number(value.toPrecision(7)));
  return String(value);
}

/** A row of the tree, and those under it. */
class Row {
  constructor(tree, key, path, depth) {
    Object.assign(this, { tree, key, path, depth, rows: new Map(), branch: null, element: el("li") });
  }

  update(value) {
    const found = read(value);
    const branch = found.children !== undefined;
    if (branch !== this.branch) this.#build(branch, found);
    this.found = found;
    if (!branch) {
      say(this.value, found.text);
      this.value.dataset.kind = found.kind;
      this.value.title = typeof value === "number" ? String(value) : "";
    } else {
      say(this.note, found.note);
      if (this.details.open) this.#fill();
    }
    if (this.adder) this.adder.hidden = branch || !this.tree.fields.has(this.path);
  }

  #build(branch, found) {
    this.branch = branch;
    this.rows.clear();
    const key = el("span", { class: "key", text: String(this.key) });
    if (branch) {
      this.note = el("span", { class: "note" });
      this.list = el("ul");
      this.details = el(
        "details",
        { open: this.depth === 0 || (this.depth < 3 && found.children.length <= OPEN) },
        el("summary", {}, key, this.note),
        this.list,
      );
      this.details.addEventListener("toggle", () => this.details.open && this.#fill());
      this.element.replaceChildren(this.details);
      this.adder = null;
    } else {
      this.value = el("span", { class: "value" });
      this.adder = el("button", {
        type: "button",
        class: "add",
        text: "+",
        title: `Plot ${this.path || "it"} (with Shift: in a plot of its own)`,
        "aria-label": `Plot ${this.path || "it"}`,
        on: { click: (event) => this.tree.plot(this.path, event.shiftKey) },
      });
      this.element.replaceChildren(key, this.value, this.adder);
    }
  }

  #fill() {
    const { children, left } = this.found;
    const seen = new Set();
    const items = children.map(({ label, value, path }) => {
      seen.add(label);
      let row = this.rows.get(label);
      if (!row) this.rows.set(label, (row = new Row(this.tree, label, path(this.path), this.depth + 1)));
      row.update(value);
      return row.element;
    });
    for (const key of this.rows.keys()) if (!seen.has(key)) this.rows.delete(key);
    if (left > 0) items.push(el("li", { class: "more", text: `… ${count(left)} more` }));
    arrange(this.list, items);
  }
}

export class Tree {
  /** @param plot is called with the path of a field that is to be plotted, and whether in a plot of its own. */
  constructor(plot) {
    this.plot = plot;
    this.fields = new Set();
    this.element = el("ul", { class: "tree" });
    this.clear();
  }

  clear() {
    this.root = new Row(this, "message", "", 0);
    this.element.replaceChildren();
  }

  /** Show a message; `fields` are the paths of its numbers. */
  update(data, fields) {
    this.fields = new Set(fields);
    this.root.update(data);
    arrange(this.element, [this.root.element]);
  }
}
