// What the program's instructions cost: compute units, bytes of a transaction, rent. Prints the tables of
// docs/reference/svm.md.
import { OperatorSet, closedStatement, epochStatement, pauseStatement, read } from "./lib/bridge.mjs";
import { key } from "./lib/wallet.mjs";
import { DAY, LIMIT_DELAY, PEER, operators, world } from "./test/support.mjs";

const MEMBERS = 19;
const SIGNERS = 13;
const receiver = Buffer.alloc(20, 0x22);

/** Derived addresses cost by their bump: of several worlds the dearest counts. */
const rows = new Map();
function measure(w, name, instructions, options = {}) {
  const { transaction, unitsConsumed } = w.run(instructions, options);
  const known = rows.get(name) ?? { units: 0, bytes: 0 };
  // Less what the compute-budget program takes.
  rows.set(name, {
    units: Math.max(known.units, unitsConsumed - 150),
    bytes: Math.max(known.bytes, transaction.bytes.length),
  });
}

function send(w, name) {
  const nonce = read.peer(w.data(w.bridge.peer(PEER))).sent + 1n;
  const fields = { amount: 1_000n, deadline: w.now() + DAY, receiver };
  measure(w, name, w.bridge.send(w.user.address, PEER, w.token, nonce, fields), { by: w.user });
  const transfer = { nonce, sender: key(w.user.address), receiver, token: key(w.mint), amount: 100n, deadline: BigInt(fields.deadline) };
  const time = BigInt(w.now());
  const hash = w.certify(closedStatement(w.bridge.routeTo(PEER), nonce, time));
  const refund = w.bridge.refund(w.relayer.address, w.epoch, hash, PEER, w.token, transfer, nonce, time);
  measure(w, name.replace("send", "refund"), refund);
}

function gather(w) {
  const transfer = w.transfer({ nonce: 77n });
  const hash = w.digest(w.statement(transfer));
  const signatures = w.sign(hash, [...Array(SIGNERS).keys()]);
  const add = (part) => w.bridge.gatherSignatures(w.relayer.address, w.epoch, hash, part);
  measure(w, "gather: the account and 1 signature", add(signatures.slice(0, 1)));
  measure(w, "gather: 1 signature more", add(signatures.slice(1, 2)));
  measure(w, "gather: 11 signatures more", add(signatures.slice(2)));
  const other = w.transfer({ nonce: 78n });
  const otherHash = w.digest(w.statement(other));
  const all = w.sign(otherHash, [...Array(SIGNERS).keys()]);
  measure(w, `gather: the account and ${SIGNERS} signatures`, w.bridge.gatherSignatures(w.relayer.address, w.epoch, otherHash, all));
}

function deliver(w, name, fields) {
  const transfer = w.transfer(fields);
  const hash = w.certify(w.statement(transfer));
  measure(w, name, w.deliver(transfer, hash));
  return transfer;
}

function all(seed) {
  const w = world({ members: operators(MEMBERS, { name: seed }) });
  for (const name of ["initialize", "install a part", "set a peer", "set a token"]) {
    const { units, bytes } = w.units.get(name);
    const known = rows.get(name) ?? { units: 0, bytes: 0 };
    rows.set(name, { units: Math.max(known.units, units), bytes: Math.max(known.bytes, bytes) });
  }
  gather(w);
  deliver(w, "deliver: the first of a page of nonces", { nonce: 1n });
  deliver(w, "deliver: any other", { nonce: 2n });
  const transfer = deliver(w, "deliver: into the queue", { nonce: 3n, amount: 10_001n });
  w.wait(LIMIT_DELAY + 1);
  measure(w, "release", w.bridge.release(w.relayer.address, PEER, w.token, transfer));
  const closing = w.transfer({ nonce: 4n });
  const hash = w.certify(w.statement(closing));
  const close = w.bridge.close(w.receiver.address, w.relayer.address, w.epoch, hash, PEER, closing);
  measure(w, "close", close, { by: w.receiver });
  send(w, "send, locked");
  measure(w, "pause", w.bridge.pause(w.guardian.address), { by: w.guardian });
  const time = BigInt(w.now());
  const vote = w.certify(pauseStatement(w.bridge.end, 2n, 0, time));
  measure(w, "set paused", w.bridge.setPaused(w.relayer.address, w.epoch, vote, { sequence: 2n, paused: 0, time }));
  const set = new OperatorSet(operators(MEMBERS, { name: "next" }));
  const update = w.certify(epochStatement(8, set.hash, time));
  measure(w, "update the epoch", w.bridge.update(w.relayer.address, w.relayer.address, w.epoch, update, 8, time, set));
  send(world({ mode: 2, members: operators(4, { name: seed }) }), "send, burned");
  return w;
}

const last = ["a", "b", "c"].map(all).at(-1);

const group = (number) => number.toString().replace(/\B(?=(\d{3})+$)/g, ",");
const lines = ["| transaction | compute units | bytes |", "| --- | --- | --- |"];
for (const [name, { units, bytes }] of rows) lines.push(`| ${name} | ${group(units)} | ${group(bytes)} |`);

const sizes = {
  "set of 19 operators": 119 + 32 * 19,
  "set of 100 operators": 119 + 32 * 100,
  "set of 500 operators": 119 + 32 * 500,
  "gathered, 19 operators": 96 + 3,
  "page of 1,024 nonces": 130,
  "record of a nonce that is queued or closed": 75,
  "transfer that was sent": 82,
};
lines.push("", "| account | bytes | rent, lamports |", "| --- | --- | --- |");
for (const [name, size] of Object.entries(sizes)) lines.push(`| ${name} | ${group(size)} | ${group(last.rent(size))} |`);

console.log(lines.join("\n"));
