// The panel of the chosen topic: who publishes and subscribes, what is lost and why, the newest message. Knows the
// document.

import { arrange, eachFrame, el, say } from "./dom.js";
import { bandwidth, causes, count, percent, rate, seconds, several } from "./format.js";
import { Picture } from "./images.js";
import { level } from "./losses.js";
import { Tree } from "./tree.js";

const MOST = 100; // flows that are listed

const fact = (name, value, title = "") => el("div", { title }, el("dt", { text: name }), el("dd", { text: value }));

export class Topic {
  /**
   * @param actions.plot is called with a topic's id, a path, and whether to plot it apart.
   * @param actions.image is called with a topic's id and its newest image, to keep it beside the plots.
   * @param actions.publish is called with a topic and its newest message.
   * @param actions.close is called when the panel is closed.
   */
  constructor(place, store, actions) {
    this.place = place;
    this.store = store;
    this.id = null;
    this.newest = null;
    this.picture = null;
    this.items = new Map(); // of the list of flows
    this.name = el("h2");
    this.about = el("p", { class: "about" });
    this.facts = el("dl", { class: "facts" });
    this.flows = el("ul", { class: "flows" });
    this.message = el("h3");
    this.images = el("div");
    this.tree = new Tree((path, apart) => actions.plot(this.id, path, apart));
    this.keep = el("button", {
      type: "button",
      text: "Keep image",
      hidden: true,
      title: "Show it beside the plots",
      on: { click: () => actions.image(this.id, this.picture?.newest) },
    });
    const publish = el("button", {
      type: "button",
      text: "Publish…",
      on: { click: () => actions.publish(this.store.topics.get(this.id), this.newest) },
    });
    const close = el("button", {
      type: "button",
      class: "close",
      title: "Close (Esc)",
      text: "✕",
      on: { click: actions.close },
    });
    place.append(
      el("header", {}, this.name, close),
      this.about,
      this.facts,
      el("h3", { text: "Who sends to whom" }),
      this.flows,
      el("header", {}, this.message, this.keep, publish),
      this.images,
      this.tree.element,
    );
    this.draw = eachFrame(() => this.#draw());
    store.on("graph rows hello", this.draw);
    store.on("tree", (message) => this.#take(message));
  }

  /** Show a topic; null closes the panel. */
  show(id) {
    if (id === this.id) return;
    this.id = id;
    this.newest = null;
    this.items = new Map();
    this.tree.clear();
    this.picture = null;
    this.images.replaceChildren();
    this.place.hidden = id === null;
    this.#draw();
  }

  /** Return the images that the panel needs. */
  wants() {
    return this.#isImage() ? [{ topic: this.id, width: Math.round(380 * Math.min(2, devicePixelRatio)) }] : [];
  }

  take(header, data) {
    if (header.topic === this.id) this.picture?.take(header, data);
  }

  #isImage() {
    return this.id !== null && this.store.topics.get(this.id)?.image === true;
  }

  #take(message) {
    if (message.id !== this.id) return;
    this.newest = message;
    this.draw();
  }

  #draw() {
    if (this.id === null) return;
    const topic = this.store.topics.get(this.id);
    say(this.name, topic?.topic ?? this.id);
    if (topic) this.#facts(topic, this.store.rows.get(this.id));
    else say(this.about, "This topic is gone. It comes back here if somebody publishes or subscribes to it.");
    this.facts.hidden = this.flows.hidden = !topic;
    if (topic) arrange(this.flows, this.#flows(topic));
    this.#draws();
    const newest = this.newest;
    say(this.message, newest ? "Newest message" : "No message yet");
    if (!newest) return;
    this.message.title = `number ${count(newest.seq)} of ${newest.publisher}`;
    this.tree.update(newest.data, newest.fields ?? []);
  }

  #draws() {
    const image = this.#isImage();
    this.keep.hidden = !image;
    if (!image || this.picture) return;
    this.picture = new Picture(this.store, this.store.topics.get(this.id).topic);
    this.images.replaceChildren(this.picture.element);
  }

  #facts(topic, row) {
    const parts = [
      topic.codec || "nobody publishes",
      topic.schema,
      this.store.manyDomains ? `domain ${topic.domain || "(none)"}` : "",
    ];
    if (topic.senders.some((each) => each.reliable)) parts.push("reliable");
    const kept = Math.max(0, ...topic.senders.map((each) => each.keep ?? 0));
    if (kept) parts.push(`latecomers get the last ${kept}`);
    say(this.about, parts.filter(Boolean).join(" · "));
    const latency = row?.latency ?? [];
    this.facts.replaceChildren(
      fact("Rate", rate(row?.rate)),
      fact("Bandwidth", bandwidth(row?.bandwidth)),
      fact("Lost now", percent(row?.loss)),
      fact("Lost in all", count(row?.lost), causes(row?.causes)),
      fact("Latency", seconds(latency[1])),
      fact("99 % within", seconds(latency[2])),
    );
  }

  #flows(topic) {
    const flows = [...this.store.flows(this.id)];
    const heard = new Set(flows.flatMap((flow) => [flow.from, flow.to]));
    const alone = (ends, text) =>
      ends
        .filter((end) => !heard.has(end.node))
        .map((end) => [`${end.id} ${text}`, "idle", `${this.#node(end.node)} ${text}`]);
    const all = [
      ...flows.map((flow) => [`${flow.from} ${flow.to}`, level(flow), ...this.#flow(flow)]),
      ...alone(topic.senders, "publishes; nobody gets it"),
      ...alone(topic.takers, "subscribes; it gets nothing"),
    ];
    const kept = new Map(all.slice(0, MOST).map(([key, ...told]) => [key, this.#item(key, ...told)]));
    this.items = kept;
    const more = all.length > MOST ? [el("li", { class: "more", text: `… ${count(all.length - MOST)} more` })] : [];
    return [...kept.values(), ...more];
  }

  /** Return an item of the list, the one that is there already where it is: somebody may be marking its text. */
  #item(key, loss, ends, figures = "", why = "") {
    const parts = ["ends", "figures", "why"];
    const item = this.items.get(key) ?? el("li", {}, ...parts.map((part) => el("span", { class: part })));
    item.dataset.loss = loss;
    [ends, figures, why].forEach((text, at) => {
      say(item.children[at], text);
      item.children[at].hidden = !text;
    });
    return item;
  }

  #flow(flow) {
    const lost = causes(flow.causes);
    const lines = [`${rate(flow.rate)}, ${percent(flow.loss)} lost`];
    if (lost) lines.push(`lost in all: ${lost}`);
    if (flow.latency) lines.push(`latency ${seconds(flow.latency[1])}, 99 % within ${seconds(flow.latency[2])}`);
    if (flow.queued) lines.push(`${several(flow.queued, "message")} ${flow.queued === 1 ? "waits" : "wait"}`);
    if (flow.way) lines.push(flow.way);
    return [`${this.#node(flow.from)} → ${this.#node(flow.to)}`, lines.join(" · "), flow.why || ""];
  }

  #node(id) {
    const node = this.store.nodes.get(id);
    return node ? `${node.name} (${node.host}, pid ${node.pid})` : "a node that is gone";
  }
}
