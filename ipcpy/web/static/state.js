// What the user has set: view, filter, chosen topic, plots. Kept in the address of the page, so that a reload, and who is
// sent the address, sees the same; the theme is kept in the browser. Knows nothing of the server.

const DEFAULTS = {
  view: "overview",
  filter: "",
  domain: "",
  topic: null,
  sort: { by: "topic", down: false },
  plots: [],
  images: [],
};

/** Return what the address says; what it says wrongly is as if it were not there. */
export function load() {
  let kept;
  try {
    kept = JSON.parse(decodeURIComponent(location.hash.slice(1)) || "{}");
  } catch {
    kept = {};
  }
  const state = { ...DEFAULTS };
  for (const [name, value] of Object.entries(DEFAULTS)) {
    const found = kept?.[name];
    if (found === undefined) continue;
    const fits =
      name === "topic"
        ? typeof found === "string"
        : Array.isArray(value)
          ? Array.isArray(found)
          : typeof found === typeof value;
    if (fits && found !== null) state[name] = found;
  }
  state.images = state.images.filter((id) => typeof id === "string");
  state.plots = state.plots.filter(
    (plot) =>
      plot &&
      Array.isArray(plot.series) &&
      plot.series.every((each) => typeof each?.topic === "string" && typeof each?.field === "string"),
  );
  return state;
}

let last = 0,
  waiting = null;

/** Write what is not as at first into the address. Browsers bear a few of these a second. */
export function save(state) {
  const write = () => {
    waiting = null;
    last = performance.now();
    const told = Object.entries(state).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(DEFAULTS[name]),
    );
    const hash = told.length ? `#${encodeURIComponent(JSON.stringify(Object.fromEntries(told)))}` : "";
    history.replaceState(null, "", `${location.pathname}${location.search}${hash}`);
  };
  if (waiting === null) waiting = setTimeout(write, Math.max(0, 300 - (performance.now() - last)));
}

const THEMES = ["auto", "light", "dark"];
const SIGNS = { auto: "◐", light: "☀", dark: "☾" };

/** The theme: what the button shows, and the next one. */
export class Theme {
  constructor(button, changed) {
    this.button = button;
    this.name = "auto";
    try {
      this.name = localStorage.getItem("ipcpy theme") ?? "auto"; // a browser may forbid it
    } catch {
      /* then it is forgotten */
    }
    if (!THEMES.includes(this.name)) this.name = "auto";
    button.addEventListener("click", () => this.next());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
    this.changed = changed;
    this.#show();
  }

  next() {
    this.name = THEMES[(THEMES.indexOf(this.name) + 1) % THEMES.length];
    try {
      localStorage.setItem("ipcpy theme", this.name);
    } catch {
      /* then it is forgotten */
    }
    this.#show();
    this.changed();
  }

  #show() {
    if (this.name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.name;
    this.button.textContent = SIGNS[this.name];
    this.button.setAttribute("aria-label", `Theme: ${this.name}`);
  }
}
