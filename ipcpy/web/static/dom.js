// Elements of the page. Knows the document; nothing of topics. Text goes in as text: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name === "on") for (const [event, run] of Object.entries(value)) element.addEventListener(event, run);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Return a new HTML element; children that are strings become text. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Return a new SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Return the element of index.html with an id. */
export function get(id) {
  return document.getElementById(id);
}

/** Set a text that changes often: the document is left alone where it is the same. */
export function say(element, text) {
  if (element.firstChild?.nodeType === 3 && element.childNodes.length === 1) {
    if (element.firstChild.data !== text) element.firstChild.data = text;
  } else if (element.textContent !== text) element.textContent = text;
}

/** Make the children of an element these, leaving alone those that stand where they should. */
export function arrange(parent, children) {
  let at = parent.firstChild;
  for (const child of children) {
    if (child === at) at = at.nextSibling;
    else parent.insertBefore(child, at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

/** Return a choice of domains, null where there is one only. */
export function domainChoice({ manyDomains, hello }, chosen) {
  if (!manyDomains) return null;
  const options = hello.domains.map((each) => el("option", { value: each, text: each || "(none)" }));
  const choice = el("select", { name: "domain" }, ...options);
  if (chosen !== undefined) choice.value = chosen;
  return choice;
}

/** Return a function that runs another in the next frame that is drawn, once however often it was called. */
export function eachFrame(run) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      run();
    });
  };
}
