// The button that starts and stops a recording, and says how it goes. Knows the document.

import { domainChoice, el, say } from "./dom.js";
import { bytes, several } from "./format.js";
import { post } from "./link.js";

const duration = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

export class Record {
  /** @param notify is called with a sentence when something went wrong. */
  constructor(place, dialog, store, notify) {
    Object.assign(this, { dialog, store, notify });
    this.button = el("button", { type: "button", on: { click: () => this.toggle() } });
    this.progress = el("span", { class: "note", role: "status" });
    place.append(this.button, this.progress);
    store.on("record hello", () => this.#show());
    setInterval(() => this.#show(), 1000);
    this.#show();
  }

  #show() {
    const can = this.store.hello?.can?.record ?? false;
    const { state, file, messages, bytes: size, since, text } = this.store.record;
    const on = state === "on" || state === "stopping";
    this.button.disabled = !on && !can;
    this.button.classList.toggle("on", on);
    say(this.button, on ? "■ Stop" : "● Record");
    this.button.title = on
      ? `Complete ${file} (R)`
      : can
        ? "Record topics into a file on the server (R)"
        : "The server lacks what recording needs: pip install 'ipcpy[bag]'";
    const time = since ? duration(Math.max(0, this.store.now() - since)) : "";
    say(this.progress, on ? [time, several(messages ?? 0, "message"), bytes(size)].filter(Boolean).join(", ") : "");
    this.progress.title = on ? (file ?? "") : "";
    if (state === "failed" && text !== this.failure) this.notify(text || "The recording failed.");
    this.failure = state === "failed" ? text : null;
  }

  toggle() {
    const { state } = this.store.record;
    if (state === "on") this.#post("api/record/stop", {});
    else if (state !== "stopping" && !this.button.disabled) this.#ask();
  }

  #ask() {
    const file = el("input", {
      name: "file",
      placeholder: "a name with the time in it",
      spellcheck: "false",
      autocomplete: "off",
    });
    const topics = el("input", {
      name: "topics",
      placeholder: "all of them; or: imu camera/**",
      spellcheck: "false",
      autocomplete: "off",
    });
    const domain = domainChoice(this.store);
    this.told = el("p", { class: "told failed", role: "status" });
    const start = async (event) => {
      event.preventDefault();
      const request = {};
      if (file.value.trim()) request.file = file.value.trim();
      if (topics.value.trim()) request.topics = topics.value.trim().split(/[\s,]+/);
      if (domain) request.domain = domain.value;
      if (await this.#post("api/record/start", request)) this.dialog.close();
    };
    this.dialog.replaceChildren(
      el(
        "form",
        { on: { submit: start } },
        el("h2", { text: "Record" }),
        el("label", {}, el("span", { text: "File" }), file),
        el("label", {}, el("span", { text: "Topics" }), topics),
        domain ? el("label", {}, el("span", { text: "Domain" }), domain) : null,
        el("p", { class: "note", text: "The file is written where the server runs." }),
        this.told,
        el(
          "footer",
          {},
          el("button", { type: "button", text: "Close", on: { click: () => this.dialog.close() } }),
          el("button", { type: "submit", text: "Record" }),
        ),
      ),
    );
    this.dialog.showModal();
  }

  async #post(path, request) {
    try {
      const record = await post(path, request);
      if (record?.state) this.store.take({ ...record, kind: "record" });
      return true;
    } catch (error) {
      if (this.dialog.open && this.told?.isConnected) say(this.told, error.message);
      else this.notify(error.message);
      return false;
    }
  }
}
