// How bad a flow is, for its colour. Knows the figures of flows; nothing of drawing. Pure.

export const LEVELS = ["idle", "good", "some", "bad"]; // from harmless to worst
export const LEGEND = {
  idle: "nothing flows",
  good: "nothing lost",
  some: "up to 1 % lost",
  bad: "more lost, or refused",
};

const BAD = 0.01;

/** Return one of LEVELS for a flow's figures. */
export function level(figures) {
  if (!figures) return "idle";
  if (figures.loss > 0) return figures.loss > BAD ? "bad" : "some";
  if (figures.rate > 0) return "good";
  return figures.why?.length ? "bad" : "idle";
}

/** Return the worse of two levels. */
export function worse(one, other) {
  return LEVELS.indexOf(one) > LEVELS.indexOf(other) ? one : other;
}

/**
 * Return how bad each link of a drawing is: a Map of link keys to {level, rate, flows}.
 *
 * A link to a subscriber is as bad as its worst flow. One from a publisher is as bad as its best: what one subscriber
 * loses and another gets was not lost on the way to the topic.
 */
export function levels(links, boxOf, flows) {
  const found = new Map(links.map((link) => [link.key, { kind: link.kind, level: "idle", rate: 0, flows: [] }]));
  for (const flow of flows) {
    const topic = boxOf.get(`topic ${flow.topic}`);
    for (const key of [`${boxOf.get(`node ${flow.from}`)}\n${topic}`, `${topic}\n${boxOf.get(`node ${flow.to}`)}`]) {
      const link = found.get(key);
      if (!link) continue;
      const own = level(flow);
      if (link.level === "idle" || link.kind === "subscribe") link.level = worse(link.level, own);
      else if (own !== "idle" && worse(link.level, own) === link.level) link.level = own;
      link.rate += flow.rate ?? 0;
      if (link.flows.length < 20) link.flows.push(flow);
    }
  }
  return found;
}
