// WebSocket, as much of it as subscriptions need: text in one frame each way, pings and closing.
import { createHash } from "node:crypto";

const MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const MAX_FRAME = 65_536;
const [TEXT, CLOSE, PING, PONG] = [1, 8, 9, 10];

function frame(kind, payload) {
  const head =
    payload.length < 126
      ? Buffer.from([0x80 | kind, payload.length])
      : Buffer.from([0x80 | kind, 126, payload.length >> 8, payload.length & 0xff]);
  return Buffer.concat([head, payload]);
}

/** Answers the upgrade; `onText` is told every text. Has `send` and, when the peer is gone, calls `onEnd`. */
export class Connection {
  constructor(request, socket, head, { onText, onEnd }) {
    this.socket = socket;
    this.buffer = head;
    this.onText = onText;
    const accept = createHash("sha1").update(request.headers["sec-websocket-key"] + MAGIC).digest("base64");
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.on("data", (bytes) => this.#take(bytes));
    socket.on("error", () => socket.destroy());
    socket.on("close", onEnd);
    this.#take(Buffer.alloc(0));
  }

  send(text) {
    if (this.socket.writable) this.socket.write(frame(TEXT, Buffer.from(text)));
  }

  #take(bytes) {
    this.buffer = Buffer.concat([this.buffer, bytes]);
    for (let read = this.#next(); read; read = this.#next()) this.#handle(read);
  }

  /** A whole frame of those that came, or null. Clients mask what they send. */
  #next() {
    const { buffer } = this;
    if (buffer.length < 2) return null;
    let [length, at] = [buffer[1] & 0x7f, 2];
    if (length === 126) {
      if (buffer.length < 4) return null;
      [length, at] = [buffer.readUInt16BE(2), 4];
    }
    if (length === 127 || length > MAX_FRAME || !(buffer[1] & 0x80) || !(buffer[0] & 0x80)) {
      this.socket.destroy();
      return null;
    }
    if (buffer.length < at + 4 + length) return null;
    const mask = buffer.subarray(at, at + 4);
    const payload = Buffer.from(buffer.subarray(at + 4, at + 4 + length));
    for (let i = 0; i < length; i += 1) payload[i] ^= mask[i % 4];
    this.buffer = buffer.subarray(at + 4 + length);
    return { kind: buffer[0] & 0x0f, payload };
  }

  #handle({ kind, payload }) {
    if (kind === TEXT) this.onText(payload.toString());
    else if (kind === PING) this.socket.write(frame(PONG, payload));
    else if (kind === CLOSE) this.socket.end(frame(CLOSE, payload.subarray(0, 2)));
  }
}
