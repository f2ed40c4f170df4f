// Images as images, the newest one. Knows canvases; nothing of where the bytes came from.

import { el, say } from "./dom.js";
import { count, number, seconds } from "./format.js";

/** A picture that shows the newest image of a topic; one that comes while another is being decoded takes its turn. */
export class Picture {
  constructor(store, topic) {
    this.store = store;
    this.topic = topic;
    this.newest = this.next = null;
    this.busy = false;
    this.canvas = el("canvas", { width: 1, height: 1, role: "img", "aria-label": `The newest image of ${topic}` });
    this.caption = el("figcaption", { text: "No image yet." });
    this.element = el("figure", { class: "picture", data: { topic } }, this.canvas, this.caption);
  }

  /** Show an image: its header, and the bytes of a JPEG or PNG. */
  take(header, data) {
    this.newest = this.next = [header, data];
    if (!this.busy) this.#show();
  }

  async #show() {
    this.busy = true;
    while (this.next) {
      const [header, data] = this.next;
      this.next = null;
      try {
        const bitmap = await createImageBitmap(new Blob([data], { type: header.type }));
        if (this.canvas.width !== bitmap.width) this.canvas.width = bitmap.width;
        if (this.canvas.height !== bitmap.height) this.canvas.height = bitmap.height;
        this.canvas.getContext("2d").drawImage(bitmap, 0, 0);
        bitmap.close();
        say(this.caption, this.#about(header));
      } catch {
        say(this.caption, `Image ${count(header.seq)} could not be shown: the browser cannot decode it.`);
      }
    }
    this.busy = false;
  }

  #about({ width, height, full, range, seq, sent }) {
    const [wide, high] = full ?? [width, height];
    const parts = [`${wide} × ${high}`, `image ${count(seq)}`, `${seconds(Math.max(0, this.store.now() - sent))} old`];
    if (wide !== width) parts.push(`shown as ${width} × ${height}`);
    if (range) parts.push(`black is ${number(range[0])}, white is ${number(range[1])}`);
    return parts.join(", ");
  }
}

/** The pictures that somebody put beside the plots. */
export class Images {
  constructor(place, store, changed) {
    this.store = store;
    this.changed = changed;
    this.pictures = new Map(); // topic id -> Picture
    this.list = el("div", { class: "images" });
    place.append(this.list);
  }

  /** Show a topic's images, first the one that is here: no newer one may come for long. */
  add(id, newest = null) {
    if (this.pictures.has(id)) return;
    const picture = new Picture(this.store, this.store.topics.get(id)?.topic ?? id);
    const close = el("button", {
      type: "button",
      class: "close",
      title: "Close this image",
      text: "✕",
      on: { click: () => this.remove(id) },
    });
    picture.element.prepend(el("header", {}, el("span", { class: "name", text: picture.topic }), close));
    this.pictures.set(id, picture);
    this.list.append(picture.element);
    if (newest) picture.take(...newest);
    this.changed();
  }

  remove(id) {
    this.pictures.get(id)?.element.remove();
    if (this.pictures.delete(id)) this.changed();
  }

  keep() {
    return [...this.pictures.keys()];
  }

  wants() {
    return this.keep().map((topic) => ({ topic, width: Math.round(640 * Math.min(2, devicePixelRatio)) }));
  }

  take(header, data) {
    this.pictures.get(header.topic)?.take(header, data);
  }
}
