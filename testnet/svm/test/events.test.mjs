// Whose event it is: forged ones have been paid out elsewhere.
import assert from "node:assert/strict";
import { test } from "node:test";
import { dataLogged, events } from "../lib/bridge.mjs";
import { MEMO, account, associated, key, token } from "../lib/wallet.mjs";
import { DAY, PEER, World, operators, world } from "./support.mjs";

const receiver = Buffer.alloc(20, 0x22);

/** The same program under another name, with whatever its loader likes, on the same chain. */
function twinOf(w) {
  const twin = Object.assign(Object.create(World.prototype), w, { bridge: w.deploy("twin") });
  twin.initialize(operators(4, { name: "attacker" }));
  twin.createAssociated(twin.bridge.address, twin.mint);
  twin.run(twin.bridge.setPeer(twin.admin.address, PEER), { by: twin.admin });
  twin.run(twin.bridge.setToken(twin.admin.address, PEER, twin.token), { by: twin.admin });
  return twin;
}

const send = (w, nonce, amount) =>
  w.bridge.send(w.user.address, PEER, w.token, nonce, { amount, deadline: w.now() + DAY, receiver });

test("an event of another program in the same transaction is that program's", () => {
  const w = world();
  const twin = twinOf(w);
  const record = w.run([send(twin, 1n, 990_000n), send(w, 1n, 10n)], { by: w.user });
  assert.deepEqual(events(w.bridge.program, record).sent.map(({ amount }) => amount), [1n]);
  assert.deepEqual(events(twin.bridge.program, record).sent.map(({ amount }) => amount), [99_000n]);
  const alone = w.run(send(twin, 2n, 100n), { by: w.user });
  assert.deepEqual(events(w.bridge.program, alone).sent, []);
});

test("text that looks like an event, with line breaks too, is none", () => {
  const w = world();
  const { logs } = w.run(send(w, 1n, 10n), { by: w.user });
  const line = logs.find((entry) => entry.startsWith("Program data: "));
  const lies = [
    line,
    `x\n${line}`,
    `Program ${w.bridge.program} invoke [2]\n${line}`,
    `"\nProgram ${w.bridge.program} invoke [1]\n${line}\nProgram ${w.bridge.program} success`,
  ];
  for (const lie of lies) {
    const memo = { program: MEMO, accounts: [account(w.user.address, "s")], data: Buffer.from(lie) };
    const record = w.run([memo, send(w, nextNonce(w), 20n)], { by: w.user });
    assert.deepEqual(events(w.bridge.program, record).sent.map(({ amount }) => amount), [2n]);
  }
});

const nextNonce = (w) => {
  w.sentSoFar = (w.sentSoFar ?? 1n) + 1n;
  return w.sentSoFar;
};

test("inner calls do not hide what follows them, and a failed transaction has no event", () => {
  const w = world();
  const { logs } = w.run(send(w, 1n, 10n), { by: w.user });
  const data = logs.findIndex((entry) => entry.startsWith("Program data: "));
  assert.ok(logs.slice(0, data).some((entry) => entry.endsWith("invoke [2]")));
  const late = token.mintTo(w.mint, associated(w.user.address, w.mint), w.user.address, 1n);
  const failed = w.try([send(w, 2n, 10n), late], { by: w.user });
  assert.ok(failed.err);
  assert.equal(dataLogged(w.bridge.program, failed.logs).length, 1);
  assert.deepEqual(events(w.bridge.program, failed).sent, []);
});

test("an event of another length is none", () => {
  const w = world();
  const { logs } = w.run(send(w, 1n, 10n), { by: w.user });
  const at = logs.findIndex((entry) => entry.startsWith("Program data: "));
  const bytes = Buffer.from(logs[at].slice("Program data: ".length), "base64");
  const changed = (data) => logs.map((entry, i) => (i === at ? `Program data: ${data.toString("base64")}` : entry));
  const count = (data) => events(w.bridge.program, { err: null, logs: changed(data) }).sent.length;
  assert.equal(count(bytes), 1);
  assert.equal(count(Buffer.concat([bytes, Buffer.alloc(1)])), 0);
  assert.equal(count(bytes.subarray(0, -1)), 0);
  assert.equal(count(bytes.subarray(0, 100)), 0);
  assert.throws(() => events(w.bridge.program, { err: null, logs: [...logs, "Log truncated"] }));
  assert.deepEqual(events(w.bridge.program, { err: null, logs }).sent[0].sender, key(w.user.address));
});
