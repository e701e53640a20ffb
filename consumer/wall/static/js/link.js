/** The page's WebSocket: connects, reconnects, keeps the clock, acknowledges. Runs in the worker. */

import { GatewayClock } from "./clock.js";

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 1500;
const CONNECT_TIMEOUT_MS = 3000;
// The gateway answers each clock message: no message for so long means that the connection is dead.
const SILENCE_MS = 4000;
const CLOCK_INTERVAL_MS = 1000;
const FIRST_EXCHANGES = 4;
const ACK_INTERVAL_MS = 50;

/** This page's clock in ms; steps of the wall clock do not reach it. */
export function pageNow() {
  return performance.timeOrigin + performance.now();
}

export class Link {
  /**
   * @param {{onOpen, onClose, onMessage, onFrame}} handlers `onMessage` gets JSON objects, `onFrame` the buffers
   *     of binary messages
   */
  constructor(url, handlers) {
    this.url = url;
    this.clock = new GatewayClock();
    this.attempts = 0;
    this.bytes = 0;
    this.#handlers = handlers;
  }

  #handlers;
  #socket = null;
  #timer = null; // of the next attempt, or of giving this one up
  #clockTimer = null;
  #ackTimer = null;
  #ackedMs = -Infinity;
  #heardMs = 0;
  #exchanges = 0;

  get connected() {
    return this.#socket !== null && this.#socket.readyState === WebSocket.OPEN;
  }

  send(message) {
    if (this.connected) this.#socket.send(JSON.stringify(message));
  }

  /** The gateway's time in ms; null while it is not known. */
  gatewayNow(nowMs) {
    if (this.clock.slept(Date.now(), nowMs)) this.#askTime();
    return this.clock.now(nowMs);
  }

  /** Connect now, and not only after a wait: at the start, or when somebody looks again. */
  connect() {
    if (this.#socket === null) this.#connect();
  }

  #connect() {
    clearTimeout(this.#timer);
    this.attempts += 1;
    let socket;
    try {
      socket = new WebSocket(this.url);
    } catch (error) {
      this.#retry(error.message);
      return;
    }
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    // Events of a socket that was given up are ignored: closing may take it a minute.
    const current = (handle) => (event) => socket === this.#socket && handle(event);
    socket.onopen = current(() => this.#opened());
    socket.onmessage = current((event) => this.#received(event.data));
    socket.onclose = current((event) => this.#drop(event.reason || `connection closed (${event.code})`));
    this.#timer = setTimeout(() => this.#drop("no answer"), CONNECT_TIMEOUT_MS);
  }

  #opened() {
    clearTimeout(this.#timer);
    this.attempts = 0;
    this.bytes = 0;
    this.#heardMs = pageNow();
    this.#exchanges = 0;
    this.clock.reset();
    this.#askTime();
    this.#clockTimer = setInterval(() => this.#tick(), CLOCK_INTERVAL_MS);
    this.#handlers.onOpen();
  }

  #received(data) {
    this.#heardMs = pageNow();
    if (typeof data !== "string") {
      this.bytes += data.byteLength;
      this.#acknowledge();
      this.#handlers.onFrame(data);
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "clock") this.#onTime(message);
    else this.#handlers.onMessage(message);
  }

  #askTime() {
    this.send({ type: "clock", sent_ms: pageNow() });
  }

  #onTime(message) {
    this.clock.observe(message.sent_ms, message.wall_us / 1000, pageNow());
    this.#exchanges += 1;
    if (this.#exchanges < FIRST_EXCHANGES) this.#askTime();
  }

  #tick() {
    if (pageNow() - this.#heardMs > SILENCE_MS) this.#drop("no answer");
    else this.#askTime();
  }

  #acknowledge() {
    if (this.#ackTimer !== null) return;
    const waitMs = Math.max(0, this.#ackedMs + ACK_INTERVAL_MS - pageNow());
    if (waitMs === 0) this.#sendAck();
    else this.#ackTimer = setTimeout(() => this.#sendAck(), waitMs);
  }

  #sendAck() {
    this.#ackTimer = null;
    this.#ackedMs = pageNow();
    this.send({ type: "ack", bytes: this.bytes });
  }

  #drop(reason) {
    const socket = this.#socket;
    if (socket === null) return;
    this.#socket = null;
    socket.close();
    clearTimeout(this.#timer);
    clearTimeout(this.#ackTimer);
    clearInterval(this.#clockTimer);
    this.#ackTimer = null;
    this.#retry(reason);
  }

  #retry(reason) {
    this.#handlers.onClose(reason);
    const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(10, Math.max(0, this.attempts - 1)));
    // Not all pages at the same moment.
    this.#timer = setTimeout(() => this.#connect(), waitMs * (0.75 + Math.random() / 2));
  }
}
