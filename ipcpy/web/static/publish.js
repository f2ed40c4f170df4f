// The dialog that publishes a message: a form made of the newest one, or JSON. Knows the document.

import { domainChoice, el, say } from "./dom.js";
import { several } from "./format.js";
import { post } from "./link.js";

const MOST_FIELDS = 60;

/** Return a message of the tree as one to be published, without stand-ins; `lacks` is called where something is lost. */
function publishable(value, lacks) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) {
    const more = (item) => item !== null && typeof item === "object" && "$more" in item;
    if (value.some(more)) lacks();
    return value.filter((item) => !more(item)).map((item) => publishable(item, lacks));
  }
  const kind = Object.keys(value).find((key) => key.startsWith("$"));
  if (kind === undefined)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, publishable(item, lacks)]));
  const whole = {
    $array: () => value.shape.length === 1 && value.shape[0] === value.$array.length,
    $bytes: () => value.$bytes.length === value.size * 2,
    $datetime: () => true,
    $float: () => true,
  };
  if (!whole[kind]?.()) lacks();
  if (kind === "$more") {
    const rest = Object.entries(value).filter(([key]) => key !== "$more");
    return publishable(Object.fromEntries(rest), lacks);
  }
  if (kind === "$float") return value; // which the server reads
  if (kind === "$bytes") return { $bytes: value.$bytes };
  return ["$array", "$datetime", "$text"].includes(kind) ? value[kind] : null;
}

function fields(value) {
  if (value === null || typeof value !== "object") return 1;
  return Object.values(value).reduce((sum, item) => sum + fields(item), 0);
}

/** Return an element with inputs for a value, and a function that reads them. */
function inputs(name, value) {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    const parts = Object.entries(value).map(([key, item]) => [key, inputs(key, item)]);
    const element = el(
      "fieldset",
      {},
      name ? el("legend", { text: name }) : null,
      ...parts.map(([, part]) => part.element),
    );
    return { element, read: () => Object.fromEntries(parts.map(([key, part]) => [key, part.read()])) };
  }
  const kind = { number: "number", boolean: "checkbox", string: "text" }[typeof value] ?? "text";
  const json = value === null || Array.isArray(value);
  const input = el("input", {
    type: kind,
    step: kind === "number" ? "any" : null,
    name,
    value: json ? JSON.stringify(value) : String(value),
    spellcheck: "false",
  });
  if (kind === "checkbox") input.checked = value;
  const read = () => {
    if (kind === "checkbox") return input.checked;
    if (kind === "number") {
      if (!Number.isFinite(input.valueAsNumber)) throw new Error(`${name} needs a number.`);
      return input.valueAsNumber;
    }
    return json ? parsed(input.value, name) : input.value;
  };
  return { element: el("label", {}, el("span", { text: name || "data" }), input), read };
}

function parsed(text, what) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${what} is no JSON: ${error.message}`);
  }
}

export class Publish {
  constructor(dialog, store) {
    this.dialog = dialog;
    this.store = store;
    this.timer = null;
    dialog.addEventListener("close", () => this.#stop());
  }

  /** Open the dialog, for a topic and like its newest message where there is one. */
  open(topic, newest) {
    this.topic = topic ?? null;
    this.values = null;
    const names = [...new Set([...this.store.topics.values()].map((each) => each.topic))].sort().slice(0, 1000);
    this.name = el("input", {
      name: "topic",
      required: true,
      value: topic?.topic ?? "",
      list: "names",
      spellcheck: "false",
      autocomplete: "off",
    });
    this.domain = domainChoice(this.store, topic?.domain);
    const messages = topic?.messages ?? [];
    this.type =
      messages.length > 1
        ? el("select", { name: "message" }, ...messages.map((each) => el("option", { text: each })))
        : null;
    if (this.type && newest) this.type.value = newest.message ?? messages[0];
    this.place = el("div", { class: "data" });
    this.again = el("input", {
      type: "checkbox",
      name: "again",
      on: { change: () => !this.again.checked && this.#stop() },
    });
    this.every = el("input", { type: "number", name: "every", min: "0.1", max: "3600", step: "any", value: "1" });
    this.told = el("p", { class: "told", role: "status" });
    const form = el(
      "form",
      {
        on: {
          submit: (event) => {
            event.preventDefault();
            this.#submit();
          },
        },
      },
      el("h2", { text: "Publish a message" }),
      el("label", {}, el("span", { text: "Topic" }), this.name),
      el("datalist", { id: "names" }, ...names.map((each) => el("option", { value: each }))),
      this.domain ? el("label", {}, el("span", { text: "Domain" }), this.domain) : null,
      this.type ? el("label", {}, el("span", { text: "Message" }), this.type) : null,
      this.place,
      el(
        "label",
        { class: "again" },
        this.again,
        el("span", { text: "again every" }),
        this.every,
        el("span", { text: "s, until this is closed" }),
      ),
      this.told,
      el(
        "footer",
        {},
        el("button", { type: "button", text: "Close", on: { click: () => this.dialog.close() } }),
        el("button", { type: "submit", text: "Publish" }),
      ),
    );
    let whole = true;
    const data = newest ? publishable(newest.data, () => (whole = false)) : { value: 1 };
    if (newest && whole && fields(data) <= MOST_FIELDS) this.#showForm(data);
    else this.#showText(JSON.stringify(data, null, 2));
    if (!whole) this.#say("Parts of the newest message are not here: what JSON has not, or what was too long.", true);
    this.dialog.replaceChildren(form);
    this.dialog.showModal();
  }

  #showForm(data) {
    const { element, read } = inputs("", data);
    const switcher = el("button", {
      type: "button",
      class: "switch",
      text: "Write JSON instead",
      on: { click: () => this.#attempt(() => this.#showText(JSON.stringify(read(), null, 2))) },
    });
    this.values = read;
    this.place.replaceChildren(element, switcher);
  }

  #showText(text) {
    const area = el("textarea", { name: "data", rows: "9", spellcheck: "false", "aria-label": "The message, as JSON" });
    area.value = text;
    this.values = () => parsed(area.value, "The message");
    this.place.replaceChildren(el("label", { class: "wide" }, el("span", { text: "The message, as JSON" }), area));
  }

  #attempt(run) {
    try {
      run();
      say(this.told, "");
    } catch (error) {
      this.#say(error.message, true);
    }
  }

  async #submit() {
    this.#stop();
    if ((await this.#publish()) && this.again.checked && this.dialog.open) {
      const every = Math.max(0.1, Number(this.every.value) || 1);
      let busy = false;
      this.timer = setInterval(async () => {
        if (busy) return;
        busy = true;
        if (!(await this.#publish())) this.#stop();
        busy = false;
      }, every * 1000);
    }
  }

  async #publish() {
    const told = this.told;
    try {
      const request = { topic: this.name.value.trim(), data: this.values() };
      if (this.domain) request.domain = this.domain.value;
      if (this.type) request.message = this.type.value;
      const { subscribers } = await post("api/publish", request);
      if (told === this.told) this.#say(`Handed to ${several(subscribers, "subscriber")}.`, false);
      return true;
    } catch (error) {
      if (told === this.told) this.#say(error.message, true);
      return false;
    }
  }

  #say(text, failed) {
    say(this.told, text);
    this.told.classList.toggle("failed", failed);
  }

  #stop() {
    clearInterval(this.timer);
    this.timer = null;
  }
}
