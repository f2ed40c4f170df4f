// Where the boxes of a drawing go: in columns from left to right, as the messages flow. Pure.
//
// After Sugiyama, Tagawa, Toda: "Methods for Visual Understanding of Hierarchical System Structures" (1981): links that
// close a circle are turned round, each box stands right of all that it gets something from, and boxes of a column are
// ordered by where their neighbours are. A link over several columns bends in each, where it gets a place as a box does, so
// that it runs between boxes. The same graph looks the same each time.

export const HEIGHT = 26,
  GAP = 10,
  BETWEEN = 60;
const BEND = 12; // height of the place of a bend
const MOST_BENDS = 2000;

/** Return which boxes each one links to, without the links that close a circle. */
function forwards(boxes, links) {
  const after = new Map(boxes.map((box) => [box.key, []]));
  const incoming = new Map(boxes.map((box) => [box.key, 0]));
  for (const { from, to } of links) {
    after.get(from).push(to);
    incoming.set(to, incoming.get(to) + 1);
  }
  const state = new Map(); // 1 while what follows a box is gone through, 2 after that
  const kept = new Map(boxes.map((box) => [box.key, []]));
  const order = [];
  const starts = [...boxes].sort(
    (one, other) => Math.min(1, incoming.get(one.key)) - Math.min(1, incoming.get(other.key)),
  );
  for (const start of starts) {
    const stack = [[start.key, 0]]; // not recursive: a chain of 10,000 boxes would be too deep
    if (state.has(start.key)) continue;
    state.set(start.key, 1);
    while (stack.length) {
      const top = stack[stack.length - 1];
      const next = after.get(top[0])[top[1]++];
      if (next === undefined) {
        state.set(top[0], 2);
        order.push(top[0]);
        stack.pop();
      } else {
        if (state.get(next) === 1) continue; // closes a circle
        kept.get(top[0]).push(next);
        if (!state.has(next)) {
          state.set(next, 1);
          stack.push([next, 0]);
        }
      }
    }
  }
  return { kept, order: order.reverse() };
}

function columnsOf(boxes, links) {
  const { kept, order } = forwards(boxes, links);
  const column = new Map(boxes.map((box) => [box.key, 0]));
  for (const key of order) {
    for (const next of kept.get(key)) column.set(next, Math.max(column.get(next), column.get(key) + 1));
  }
  const first = new Set(links.map((link) => link.to));
  for (const key of [...order].reverse()) {
    // what nothing comes before moves to what it feeds
    const next = kept.get(key);
    if (next.length && !first.has(key)) column.set(key, Math.min(...next.map((other) => column.get(other))) - 1);
  }
  const kinds = new Map(boxes.map((box) => [box.key, box.kind]));
  const linked = new Set(links.flatMap((link) => [link.from, link.to]));
  for (const box of boxes) if (!linked.has(box.key) && kinds.get(box.key) === "topic") column.set(box.key, 1);
  const columns = [];
  for (const box of boxes) (columns[column.get(box.key)] ??= []).push(box);
  return { columns: Array.from(columns, (found) => found ?? []), column };
}

/** Put bends into the columns that links cross; return what is linked to what through them, and the bends of each link. */
function bend(columns, column, links) {
  const short = [];
  const bends = new Map();
  let total = 0;
  for (const { key, from, to } of links) {
    const [first, last] = [column.get(from), column.get(to)];
    const crossed = last - first - 1;
    if (crossed < 1 || total + crossed > MOST_BENDS) {
      short.push([from, to]);
      continue;
    }
    total += crossed;
    const keys = Array.from({ length: crossed }, (_, n) => `bend ${n} ${key}`);
    keys.forEach((each, n) => columns[first + 1 + n].push({ key: each, name: "", bend: true }));
    [from, ...keys].forEach((each, n) => short.push([each, keys[n] ?? to]));
    bends.set(key, keys);
  }
  return { short, bends };
}

/** Order the boxes of each column by the middle of their neighbours. */
function untangle(columns, links) {
  const place = new Map();
  const near = new Map();
  for (const [from, to] of links) {
    if (!near.has(from)) near.set(from, []);
    if (!near.has(to)) near.set(to, []);
    near.get(from).push(to);
    near.get(to).push(from);
  }
  const note = (column) => column.forEach((box, at) => place.set(box.key, at - (column.length - 1) / 2));
  for (const column of columns) {
    column.sort((one, other) =>
      one.name < other.name ? -1 : one.name > other.name ? 1 : one.key < other.key ? -1 : 1,
    );
    note(column);
  }
  const middle = (key) => {
    const all = near.get(key);
    return all ? all.reduce((sum, other) => sum + place.get(other), 0) / all.length : Infinity;
  };
  for (let sweep = 0; sweep < 6; sweep += 1) {
    for (const column of sweep % 2 ? [...columns].reverse() : columns) {
      const wish = new Map(column.map((box) => [box.key, middle(box.key)]));
      column.sort((one, other) => wish.get(one.key) - wish.get(other.key) || 0);
      note(column);
    }
  }
  return near;
}

/** Move boxes beside their neighbours as far as the others of their column let them. */
function settle(columns, near) {
  const y = new Map();
  const half = (box) => ((box.bend ? BEND : HEIGHT) + GAP) / 2;
  for (const column of columns) {
    let at = -column.reduce((sum, box) => sum + half(box), 0);
    for (const box of column) {
      y.set(box.key, at + half(box));
      at += 2 * half(box);
    }
  }
  for (let sweep = 0; sweep < 8; sweep += 1) {
    for (const column of sweep % 2 ? [...columns].reverse() : columns) {
      const wish = column.map((box) => {
        const all = near.get(box.key);
        return all ? all.reduce((sum, other) => sum + y.get(other), 0) / all.length : y.get(box.key);
      });
      let end = -Infinity,
        off = 0;
      const found = wish.map((each, at) => {
        const place = Math.max(each, end + half(column[at]));
        end = place + half(column[at]);
        return place;
      });
      found.forEach((each, at) => (off += each - wish[at]));
      column.forEach((box, at) => y.set(box.key, found[at] - off / column.length));
    }
  }
  return y;
}

/**
 * Return where boxes are: a Map of their keys to {x, y, width} (x of the left side, y of the middle); where links bend:
 * a Map of their keys to [{x, y, width}]; and the size of all.
 *
 * @param width says how wide a box is.
 */
export function layout(boxes, links, width) {
  const { columns, column } = columnsOf(boxes, links);
  const { short, bends } = bend(columns, column, links);
  const y = settle(columns, untangle(columns, short));
  const places = new Map(),
    crossings = new Map();
  let x = 0,
    top = Infinity,
    bottom = -Infinity;
  for (const members of columns) {
    const widest = Math.max(0, ...members.map((box) => (box.bend ? 0 : width(box))));
    for (const box of members) {
      const own = box.bend ? widest : width(box);
      (box.bend ? crossings : places).set(box.key, { x: x + (widest - own) / 2, y: y.get(box.key), width: own });
      top = Math.min(top, y.get(box.key) - HEIGHT / 2);
      bottom = Math.max(bottom, y.get(box.key) + HEIGHT / 2);
    }
    if (members.length) x += widest + BETWEEN;
  }
  const through = new Map([...bends].map(([key, keys]) => [key, keys.map((each) => crossings.get(each))]));
  const empty = !boxes.length;
  return {
    places,
    bends: through,
    y: empty ? 0 : top,
    width: Math.max(0, x - BETWEEN),
    height: empty ? 0 : bottom - top,
  };
}
