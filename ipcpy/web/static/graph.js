// The drawing of who sends what to whom. Knows SVG; where things go is layout.js, what they are is condense.js.

import { condense } from "./condense.js";
import { arrange, eachFrame, el, say, svg } from "./dom.js";
import { causes, percent, rate, seconds, several, shortened } from "./format.js";
import { HEIGHT, layout } from "./layout.js";
import { LEGEND, levels } from "./losses.js";

const LONGEST = 30; // characters of a name
const CHARACTER = 7.1; // width of one, at 12 px
const SMALLEST = 0.6,
  LARGEST = 3; // scale

const label = (box) => shortened(box.name, LONGEST) + (box.group ? ` ×${box.members.length}` : "");
const width = (box) => Math.max(40, label(box).length * CHARACTER + 26);

export class Graph {
  /** @param choose is called with the id of a topic that was clicked, or with null and the name of a node. */
  constructor(place, store, choose) {
    this.store = store;
    this.choose = choose;
    this.open = new Set();
    this.filter = () => true;
    this.chosen = null;
    this.boxes = new Map(); // key -> its element
    this.lines = new Map(); // key of a link -> its element
    this.drawn = { boxes: [], links: [], boxOf: new Map() };
    this.view = null; // {x, y, scale}, once the user moved it
    this.empty = el("p", { class: "empty", text: "No topics yet. They appear here by themselves." });
    this.linksLayer = svg("g", { class: "links" });
    this.boxesLayer = svg("g", { class: "boxes" });
    this.world = svg("g", {}, this.linksLayer, this.boxesLayer);
    this.picture = svg(
      "svg",
      { role: "group", "aria-label": "Nodes, topics, and who sends to whom" },
      arrows(),
      this.world,
    );
    this.closer = el("button", {
      type: "button",
      hidden: true,
      text: "Close groups",
      on: { click: () => this.closeGroups() },
    });
    const fit = el("button", {
      type: "button",
      text: "Fit",
      title: "Show all of it (F)",
      on: { click: () => this.fit() },
    });
    place.append(el("div", { class: "tools" }, legend(), this.closer, fit), this.picture, this.empty);
    this.redraw = eachFrame(() => this.#redraw());
    this.recolour = eachFrame(() => this.#recolour());
    store.on("graph hello", this.redraw);
    store.on("rows", this.recolour);
    new ResizeObserver(() => this.#look()).observe(this.picture);
    this.#moves();
  }

  /** Show what a filter keeps only: a function of a topic, with its nodes. */
  setFilter(filter) {
    this.filter = filter;
    this.redraw();
  }

  /** Mark a topic as the chosen one; null for none. */
  setChosen(id) {
    this.chosen = id;
    this.#mark();
  }

  closeGroups() {
    this.open.clear();
    this.redraw();
  }

  /** Show all of it, as before the user moved it. */
  fit() {
    this.view = null;
    this.#look();
  }

  #redraw() {
    const topics = [...this.store.topics.values()].filter(this.filter);
    const ends = new Set(topics.flatMap((topic) => [...topic.publishers, ...topic.subscribers]));
    const all = topics.length === this.store.topics.size;
    const nodes = [...this.store.nodes.values()].filter((node) => all || ends.has(node.id));
    this.drawn = condense({ nodes, topics }, { open: this.open });
    this.plan = layout(this.drawn.boxes, this.drawn.links, width);
    this.empty.hidden = this.drawn.boxes.length > 0;
    this.closer.hidden = this.open.size === 0;
    arrange(
      this.boxesLayer,
      this.drawn.boxes.map((box) => this.#box(box)),
    );
    arrange(
      this.linksLayer,
      this.drawn.links.map((link) => this.#line(link)),
    );
    forget(this.boxes, new Set(this.drawn.boxes.map((box) => box.key)));
    forget(this.lines, new Set(this.drawn.links.map((link) => link.key)));
    this.#look();
    this.#recolour();
    this.#mark();
  }

  #box(box) {
    let element = this.boxes.get(box.key);
    if (!element) {
      element = svg(
        "g",
        { class: `box ${box.kind}${box.group ? " group" : ""}`, tabindex: "0", role: "button" },
        svg("rect", { height: HEIGHT, rx: box.kind === "node" ? 5 : HEIGHT / 2 }),
        svg("text", { y: HEIGHT / 2 + 4 }),
        svg("title"),
      );
      element.addEventListener("click", () => this.#clicked(element.box));
      element.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          this.#clicked(element.box);
        }
      });
      this.boxes.set(box.key, element);
    }
    element.box = box;
    const { x, y, width: wide } = this.plan.places.get(box.key);
    element.setAttribute("transform", `translate(${x.toFixed(1)} ${(y - HEIGHT / 2).toFixed(1)})`);
    const [rect, text, title] = element.children;
    rect.setAttribute("width", wide);
    text.setAttribute("x", wide / 2);
    say(text, label(box));
    say(title, this.#about(box));
    element.dataset.name = box.name;
    element.dataset.state =
      box.kind === "node" && box.members.some((node) => node.state !== "alive") ? "unresponsive" : "";
    return element;
  }

  #about(box) {
    const shown = box.members.slice(0, 12);
    const domain = (member) => (this.store.manyDomains ? `, domain ${member.domain || "(none)"}` : "");
    const state = (node) => (node.state === "alive" ? "" : `, ${node.state}`);
    const lines = shown.map((member) =>
      box.kind === "topic"
        ? `${member.topic} (${member.codec || "no publisher"}${domain(member)})`
        : `${member.name}, pid ${member.pid} on ${member.host}${domain(member)}${state(member)}`,
    );
    if (box.members.length > shown.length) lines.push(`and ${box.members.length - shown.length} more`);
    if (box.group) lines.unshift(`${several(box.members.length, box.kind)}; click to show them one by one`);
    return lines.join("\n");
  }

  #line(link) {
    let element = this.lines.get(link.key);
    if (!element) {
      element = svg(
        "g",
        { class: "link" },
        svg("path", { class: "hand" }),
        svg("path", { class: "line" }),
        svg("title"),
      );
      this.lines.set(link.key, element);
    }
    element.dataset.kind = link.kind;
    const from = this.plan.places.get(link.from),
      to = this.plan.places.get(link.to);
    const path = curve(from, this.plan.bends.get(link.key) ?? [], to);
    element.children[0].setAttribute("d", path);
    element.children[1].setAttribute("d", path);
    return element;
  }

  #recolour() {
    const flows = [...this.store.edges.values()].flatMap((each) => [...each.values()]);
    for (const [key, found] of levels(this.drawn.links, this.drawn.boxOf, flows)) {
      const element = this.lines.get(key);
      if (!element) continue;
      element.dataset.loss = found.level;
      const wide = found.rate > 0 ? 1.2 + Math.min(3, Math.log10(1 + found.rate) * 0.7) : 1.2;
      element.children[1].style.strokeWidth = wide.toFixed(1);
      say(element.children[2], this.#told(found));
    }
  }

  #told({ flows }) {
    const lines = flows.slice(0, 12).map((flow) => {
      const name = (id) => this.store.nodes.get(id)?.name ?? "?";
      const lost = flow.lost > 0 ? ` (${causes(flow.causes)} in all)` : "";
      const parts = [
        rate(flow.rate),
        `${percent(flow.loss)} lost${lost}`,
        seconds(flow.latency?.[1]),
        flow.way,
        flow.why,
      ];
      const topic = this.store.topics.get(flow.topic)?.topic ?? "?";
      return `${topic}: ${name(flow.from)} → ${name(flow.to)}: ${parts.filter(Boolean).join(", ")}`;
    });
    if (flows.length > 12) lines.push("and more");
    return lines.join("\n") || "Nothing has flowed here.";
  }

  #mark() {
    const key = this.chosen === null ? undefined : this.drawn.boxOf.get(`topic ${this.chosen}`);
    for (const [own, element] of this.boxes) element.classList.toggle("chosen", own === key);
    for (const link of this.drawn.links) {
      this.lines.get(link.key).classList.toggle("chosen", key !== undefined && (link.from === key || link.to === key));
    }
  }

  #clicked(box) {
    if (box.group) {
      this.open.add(box.key);
      this.redraw();
    } else this.choose(box.kind === "topic" ? box.members[0].id : null, box.name);
  }

  /** Fit the drawing, or keep what the user looks at. */
  #look() {
    const { clientWidth: wide, clientHeight: high } = this.picture;
    if (!this.plan || !wide || !high) return;
    if (this.view === null) {
      const margin = 16;
      const fits = Math.min(
        (wide - 2 * margin) / (this.plan.width || 1),
        (high - 2 * margin) / (this.plan.height || 1),
      );
      const scale = Math.max(SMALLEST, Math.min(1.4, fits));
      const x = Math.max(margin, (wide - this.plan.width * scale) / 2);
      const y = Math.max(margin, (high - this.plan.height * scale) / 2) - this.plan.y * scale;
      this.#move(x, y, scale);
    } else this.#move(this.view.x, this.view.y, this.view.scale);
  }

  #move(x, y, scale) {
    this.at = { x, y, scale };
    this.world.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${scale.toFixed(3)})`);
  }

  #moves() {
    this.picture.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const { x, y, scale } = this.at;
        if (
          !event.ctrlKey &&
          !event.metaKey &&
          event.deltaMode === 0 &&
          Math.abs(event.deltaX) > Math.abs(event.deltaY)
        ) {
          this.view = { x: x - event.deltaX, y, scale }; // two fingers on a touchpad
        } else {
          const next = Math.max(0.1, Math.min(LARGEST, scale * Math.exp(-event.deltaY * 0.0015)));
          const box = this.picture.getBoundingClientRect();
          const px = event.clientX - box.left,
            py = event.clientY - box.top;
          this.view = { x: px - ((px - x) * next) / scale, y: py - ((py - y) * next) / scale, scale: next };
        }
        this.#look();
      },
      { passive: false },
    );
    let held = null;
    this.picture.addEventListener("pointerdown", (event) => {
      if (event.button === 0 && !event.target.closest(".box"))
        held = { x: event.clientX, y: event.clientY, ...this.at, px: event.clientX, py: event.clientY };
      if (held) held.at = { ...this.at };
    });
    this.picture.addEventListener("pointermove", (event) => {
      if (!held) return;
      this.picture.setPointerCapture(event.pointerId);
      this.view = {
        x: held.at.x + event.clientX - held.px,
        y: held.at.y + event.clientY - held.py,
        scale: held.at.scale,
      };
      this.#look();
    });
    for (const end of ["pointerup", "pointercancel"]) this.picture.addEventListener(end, () => (held = null));
  }
}

function forget(map, kept) {
  for (const key of map.keys()) if (!kept.has(key)) map.delete(key);
}

const n = (value) => value.toFixed(1);

/** Return a line to the right, through bends, or one from below to below that goes back to what is on the left. */
function curve(from, bends, to) {
  const x1 = from.x + from.width,
    x2 = to.x - 5;
  if (to.x <= x1) {
    const middle = from.x + from.width / 2,
      end = to.x + to.width / 2;
    const [y1, y2] = [from.y + HEIGHT / 2, to.y + HEIGHT / 2 + 5];
    const under = Math.max(y1, y2) + 34 + Math.min(60, Math.abs(middle - end) / 12);
    return `M${n(middle)} ${n(y1)}C${n(middle)} ${n(under)} ${n(end)} ${n(under)} ${n(end)} ${n(y2)}`;
  }
  let path = `M${n(x1)} ${n(from.y)}`,
    x = x1,
    y = from.y;
  for (const [nextX, nextY, end] of [...bends.map((each) => [each.x, each.y, each.x + each.width]), [x2, to.y, x2]]) {
    const middle = (nextX - x) / 2;
    path += `C${n(x + middle)} ${n(y)} ${n(nextX - middle)} ${n(nextY)} ${n(nextX)} ${n(nextY)}`;
    if (end !== nextX) path += `H${n(end)}`;
    [x, y] = [end, nextY];
  }
  return path;
}

/** Return the heads of arrows, which take the colour of their lines. */
function arrows() {
  return svg(
    "defs",
    {},
    svg(
      "marker",
      {
        id: "arrow",
        viewBox: "0 0 8 8",
        refX: "6",
        refY: "4",
        markerWidth: "8",
        markerHeight: "8",
        markerUnits: "userSpaceOnUse",
        orient: "auto",
      },
      svg("path", { d: "M0 0.5 L8 4 L0 7.5Z", fill: "context-stroke" }),
    ),
  );
}

function legend() {
  const item = ([name, text]) =>
    el(
      "span",
      { class: "level", data: { loss: name } },
      svg("svg", { width: 22, height: 8 }, svg("path", { class: "line", d: "M0 4H22" })),
      text,
    );
  return el("span", { class: "legend" }, ...Object.entries(LEGEND).map(item));
}
