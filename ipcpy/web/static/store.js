// What the server said, kept up to date. Knows its messages; nothing of the document or the connection.

const EVENTS = 500;

export class Store {
  constructor() {
    this.hello = null;
    this.nodes = new Map();
    this.topics = new Map();
    this.rows = new Map(); // topic id -> figures
    this.edges = new Map(); // topic id -> Map of "from to" -> figures
    this.events = []; // the newest first
    this.record = { state: "off" };
    this.offset = 0; // the server's clock less this computer's, seconds
    this.listeners = new Map();
    this.lastEvent = 0;
  }

  /** Call a function after each message of a kind, with the message. */
  on(kinds, run) {
    for (const kind of kinds.split(" ")) {
      if (!this.listeners.has(kind)) this.listeners.set(kind, []);
      this.listeners.get(kind).push(run);
    }
  }

  /** The server's clock, seconds since 1970. */
  now() {
    return Date.now() / 1000 + this.offset;
  }

  /** Whether several domains are shown. */
  get manyDomains() {
    return (this.hello?.domains?.length ?? 0) > 1;
  }

  /** A topic's flows. */
  flows(id) {
    return this.edges.get(id)?.values() ?? [];
  }

  /** Take a message of the server. */
  take(message) {
    switch (message.kind) {
      case "hello":
        this.#hello(message);
        break;
      case "graph":
        this.#graph(message);
        break;
      case "rows":
        this.#rows(message);
        break;
      case "event":
        if (!this.#event(message)) return;
        break;
      case "record":
        this.record = message;
        break;
    }
    for (const run of this.listeners.get(message.kind) ?? []) run(message);
  }

  #hello(message) {
    if (this.hello && this.hello.run !== message.run) this.lastEvent = 0;
    this.hello = message;
    this.offset = message.now - Date.now() / 1000;
  }

  #graph(message) {
    this.nodes = new Map(message.nodes.map((node) => [node.id, node]));
    this.topics = new Map(message.topics.map((topic) => [topic.id, withNodes(topic)]));
    for (const id of this.rows.keys()) if (!this.topics.has(id)) this.rows.delete(id);
    for (const [id, flows] of this.edges) {
      const topic = this.topics.get(id);
      if (!topic) this.edges.delete(id);
      else {
        for (const [key, edge] of flows) {
          if (!topic.publishers.includes(edge.from) || !topic.subscribers.includes(edge.to)) flows.delete(key);
        }
      }
    }
  }

  #rows(message) {
    if (message.whole) {
      this.rows.clear();
      this.edges.clear();
    }
    for (const row of message.rows) this.rows.set(row.id, row);
    for (const edge of message.edges) {
      if (!this.edges.has(edge.topic)) this.edges.set(edge.topic, new Map());
      this.edges.get(edge.topic).set(`${edge.from} ${edge.to}`, edge);
    }
  }

  #event(message) {
    if (message.id <= this.lastEvent) return false; // told again after a new connection
    this.lastEvent = message.id;
    this.events.unshift(message);
    this.events.length = Math.min(this.events.length, EVENTS);
    return true;
  }
}

/** Return a topic with its endpoints in `senders` and `takers`, and the ids of their nodes where those were. */
function withNodes(topic) {
  const ids = (ends) => [...new Set(ends.map((end) => end.node))];
  const { publishers: senders, subscribers: takers } = topic;
  return { ...topic, senders, takers, publishers: ids(senders), subscribers: ids(takers) };
}
