// The chain as its users see it, over HTTP and WebSocket, and the faults that it can be given.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { encode } from "../lib/base58.mjs";
import { Chain } from "../lib/chain.mjs";
import { Server } from "../lib/server.mjs";
import { account, computeLimit, derive, key, system, transaction, u32, u64, wallet } from "../lib/wallet.mjs";
import { PROGRAM } from "./support.mjs";

const open = [];
after(() => open.forEach((server) => server.close()));

/** A client of a provider; `call` throws what the provider says is wrong. */
class Client {
  constructor(server) {
    this.server = server;
  }
  async raw(body, signal) {
    const response = await fetch(this.server.urls.http, { method: "POST", body, signal });
    return response.json();
  }
  async call(method, ...params) {
    const { result, error } = await this.raw(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }));
    if (error) throw Object.assign(new Error(error.message), error);
    return result;
  }
  admin(name, fields) {
    return this.call(`admin_${name}`, fields);
  }
  async transfer(from, to, lamports, { options = {}, extra = [] } = {}) {
    const { value } = await this.call("getLatestBlockhash", { commitment: "processed" });
    const bytes = transaction([...extra, system.transfer(from.address, to, lamports)], [from], value.blockhash);
    const signature = await this.call("sendTransaction", bytes.toString("base64"), { encoding: "base64", ...options });
    return { signature, bytes };
  }
  async status(signature, options) {
    const { value } = await this.call("getSignatureStatuses", [signature], options);
    return value[0];
  }
  balance(address, commitment = "processed") {
    return this.call("getBalance", address, { commitment }).then(({ value }) => value);
  }
}

/** A chain whose slots pass when told, and clients of its providers. */
async function start({ providers = 1, ...options } = {}) {
  const chain = new Chain({ genesis: Buffer.from("server"), ...options });
  const clients = [];
  for (let i = 0; i < providers; i += 1) {
    const server = new Server(chain);
    await server.listen(0);
    open.push(server);
    clients.push(new Client(server));
  }
  const [payer, to] = [wallet("payer"), wallet("somebody").address];
  await clients[0].call("requestAirdrop", payer.address, 10_000_000_000);
  return { chain, rpc: clients[0], clients, payer, to };
}

const LAMPORTS = 2_000_000;

test("a transfer is processed, confirmed and finalized, each in its slot", async () => {
  const { rpc, payer, to } = await start({ finalized: 4 });
  const { signature, bytes } = await rpc.transfer(payer, to, LAMPORTS);
  const seen = async () => [
    (await rpc.status(signature)).confirmationStatus,
    await rpc.balance(to, "processed"),
    await rpc.balance(to, "confirmed"),
    await rpc.balance(to, "finalized"),
  ];
  assert.deepEqual(await seen(), ["processed", LAMPORTS, 0, 0]);
  assert.equal(await rpc.call("getTransaction", signature, { commitment: "confirmed" }), null);
  await rpc.admin("advance", { slots: 1 });
  assert.deepEqual(await seen(), ["confirmed", LAMPORTS, LAMPORTS, 0]);
  await rpc.admin("advance", { slots: 3 });
  assert.deepEqual(await seen(), ["finalized", LAMPORTS, LAMPORTS, LAMPORTS]);
  const { transaction: shown, meta, slot, blockTime } = await rpc.call("getTransaction", signature, { encoding: "base64" });
  assert.deepEqual(shown, [bytes.toString("base64"), "base64"]);
  assert.deepEqual([meta.err, meta.fee, meta.status], [null, 5000, { Ok: null }]);
  assert.equal(meta.preBalances[0] - meta.postBalances[0], LAMPORTS + 5000);
  assert.equal(await rpc.call("getBlockTime", slot), blockTime);
  const json = await rpc.call("getTransaction", signature, { encoding: "json" });
  assert.deepEqual(json.transaction.message.accountKeys.slice(0, 2), [payer.address, to]);
});

test("preflight refuses with the program's error; without it a failure is in the block and pays its fee", async () => {
  const { rpc, payer, to } = await start();
  const before = await rpc.balance(payer.address);
  await assert.rejects(rpc.transfer(payer, to, 1e12), ({ code, data, message }) => {
    assert.equal(code, -32002);
    assert.deepEqual(data.err, { InstructionError: [0, { Custom: 1 }] });
    assert.match(message, /custom program error: 0x1$/);
    return true;
  });
  assert.equal(await rpc.balance(payer.address), before);
  const { signature } = await rpc.transfer(payer, to, 1e12, { options: { skipPreflight: true } });
  assert.deepEqual((await rpc.status(signature)).err, { InstructionError: [0, { Custom: 1 }] });
  assert.equal(await rpc.balance(payer.address), before - 5000);
});

test("the same bytes twice are refused as processed, and change nothing when forced", async () => {
  const { rpc, payer, to } = await start();
  const { signature, bytes } = await rpc.transfer(payer, to, LAMPORTS);
  const again = (options) => rpc.call("sendTransaction", bytes.toString("base64"), { encoding: "base64", ...options });
  await assert.rejects(again(), ({ data }) => data.err === "AlreadyProcessed");
  assert.equal(await again({ skipPreflight: true }), signature);
  assert.equal(await rpc.balance(to), LAMPORTS);
});

test("a blockhash lives 150 blocks", async () => {
  const { rpc, payer, to } = await start();
  const { value } = await rpc.call("getLatestBlockhash", { commitment: "processed" });
  assert.equal(value.lastValidBlockHeight, (await rpc.call("getBlockHeight", { commitment: "processed" })) + 150);
  const bytes = transaction([system.transfer(payer.address, to, LAMPORTS)], [payer], value.blockhash);
  const send = () => rpc.call("sendTransaction", bytes.toString("base64"), { encoding: "base64" });
  await rpc.admin("advance", { slots: 150 });
  assert.equal((await rpc.call("isBlockhashValid", value.blockhash)).value, true);
  await rpc.admin("advance", { slots: 1 });
  assert.equal((await rpc.call("isBlockhashValid", value.blockhash)).value, false);
  await assert.rejects(send(), ({ data }) => data.err === "BlockhashNotFound");
});

test("wrong signatures and no transactions at all", async () => {
  const { rpc, payer, to } = await start();
  const { value } = await rpc.call("getLatestBlockhash");
  const bytes = transaction([system.transfer(payer.address, to, LAMPORTS)], [payer], value.blockhash);
  bytes[5] ^= 1;
  const send = (text, encoding = "base64") => rpc.call("sendTransaction", text, { encoding });
  await assert.rejects(send(bytes.toString("base64")), ({ code }) => code === -32003);
  await assert.rejects(send("AAAA"), ({ code }) => code === -32602);
  await assert.rejects(send(Buffer.alloc(1233, 1).toString("base64")), /1232/);
  bytes[5] ^= 1;
  assert.equal(await send(encode(bytes), "base58"), encode(bytes.subarray(1, 65)));
});

test("fees: per signature, per precompile signature, and for priority", async () => {
  const { rpc, payer, to } = await start();
  const price = { program: computeLimit(0).program, accounts: [], data: Buffer.concat([Buffer.from([3]), u64(2_000_000n)]) };
  const extra = [computeLimit(10_000), price];
  const before = await rpc.balance(payer.address);
  const { signature, bytes } = await rpc.transfer(payer, to, LAMPORTS, { extra });
  assert.equal(before - (await rpc.balance(payer.address)) - LAMPORTS, 25_000);
  await rpc.admin("advance", {});
  const { meta } = await rpc.call("getTransaction", signature, { commitment: "confirmed" });
  assert.equal(meta.fee, 25_000);
  assert.ok(meta.computeUnitsConsumed > 0);
  const message = bytes.subarray(65).toString("base64");
  assert.equal((await rpc.call("getFeeForMessage", message)).value, 25_000);
});

test("simulation tells units, logs and accounts, and does nothing", async () => {
  const { rpc, payer, to } = await start();
  const { value } = await rpc.call("getLatestBlockhash");
  const bytes = transaction([system.transfer(payer.address, to, LAMPORTS)], [payer], value.blockhash);
  const options = { encoding: "base64", sigVerify: false, accounts: { encoding: "base64", addresses: [to] } };
  const { value: outcome } = await rpc.call("simulateTransaction", bytes.toString("base64"), options);
  assert.deepEqual([outcome.err, outcome.accounts[0].lamports], [null, LAMPORTS]);
  assert.ok(outcome.unitsConsumed > 0 && outcome.logs.length > 0);
  assert.equal(await rpc.balance(to), 0);
});

test("signatures of an address: newest first, in pages, up to one that is known", async () => {
  const { rpc, payer, to } = await start();
  const sent = [];
  for (let lamports = LAMPORTS; lamports < LAMPORTS + 5; lamports += 1) {
    sent.unshift((await rpc.transfer(payer, to, lamports)).signature);
    await rpc.admin("advance", {});
  }
  const list = async (options) =>
    (await rpc.call("getSignaturesForAddress", to, { commitment: "confirmed", ...options })).map((entry) => entry.signature);
  assert.deepEqual(await list(), sent);
  assert.deepEqual(await list({ limit: 2 }), sent.slice(0, 2));
  assert.deepEqual(await list({ before: sent[1], limit: 2 }), sent.slice(2, 4));
  assert.deepEqual(await list({ until: sent[3] }), sent.slice(0, 3));
  assert.deepEqual(await list({ until: encode(Buffer.alloc(64, 9)), limit: 2 }), sent.slice(0, 2));
  assert.deepEqual(await list({ commitment: "finalized" }), []);
});

test("accounts, rent, blocks and what is asked wrongly", async () => {
  const { rpc, payer, to, chain } = await start();
  assert.equal(await rpc.call("getHealth"), "ok");
  assert.equal(await rpc.call("getGenesisHash"), chain.genesisHash);
  assert.equal(await rpc.call("getMinimumBalanceForRentExemption", 165), 2_039_280);
  const { value } = await rpc.call("getMultipleAccounts", [payer.address, to], { commitment: "processed" });
  assert.deepEqual([value[0].lamports, value[0].owner, value[1]], [10_000_000_000, "1".repeat(32), null]);
  const invalid = ({ code }) => code === -32602;
  await assert.rejects(rpc.call("getBalance", "O0"), invalid);
  await assert.rejects(rpc.call("getSlot", { commitment: "recent" }), invalid);
  await assert.rejects(rpc.call("getSlot", { minContextSlot: 100_000 }), ({ code }) => code === -32016);
  await assert.rejects(rpc.call("getNothing"), ({ code }) => code === -32601);
  await assert.rejects(rpc.call("toString"), ({ code }) => code === -32601);
  assert.equal((await rpc.raw("{")).error.code, -32700);
  const batch = await rpc.raw(JSON.stringify([{ id: 1, method: "getHealth" }, { id: 2, method: "x" }]));
  assert.deepEqual(batch.map(({ id, result }) => [id, result]), [[1, "ok"], [2, undefined]]);
  await rpc.admin("skip", { slots: 3 });
  const slot = await rpc.call("getSlot", { commitment: "processed" });
  assert.equal(await rpc.call("getBlockHeight", { commitment: "processed" }), slot - 3);
  await assert.rejects(rpc.call("getBlockTime", slot - 1), ({ code }) => code === -32007);
  const shown = (number) => rpc.call("getBlock", number, { commitment: "processed", transactionDetails: "none" });
  const [block, parent] = [await shown(slot), await shown(slot - 4)];
  assert.deepEqual([block.parentSlot, block.previousBlockhash], [slot - 4, parent.blockhash]);
  assert.equal(block.blockTime, await rpc.call("getBlockTime", slot));
  await assert.rejects(shown(slot - 1), ({ code }) => code === -32007);
  await assert.rejects(shown(slot + 1), ({ code }) => code === -32004);
});

test("version 0 with a lookup table: shown only to who knows the version", async () => {
  const { rpc, payer, chain, to } = await start();
  const lookup = "AddressLookupTab1e1111111111111111111111111";
  await rpc.admin("advance", { slots: 5 });
  const recent = chain.slot - 1;
  const { address: table, bump } = derive([key(payer.address), u64(recent)], lookup);
  const accounts = [account(table, "w"), account(payer.address, "s"), account(payer.address, "ws"), account("1".repeat(32))];
  const create = { program: lookup, accounts, data: Buffer.concat([u32(0), u64(recent), Buffer.from([bump])]) };
  const extend = { program: lookup, accounts, data: Buffer.concat([u32(2), u64(1), key(to)]) };
  const { value } = await rpc.call("getLatestBlockhash", { commitment: "processed" });
  const setup = transaction([create, extend], [payer], value.blockhash);
  await rpc.call("sendTransaction", setup.toString("base64"), { encoding: "base64" });
  await rpc.admin("advance", {});
  const message = Buffer.concat([
    Buffer.from([0x80, 1, 0, 1, 2]),
    key(payer.address),
    key("1".repeat(32)),
    key(value.blockhash),
    Buffer.from([1, 1, 2, 0, 2, 12]),
    u32(2),
    u64(LAMPORTS),
    Buffer.from([1]),
    key(table),
    Buffer.from([1, 0, 0]),
  ]);
  const bytes = Buffer.concat([Buffer.from([1]), payer.sign(message), message]);
  const signature = await rpc.call("sendTransaction", bytes.toString("base64"), { encoding: "base64" });
  assert.equal(await rpc.balance(to), LAMPORTS);
  await rpc.admin("advance", {});
  const get = (options) => rpc.call("getTransaction", signature, { commitment: "confirmed", ...options });
  await assert.rejects(get(), ({ code }) => code === -32015);
  const shown = await get({ maxSupportedTransactionVersion: 0 });
  assert.deepEqual([shown.version, shown.meta.loadedAddresses.writable], [0, [to]]);
  const [{ signature: listed }] = await rpc.call("getSignaturesForAddress", to, { commitment: "confirmed" });
  assert.equal(listed, signature);
});

test("blocks that are taken back take transactions, balances and blockhashes with them", async () => {
  const { rpc, payer, to } = await start({ finalized: 8 });
  await rpc.admin("advance", { slots: 10 });
  await rpc.transfer(payer, to, LAMPORTS);
  const kept = await rpc.call("getSlot", { commitment: "processed" });
  await rpc.admin("advance", {});
  const { value } = await rpc.call("getLatestBlockhash", { commitment: "processed" });
  const lost = await rpc.transfer(payer, to, 2 * LAMPORTS);
  const before = await rpc.balance(payer.address);
  await rpc.admin("advance", {});
  assert.equal((await rpc.status(lost.signature)).confirmationStatus, "confirmed");
  await rpc.admin("rollback", { slot: kept });
  assert.equal(await rpc.status(lost.signature), null);
  assert.deepEqual([await rpc.balance(to), await rpc.balance(payer.address)], [LAMPORTS, before + 2 * LAMPORTS + 5000]);
  assert.equal((await rpc.call("isBlockhashValid", value.blockhash)).value, false);
  const [only, ...rest] = await rpc.call("getSignaturesForAddress", to, { commitment: "processed" });
  assert.deepEqual([only.slot, rest], [kept, []]);
  assert.ok((await rpc.call("getSlot", { commitment: "processed" })) > kept + 1);
  // Life goes on, and what is finalized cannot be taken back.
  await rpc.transfer(payer, to, 3 * LAMPORTS);
  assert.equal(await rpc.balance(to), 4 * LAMPORTS);
  await rpc.admin("advance", { slots: 20 });
  await assert.rejects(rpc.admin("rollback", { slot: kept }), /can be gone back to/);
});

test("one provider drops, is late, lies, fails or is of another chain; the other one is not", async () => {
  const { clients, payer, to, chain } = await start({ providers: 2 });
  const [bad, good] = clients;
  await bad.admin("faults", { drop: 1 });
  const { signature } = await bad.transfer(payer, to, LAMPORTS);
  assert.equal(await good.status(signature), null);
  await bad.transfer(payer, to, LAMPORTS + 1);
  assert.equal(await good.balance(to), LAMPORTS + 1);

  await bad.admin("advance", { slots: 5 });
  await bad.admin("faults", { lag: 3 });
  const slot = (client) => client.call("getSlot", { commitment: "confirmed" });
  assert.equal((await slot(good)) - (await slot(bad)), 3);
  await bad.admin("faults", { lag: 6 });
  assert.equal(await bad.balance(to), 0);

  await bad.admin("faults", { lag: 0, genesisHash: "1".repeat(32), forge: { getSlot: 7 }, fail: { getHealth: "behind" } });
  assert.equal(await bad.call("getGenesisHash"), "1".repeat(32));
  assert.equal(await good.call("getGenesisHash"), chain.genesisHash);
  assert.equal(await bad.call("getSlot"), 7);
  await assert.rejects(bad.call("getHealth"), /behind/);
  await assert.rejects(bad.admin("faults", { nothing: 1 }), /there is no fault/);
  await bad.admin("faults", null);
  assert.equal(await bad.call("getHealth"), "ok");
});

test("a provider that hangs answers nothing, or not what it is asked", async () => {
  const { rpc } = await start();
  await rpc.admin("faults", { hang: ["getSlot"] });
  assert.equal(await rpc.call("getHealth"), "ok");
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "getSlot" });
  await assert.rejects(rpc.raw(body, AbortSignal.timeout(200)), /timeout/i);
  await rpc.admin("faults", { hang: true });
  await assert.rejects(rpc.raw(body.replace("getSlot", "getHealth"), AbortSignal.timeout(200)), /timeout/i);
});

/** Texts that come over a WebSocket to which `call` was sent. */
async function subscribe(server, method, params) {
  const headers = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  const upgrade = request(server.urls.ws.replace("ws:", "http:"), { headers });
  upgrade.end();
  const [response, socket] = await once(upgrade, "upgrade");
  assert.equal(response.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  const payload = Buffer.from(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }));
  const length = payload.length < 126 ? [0x80 | payload.length] : [0x80 | 126, payload.length >> 8, payload.length & 255];
  // In two pieces, with a mask of zeroes.
  const frame = Buffer.concat([Buffer.from([0x81, ...length, 0, 0, 0, 0]), payload]);
  socket.write(frame.subarray(0, 9));
  setTimeout(() => socket.write(frame.subarray(9)), 20);
  const texts = [];
  let buffer = Buffer.alloc(0);
  socket.on("data", (bytes) => {
    buffer = Buffer.concat([buffer, bytes]);
    for (;;) {
      const long = buffer[1] === 126;
      const size = long ? buffer.readUInt16BE(2) : buffer[1];
      const at = long ? 4 : 2;
      if (buffer.length < 2 || buffer.length < at + size) return;
      texts.push(JSON.parse(buffer.subarray(at, at + size).toString()));
      buffer = buffer.subarray(at + size);
      socket.emit("text");
    }
  });
  const next = async () => {
    while (texts.length === 0) await once(socket, "text");
    return texts.shift();
  };
  return { next, close: () => socket.destroy() };
}

test("subscriptions tell slots, and a signature once", async () => {
  const { rpc, payer, to } = await start();
  const slots = await subscribe(rpc.server, "slotSubscribe", []);
  const { result: number } = await slots.next();
  await rpc.admin("advance", {});
  const { method, params } = await slots.next();
  assert.deepEqual([method, params.subscription], ["slotNotification", number]);
  assert.equal(params.result.slot, await rpc.call("getSlot", { commitment: "processed" }));
  slots.close();

  const { signature } = await rpc.transfer(payer, to, LAMPORTS);
  const statuses = await subscribe(rpc.server, "signatureSubscribe", [signature, { commitment: "confirmed" }]);
  await statuses.next();
  await rpc.admin("advance", { slots: 2 });
  const told = await statuses.next();
  assert.deepEqual([told.method, told.params.result.value], ["signatureNotification", { err: null }]);
  statuses.close();
});

test("as a process: prints its ports, counts slots, runs a program, stops", async () => {
  const script = join(import.meta.dirname, "../server.mjs");
  const args = [script, "--slot-ms", "20", "--providers", "2", "--genesis", "x", "--until-stdin-ends"];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = await once(createInterface(child.stdout), "line");
  const { ports, providers, genesisHash } = JSON.parse(line);
  assert.deepEqual(providers.map(({ http }) => Number(new URL(http).port)), ports);
  const [first, second] = providers.map((urls) => new Client({ urls }));
  assert.equal(await second.call("getGenesisHash"), genesisHash);
  const slot = await first.call("getSlot", { commitment: "processed" });
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok((await second.call("getSlot", { commitment: "processed" })) >= slot + 3);

  const [payer, program] = [wallet("payer"), wallet("program").address];
  await first.call("requestAirdrop", payer.address, 10_000_000_000);
  const authority = payer.address;
  await first.admin("load", { address: program, program: PROGRAM.toString("base64"), authority });
  const { value } = await first.call("getLatestBlockhash");
  const bytes = transaction([{ program, accounts: [], data: Buffer.from([99]) }], [payer], value.blockhash);
  await assert.rejects(second.call("sendTransaction", bytes.toString("base64"), { encoding: "base64" }), ({ data }) => {
    assert.deepEqual(data.err, { InstructionError: [0, { Custom: 100 }] });
    return true;
  });
  child.stdin.end();
  assert.deepEqual(await once(child, "exit"), [0, null]);
});
