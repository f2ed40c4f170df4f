// The way to the server: a WebSocket that is opened again and again, and requests. Knows nothing of what is carried.

const FIRST_WAIT = 200,
  LONGEST_WAIT = 2000; // ms between two tries
const SILENCE = 10000,
  ANSWER = 3000; // ms after which the server is asked whether it is there, and for its answer

const token = new URLSearchParams(location.search).get("token");

function address(path) {
  const url = new URL(path, location.href);
  url.search = token ? `?token=${encodeURIComponent(token)}` : "";
  url.hash = "";
  return url;
}

/** Ask the server to do something; return its answer, or throw an Error that says in a sentence why not. */
export async function post(path, data) {
  let answer;
  try {
    answer = await fetch(address(path), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(data),
    });
  } catch {
    throw new Error("The server does not answer.");
  }
  const told = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(told?.error ?? `The server refused: ${answer.status} ${answer.statusText}`);
  return told;
}

export class Link {
  /**
   * @param take is called with each object that comes.
   * @param image is called with the header and the bytes of each image.
   * @param tell is called with what becomes of the connection: "connecting", "connected" or "refused", and a sentence.
   */
  constructor({ take, image, tell }) {
    this.handlers = { take, image, tell };
    this.wanted = null;
    this.sent = null;
    this.wait = FIRST_WAIT;
    this.heard = 0;
    this.socket = null;
    this.asking = false;
    setInterval(() => this.#watch(), 1000);
    this.#open();
  }

  /** Say what the page needs. It is said again after each new connection. */
  want(wanted) {
    this.wanted = JSON.stringify({ want: wanted });
    this.#send();
  }

  #send() {
    if (this.socket?.readyState !== WebSocket.OPEN || this.wanted === null || this.wanted === this.sent) return;
    this.sent = this.wanted;
    this.socket.send(this.wanted);
  }

  #open() {
    const url = address("ws");
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    let opened = false;
    this.socket = socket;
    this.sent = null;
    this.heard = performance.now();
    socket.onopen = () => {
      opened = true;
      this.handlers.tell("connected", "");
      this.#send();
    };
    socket.onmessage = (event) => {
      if (socket !== this.socket) return;
      this.wait = FIRST_WAIT;
      this.heard = performance.now();
      if (typeof event.data === "string") this.#text(event.data);
      else this.#binary(event.data);
    };
    socket.onclose = async () => {
      if (socket !== this.socket) return;
      this.socket = null;
      this.handlers.tell("connecting", "The server does not answer; this page goes on when it does.");
      if (!opened) await this.#whyNot();
      setTimeout(() => this.#open(), this.wait);
      this.wait = Math.min(this.wait * 1.5, LONGEST_WAIT);
    };
  }

  async #whyNot() {
    const answer = await fetch(address("api/hello"), { signal: AbortSignal.timeout(5000) }).catch(() => null);
    if (answer?.status === 401 || answer?.status === 403) {
      const told = await answer.json().catch(() => null);
      this.handlers.tell("refused", told?.error ?? "The server wants the token of the address that it printed.");
    }
  }

  /** Ask a server that is silent whether it is there: nothing may have happened, or it is stopped, or cut off. */
  async #watch() {
    const socket = this.socket;
    if (this.asking || socket?.readyState !== WebSocket.OPEN || performance.now() - this.heard < SILENCE) return;
    this.asking = true;
    const answer = await fetch(address("api/hello"), { signal: AbortSignal.timeout(ANSWER) }).catch(() => null);
    this.asking = false;
    if (answer) this.heard = performance.now();
    else if (socket === this.socket) {
      socket.close(); // which may take long where nobody answers
      socket.onclose?.();
    }
  }

  #text(text) {
    const told = JSON.parse(text);
    if (told.kind === "ping") this.socket.send(JSON.stringify({ pong: told.n }));
    else this.handlers.take(told);
  }

  #binary(data) {
    const size = new DataView(data).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, size)));
    this.handlers.image(header, new Uint8Array(data, 4 + size));
  }
}
