// Who came, who went and why: the newest first. Knows the document.

import { arrange, eachFrame, el, say } from "./dom.js";
import { clock } from "./format.js";

export class Events {
  /** @param count is called with how many came since they were last looked at. */
  constructor(place, store, count) {
    Object.assign(this, { place, store, count, unread: 0, items: new Map() });
    this.empty = el("p", { class: "empty", text: "Nothing has happened yet." });
    this.list = el("ol", { class: "events" });
    place.append(this.empty, this.list);
    store.on("event", () => {
      if (!this.#seen()) this.count(++this.unread);
      this.draw();
    });
    this.draw = eachFrame(() => this.#draw());
  }

  /** The user looks at them. */
  looked() {
    this.unread = 0;
    this.count(0);
    this.draw();
  }

  #seen() {
    return this.place.offsetParent !== null;
  }

  #draw() {
    this.empty.hidden = this.store.events.length > 0;
    if (!this.#seen()) return;
    const made = new Map();
    arrange(
      this.list,
      this.store.events.map((event) => {
        const item = this.items.get(event) ?? this.#item(event);
        made.set(event, item);
        return item;
      }),
    );
    this.items = made;
  }

  #item({ time, what, came, text }) {
    const sign = el("span", { class: "sign", "aria-hidden": "true" });
    say(sign, came === true ? "+" : came === false ? "−" : "·");
    return el(
      "li",
      { data: { came: String(came), what } },
      el("time", { text: clock(time) }),
      sign,
      el("span", { text }),
    );
  }
}
