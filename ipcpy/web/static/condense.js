// A graph with few enough boxes to be read: topics and nodes that are alike become one box, which opens. Pure.

const numberless = (name) => name.replace(/\d+/g, "#");
const beginning = (name, parts) => numberless(name).split("/").slice(0, parts).join("/");

const NODES = [
  (node) => node.id,
  (node) => `${node.domain} ${node.host} ${numberless(node.name)}`,
  (node) => `${node.domain} ${node.host}`,
  (node) => node.domain,
];

const TOPICS = [
  (topic) => topic.id,
  (topic, ends) => `${topic.domain} ${ends(topic)}`,
  ...[4, 3, 2, 1].map((parts) => (topic) => `${topic.domain} ${beginning(topic.topic, parts)}`),
  (topic) => topic.domain,
];

/** Group members by the first of some keys that makes few enough groups of them; the last one in any case. */
function grouped(members, keys, limit) {
  let groups;
  for (const key of keys) {
    groups = new Map();
    for (const member of members) {
      const name = key(member);
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(member);
    }
    if (groups.size <= limit) break;
  }
  return groups;
}

/** Return what names have in common, in the form "camera#/image", or "a … z" where that is nothing. */
export function commonName(names) {
  const forms = new Set(names.map(numberless));
  if (forms.size === 1) return [...forms][0].replaceAll("#", "*");
  let common = names[0];
  for (const name of names) {
    let at = 0;
    while (at < common.length && common[at] === name[at]) at += 1;
    common = common.slice(0, at);
  }
  return common ? `${common}…` : "…";
}

function boxes(kind, groups, open, name) {
  const made = [];
  for (const [key, members] of groups) {
    const group = `${kind} ${key}`;
    if (members.length > 1 && !open.has(group)) {
      made.push({ key: group, kind, name: commonName(members.map(name).sort()), members, group: true, of: null });
    } else {
      const of = members.length > 1 ? group : null;
      for (const member of members) {
        made.push({ key: `${kind} =${member.id}`, kind, name: name(member), members: [member], group: false, of });
      }
    }
  }
  return made;
}

/**
 * Return the boxes and links of a drawing.
 *
 * @param graph has nodes ({id, name, host, domain}) and topics ({id, topic, domain, publishers, subscribers: node ids}).
 * @param options.limit is how many boxes of a kind can be read.
 * @param options.open is a Set of keys of groups that are shown one by one.
 * @returns {boxes, links, boxOf}: boxes {key, kind: "node" | "topic", name, members, group, of: the open group it is of};
 *   links {key, from, to, kind: "publish" | "subscribe"} between keys; boxOf, a Map of node and topic ids to keys:
 *   "node ID" and "topic ID".
 */
export function condense(graph, { limit = 24, open = new Set() } = {}) {
  const boxOf = new Map();
  const nodes = boxes("node", grouped(graph.nodes, NODES, limit), open, (node) => node.name);
  for (const box of nodes) for (const node of box.members) boxOf.set(`node ${node.id}`, box.key);
  const keysOf = (ids) => [...new Set(ids.map((id) => boxOf.get(`node ${id}`)).filter(Boolean))];
  const ends = (topic) => JSON.stringify([keysOf(topic.publishers).sort(), keysOf(topic.subscribers).sort()]);
  const keys = TOPICS.map((key) => (topic) => key(topic, ends));
  const topics = boxes("topic", grouped(graph.topics, keys, limit), open, (topic) => topic.topic);
  const links = new Map();
  const link = (from, to, kind) => links.set(`${from}\n${to}`, { key: `${from}\n${to}`, from, to, kind });
  for (const box of topics) {
    for (const topic of box.members) {
      boxOf.set(`topic ${topic.id}`, box.key);
      for (const from of keysOf(topic.publishers)) link(from, box.key, "publish");
      for (const to of keysOf(topic.subscribers)) link(box.key, to, "subscribe");
    }
  }
  return { boxes: [...nodes, ...topics], links: [...links.values()], boxOf };
}
