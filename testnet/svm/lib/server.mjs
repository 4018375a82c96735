// Providers of one chain on local ports: JSON-RPC over HTTP on one, subscriptions over WebSocket on the next.
import { createServer } from "node:http";
import { decode } from "./base58.mjs";
import { MAX_LAG } from "./chain.mjs";
import { Provider, RpcError } from "./rpc.mjs";
import { Connection } from "./websocket.mjs";

const MAX_BODY = 1 << 20;
const MAX_BATCH = 100;
const PORT_TRIES = 50;

const failure = (id, { code = -32603, message, data }) => ({ jsonrpc: "2.0", error: { code, message, data }, id });

/** What tests do to the chain and to this provider; not part of any real one. */
const admin = {
  admin_faults: ({ provider }, faults = null) => provider.setFaults(faults),
  admin_rollback({ chain }, { slot, slots }) {
    chain.rollback(slot ?? chain.slot - slots);
  },
  admin_advance({ chain }, { slots = 1 } = {}) {
    for (let i = 0; i < slots; i += 1) chain.advance();
  },
  /** Slots without a block. */
  admin_skip({ chain }, { slots }) {
    if (!(slots >= 1 && slots <= MAX_LAG)) throw new RpcError(-32602, `from 1 to ${MAX_LAG} slots`);
    chain.advance(slots + 1);
  },
  admin_warp({ chain }, { seconds }) {
    chain.clockOffset += seconds;
    chain.advance();
  },
  admin_load({ chain }, { address, program, authority }) {
    chain.load(address, Buffer.from(program, "base64"), authority);
    chain.advance();
  },
  admin_stop: ({ stop }) => void setImmediate(stop),
};

export class Server {
  constructor(chain, { host = "127.0.0.1", stop = () => {} } = {}) {
    Object.assign(this, { chain, host, stop, provider: new Provider(chain), open: new Set() });
  }

  /** On `port` and the one after it, or with 0 on any two. */
  async listen(port) {
    for (let tries = port ? 1 : PORT_TRIES; tries > 0; tries -= 1) {
      this.http = createServer((request, response) => this.#onHttp(request, response));
      this.ws = createServer((_, response) => response.writeHead(426).end());
      this.ws.on("upgrade", (request, socket, head) => this.#onUpgrade(request, socket, head));
      try {
        await listening(this.http, port, this.host);
        this.port = this.http.address().port;
        await listening(this.ws, this.port + 1, this.host);
        this.listener = () => this.#notify();
        this.chain.listeners.add(this.listener);
        return;
      } catch (error) {
        this.http.close();
        if (tries === 1) throw error;
      }
    }
  }

  get urls() {
    return { http: `http://${this.host}:${this.port}`, ws: `ws://${this.host}:${this.port + 1}` };
  }

  close() {
    this.chain.listeners.delete(this.listener);
    for (const { connection } of this.open) connection.socket.destroy();
    for (const server of [this.http, this.ws]) {
      server.close();
      server.closeAllConnections();
    }
  }

  // ---- HTTP ----

  #onHttp(request, response) {
    if (request.method === "GET") return void response.end("ok");
    const parts = [];
    let size = 0;
    request.on("data", (part) => {
      size += part.length;
      if (size > MAX_BODY) request.destroy();
      else parts.push(part);
    });
    request.on("end", () => this.#answer(Buffer.concat(parts).toString(), response));
  }

  #answer(body, response) {
    const reply = this.#reply(body);
    // Silent: the connection stays open until the client has enough of it.
    if (reply === null) return;
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(reply));
  }

  #reply(body) {
    let calls;
    try {
      calls = JSON.parse(body);
    } catch {
      return failure(null, { code: -32700, message: "Parse error" });
    }
    if (!Array.isArray(calls)) return this.#call(calls);
    if (calls.length > MAX_BATCH) return failure(null, { code: -32600, message: `${MAX_BATCH} calls at most` });
    const replies = calls.map((call) => this.#call(call));
    return replies.includes(null) ? null : replies;
  }

  #call({ id = null, method, params = [] } = {}) {
    try {
      if (typeof method !== "string" || !Array.isArray(params)) throw new RpcError(-32600, "Invalid request");
      if (Object.hasOwn(admin, method)) {
        return { jsonrpc: "2.0", result: admin[method](this, ...params) ?? null, id };
      }
      if (this.provider.hangs(method)) return null;
      return { jsonrpc: "2.0", result: this.provider.call(method, params), id };
    } catch (error) {
      return failure(id, error);
    }
  }

  // ---- WebSocket ----

  #onUpgrade(request, socket, head) {
    const peer = { subscriptions: new Map(), last: 0 };
    const onText = (text) => this.#onText(peer, text);
    peer.connection = new Connection(request, socket, head, { onText, onEnd: () => this.open.delete(peer) });
    this.open.add(peer);
  }

  #onText(peer, text) {
    let call;
    try {
      call = JSON.parse(text);
    } catch {
      return peer.connection.send(JSON.stringify(failure(null, { code: -32700, message: "Parse error" })));
    }
    const { id = null, method, params = [] } = call ?? {};
    if (this.provider.hangs(method)) return;
    let reply;
    try {
      reply = { jsonrpc: "2.0", result: this.#subscribe(peer, method, params), id };
    } catch (error) {
      reply = failure(id, error);
    }
    peer.connection.send(JSON.stringify(reply));
    this.#notify();
  }

  #subscribe(peer, method, [subject, options] = []) {
    const { subscriptions } = peer;
    const add = (subscription) => {
      peer.last += 1;
      subscriptions.set(peer.last, subscription);
      return peer.last;
    };
    if (method === "slotSubscribe") return add({ kind: "slot", last: this.#slot() });
    if (method === "signatureSubscribe") {
      if (!decode(subject, 64)) throw new RpcError(-32602, "Invalid param: not a base58 signature of 64 bytes");
      return add({ kind: "signature", signature: subject, commitment: options?.commitment ?? "finalized" });
    }
    if (method === "slotUnsubscribe" || method === "signatureUnsubscribe") return subscriptions.delete(subject);
    throw new RpcError(-32601, "Method not found");
  }

  #slot = () => this.provider.block({ commitment: "processed" }).slot;

  #notify() {
    if (this.provider.faults.hang === true) return;
    for (const { connection, subscriptions } of this.open) {
      for (const [number, subscription] of subscriptions) {
        const result = subscription.kind === "slot" ? this.#newSlot(subscription) : this.#outcome(subscription);
        if (!result) continue;
        if (subscription.kind === "signature") subscriptions.delete(number);
        const method = `${subscription.kind}Notification`;
        connection.send(JSON.stringify({ jsonrpc: "2.0", method, params: { result, subscription: number } }));
      }
    }
  }

  #newSlot(subscription) {
    const slot = this.#slot();
    if (slot <= subscription.last) return null;
    const parent = subscription.last;
    subscription.last = slot;
    return { slot, parent, root: this.provider.block({ commitment: "finalized" }).slot };
  }

  #outcome({ signature, commitment }) {
    const record = this.provider.record(signature, commitment);
    return record && { context: { slot: this.provider.block({ commitment }).slot }, value: { err: record.err } };
  }
}

const listening = (server, port, host) =>
  new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
