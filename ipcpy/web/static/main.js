// The page: joins its parts, and hands them what the server and the user say.

import { el, get, say } from "./dom.js";
import { Events } from "./events.js";
import { Graph } from "./graph.js";
import { Images } from "./images.js";
import { Link } from "./link.js";
import { Plots } from "./plots.js";
import { Publish } from "./publish.js";
import { Record } from "./record.js";
import { Theme, load, save } from "./state.js";
import { Store } from "./store.js";
import { Table } from "./table.js";
import { Topic } from "./topic.js";

const VIEWS = { overview: "Overview", graph: "Graph", topics: "Topics", plots: "Plots", events: "Events" };
const KEYS = [
  ["1 … 5", "overview, graph, topics, plots and images, events"],
  ["/", "filter; Esc clears it"],
  ["J, K or ↓, ↑", "the next topic, the one before"],
  ["Esc", "close what is open"],
  ["Space", "let the plots stand still, or follow"],
  ["drag over a plot", "zoom; a double click follows again"],
  ["Shift and wheel over a plot", "zoom there"],
  ["wheel, drag in the graph", "zoom, move"],
  ["F", "fit the graph"],
  ["P", "publish a message"],
  ["R", "start or stop a recording"],
  ["T", "light, dark, as the system"],
  ["?", "this list"],
];

const store = new Store();
const state = load();
const dialog = get("dialog");
const tabs = new Map();

// What was loaded is kept until all parts are there to tell what they have.
let ready = false;

function changed() {
  if (!ready) return;
  state.plots = plots.keep();
  state.images = images.keep();
  save(state);
  want();
}

const PATIENCE = 60000; // ms for which plots go on in a tab that nobody sees
let hiddenSince = Infinity;

function visibility() {
  hiddenSince = document.hidden ? performance.now() : Infinity;
  want();
  if (document.hidden) setTimeout(want, PATIENCE + 100);
}

function want() {
  const panel = topic.wants();
  const kept = images.wants();
  const seen = state.view === "plots";
  const both = new Map([...panel, ...(seen ? kept : [])].map((each) => [each.topic, each]));
  for (const each of seen ? kept : []) both.set(each.topic, each); // the larger of the two
  link.want({
    plots: performance.now() - hiddenSince > PATIENCE ? [] : plots.wants(),
    trees: document.hidden || state.topic === null ? [] : [state.topic],
    images: document.hidden ? [] : [...both.values()],
    hidden: false,
  });
}

function show(view) {
  state.view = view in VIEWS ? view : "overview";
  document.body.dataset.view = state.view;
  for (const section of document.querySelectorAll("main > section"))
    section.hidden = !section.dataset.in.split(" ").includes(state.view);
  for (const [name, tab] of tabs) tab.setAttribute("aria-pressed", name === state.view);
  if (state.view === "events") events.looked();
  changed();
}

function choose(id, node) {
  if (id === null && node) {
    // a node: its topics
    filterBy(node);
    return;
  }
  state.topic = id;
  topic.show(id);
  table.setChosen(id);
  graph.setChosen(id);
  document.body.classList.toggle("chosen", id !== null);
  changed();
}

function filterBy(text) {
  state.filter = get("filter").value = text;
  applyFilter();
  changed();
}

/** Keep topics that have all words in their name, or in that of one of their nodes. */
function applyFilter() {
  const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const keeps = (each) => {
    if (state.domain && each.domain !== state.domain) return false;
    if (!words.length) return true;
    const nodes = [...each.publishers, ...each.subscribers].map((id) => store.nodes.get(id)?.name ?? "");
    const text = [each.topic, ...nodes].join("\n").toLowerCase();
    return words.every((word) => text.includes(word));
  };
  table.setFilter(keeps);
  graph.setFilter(keeps);
}

function notify(text, level = "warning") {
  const notice = get("notice");
  notice.hidden = !text;
  notice.dataset.level = level;
  say(notice, text);
  clearTimeout(notify.timer);
  if (text) notify.timer = setTimeout(() => notify(""), 12000);
}

function tell(what, text) {
  const place = get("state");
  place.dataset.state = what;
  say(place, what);
  place.title = text;
  document.body.classList.toggle("away", what !== "connected");
  if (what === "refused") notify(text);
}

function showDomains() {
  const domains = store.manyDomains ? store.hello.domains : [];
  const button = (domain, name) =>
    el("button", {
      type: "button",
      text: name,
      "aria-pressed": String(state.domain === domain),
      on: {
        click: () => {
          state.domain = domain;
          showDomains();
          applyFilter();
          changed();
        },
      },
    });
  if (domains.length && !domains.includes(state.domain)) state.domain = "";
  if (!domains.length) state.domain = "";
  get("domains").replaceChildren(
    ...(domains.length ? [button("", "All"), ...domains.filter(Boolean).map((each) => button(each, each))] : []),
  );
  document.title = store.hello.domains.filter(Boolean).length ? `${store.hello.domains.join(", ")} – ipcpy` : "ipcpy";
}

function showKeys() {
  dialog.replaceChildren(
    el(
      "form",
      { method: "dialog" },
      el("h2", { text: "Keys" }),
      el(
        "dl",
        { class: "keys" },
        ...KEYS.map(([key, text]) => el("div", {}, el("dt", { text: key }), el("dd", { text }))),
      ),
      el("footer", {}, el("button", { text: "Close" })),
    ),
  );
  dialog.showModal();
}

const parts = {
  plot: (id, path, apart) => {
    plots.add(id, path, { apart });
    notify(`Plotted: ${plots.nameOf(id)} ${path}. Key 4 shows the plots.`, "info");
  },
  image: (id, newest) => {
    images.add(id, newest);
    notify("Kept beside the plots: key 4 shows them.", "info");
  },
  publish: (of, newest) => publish.open(of, newest),
  close: () => choose(null),
};
const topic = new Topic(get("topic"), store, parts);
const graph = new Graph(get("graph"), store, choose);
const table = new Table(get("topics"), store, {
  choose,
  sort: state.sort,
  resort: (sort) => {
    state.sort = sort;
    changed();
  },
});
const plots = new Plots(get("plots"), store, () => changed());
const images = new Images(get("plots"), store, () => changed());
const events = new Events(get("events"), store, (unread) =>
  say(tabs.get("events"), unread ? `Events (${unread > 99 ? "99+" : unread})` : "Events"),
);
const publish = new Publish(dialog, store);
const record = new Record(get("record"), dialog, store, notify);
const theme = new Theme(get("theme"), () => plots.repaint());
const link = new Link({
  take: (message) => store.take(message),
  image: (header, data) => {
    images.take(header, data);
    topic.take(header, data);
  },
  tell,
});

for (const [name, text] of Object.entries(VIEWS)) {
  tabs.set(name, el("button", { type: "button", text, on: { click: () => show(name) } }));
}
get("views").append(...tabs.values());
get("filter").value = state.filter;
get("filter").addEventListener("input", () => filterBy(get("filter").value));
get("publish").addEventListener("click", () => openPublish());
get("help").addEventListener("click", showKeys);
document.addEventListener("visibilitychange", visibility);
store.on("hello", showDomains);
store.on("graph", () => want()); // a topic may have turned out to be one of images
store.on("notice", ({ text, level }) => notify(text, level));

function openPublish() {
  publish.open(store.topics.get(state.topic), topic.newest);
}

const ACTIONS = {
  "/": () => get("filter").focus(),
  "?": showKeys,
  j: () => table.step(1),
  k: () => table.step(-1),
  ArrowDown: () => table.step(1),
  ArrowUp: () => table.step(-1),
  " ": () => plots.pauseAll(),
  f: () => graph.fit(),
  p: openPublish,
  r: () => record.toggle(),
  t: () => theme.next(),
  ...Object.fromEntries(Object.keys(VIEWS).map((view, n) => [String(n + 1), () => show(view)])),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || dialog.open) return;
  const typing = event.target.matches("input, textarea, select");
  if (event.key === "Escape") {
    if (typing) {
      if (event.target === get("filter")) filterBy("");
      event.target.blur();
    } else if (state.topic !== null) choose(null);
    else if (state.filter) filterBy("");
    return;
  }
  const presses =
    event.target.closest("button, summary, [role=button]") && (event.key === " " || event.key === "Enter");
  const action = ACTIONS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (typing || presses || !action) return;
  event.preventDefault();
  action();
});

// Space is a key of the page: a button that was clicked with a mouse does not take it.
document.addEventListener("click", (event) => event.detail > 0 && event.target.closest("button")?.blur());

plots.load(state.plots);
for (const id of state.images) images.add(id);
ready = true;
applyFilter();
choose(state.topic);
show(state.view);
globalThis.ipcpy = { store, plots, images, link, state }; // for who wants to look inside, and for the tests
