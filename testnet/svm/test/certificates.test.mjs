// What counts as a certificate: each trap that others have walked into.
import assert from "node:assert/strict";
import { test } from "node:test";
import { be, digest, read, transferStatement } from "../lib/bridge.mjs";
import { ORDER, compact, sign, toBigInt, toBytes } from "../lib/secp256k1.mjs";
import { account } from "../lib/wallet.mjs";
import { DAY, DOMAIN, LIFETIME, PEER, errors, operators, world } from "./support.mjs";

const gathered = (w, hash) => read.gather(w.data(w.bridge.gather(w.epoch, hash)));
const gather = (w, hash, signatures) => w.bridge.gatherSignatures(w.relayer.address, w.epoch, hash, signatures);

test("13 of 19 operators deliver in two transactions", () => {
  const w = world({ members: operators(19) });
  const transfer = w.transfer();
  const hash = w.digest(w.statement(transfer));
  w.run(gather(w, hash, w.sign(hash, [...Array(13).keys()])));
  assert.equal(gathered(w, hash).weight, 130n);
  w.run(w.deliver(transfer, hash));
  assert.equal(w.balance(w.receiver.address, w.mint), 50_000n);
});

test("67 of 100 operators deliver in at most seven transactions, whoever sends them, in any order", () => {
  const w = world({ members: operators(100) });
  const transfer = w.transfer();
  const hash = w.digest(w.statement(transfer));
  const signatures = w.sign(hash, [...Array(67).keys()]).reverse();
  let transactions = 0;
  for (let at = 0; at < signatures.length; at += 12) {
    const by = transactions % 2 ? w.user : w.relayer;
    const part = signatures.slice(at, at + 12);
    w.run(w.bridge.gatherSignatures(by.address, w.epoch, hash, part), { by });
    transactions += 1;
  }
  w.run(w.deliver(transfer, hash));
  assert.ok(transactions + 1 <= 7);
  assert.equal(w.balance(w.receiver.address, w.mint), 50_000n);
});

test("a signer counts once, in one transaction and over several", () => {
  const w = world();
  const hash = w.digest(w.statement(w.transfer()));
  const [signature] = w.sign(hash, [2]);
  w.run(gather(w, hash, [signature, signature]));
  w.run(gather(w, hash, [signature]));
  const { signers, weight, bitmap } = gathered(w, hash);
  assert.deepEqual([signers, weight, [...bitmap]], [1, 10n, [0b100]]);
});

test("less than the threshold is not enough, the threshold is", () => {
  const w = world({ members: operators(4, { weight: (index) => [33n, 33n, 1n, 33n][index] }) });
  // By weight, wherever the operators came to stand: 66 of 100 are one too few.
  const [light] = w.members.flatMap(({ weight }, index) => (weight === 1n ? [index] : []));
  const heavy = [0, 1, 2, 3].filter((index) => index !== light);
  const transfer = w.transfer();
  const hash = w.digest(w.statement(transfer));
  w.run(gather(w, hash, w.sign(hash, heavy.slice(0, 2))));
  w.refuses("TooLittleWeight", w.deliver(transfer, hash));
  w.run(gather(w, hash, w.sign(hash, [light])));
  w.run(w.deliver(transfer, hash));
});

test("two thirds exactly are one too few", () => {
  const w = world({ members: operators(6) });
  const transfer = w.transfer();
  const hash = w.digest(w.statement(transfer));
  w.run(gather(w, hash, w.sign(hash, [0, 1, 2, 3])));
  w.refuses("TooLittleWeight", w.deliver(transfer, hash));
  w.run(gather(w, hash, w.sign(hash, [5])));
  w.run(w.deliver(transfer, hash));
});

test("the upper half of s is refused, though it recovers", () => {
  const w = world();
  const hash = w.digest(w.statement(w.transfer()));
  for (let index = 0; index < w.members.length; index += 1) {
    const { r, s, parity } = sign(w.members[index].secret, hash);
    const high = ORDER - toBigInt(s);
    // Only below 2^255 does an upper s have a place in 64 bytes; any other one reads as another parity.
    const bytes = compact({ r, s: toBytes(high & ((1n << 255n) - 1n)), parity: 1 - parity });
    const error = high >> 255n ? /HighS|BadSignature/ : /HighS/;
    assert.match(refusal(w, gather(w, hash, [[index, bytes]])), error);
  }
  // Just above the half.
  const above = toBytes(ORDER / 2n + 1n);
  w.refuses("HighS", gather(w, hash, [[0, Buffer.concat([be(1, 32), above])]]));
});

function refusal(w, instruction) {
  const { err, logs } = w.try(instruction);
  assert.ok(err, logs?.join("\n"));
  return Object.keys(errors).find((name) => errors[name] === err.InstructionError[1].Custom);
}

test("signatures of another digest, of another member, of nobody, and none at all", () => {
  const w = world();
  const hash = w.digest(w.statement(w.transfer()));
  const other = w.digest(w.statement(w.transfer({ amount: 6_000n })));
  const [[, good]] = w.sign(hash, [0]);
  w.refuses("BadSignature", gather(w, hash, w.sign(other, [0])));
  w.refuses("BadSignature", gather(w, hash, [[1, good]]));
  w.refuses("NoSuchMember", gather(w, hash, [[4, good]]));
  w.refuses("NoSuchMember", gather(w, hash, [[65_535, good]]));
  w.refuses("BadSignature", gather(w, hash, [[0, Buffer.alloc(64)]]));
  w.refuses("BadSignature", gather(w, hash, [[0, Buffer.concat([toBytes(ORDER), good.subarray(32)])]]));
  w.refuses("Malformed", gather(w, hash, [[0, good.subarray(0, 63)]]));
  assert.equal(w.data(w.bridge.gather(w.epoch, hash)), null);
});

test("what was gathered for another digest shows nothing", () => {
  const w = world();
  const transfer = w.transfer();
  const forged = { ...transfer, amount: 9_000n };
  const hash = w.certify(w.statement(transfer));
  w.refuses("WrongDigest", w.deliver(forged, hash));
  const otherChain = transferStatement(w.bridge.routeTo(PEER), transfer);
  w.refuses("WrongDigest", w.deliver(transfer, w.certify(otherChain)));
  const otherDomain = digest(Buffer.alloc(32), w.epoch, w.statement(transfer));
  w.run(gather(w, otherDomain, w.sign(otherDomain, [0, 1, 2])));
  w.refuses("WrongDigest", w.deliver(transfer, otherDomain));
  w.run(w.deliver(transfer, hash));
});

test("a digest that names another epoch than its set's shows nothing", () => {
  const w = world();
  const transfer = w.transfer();
  // Signed for the epoch 8, by the set of 7.
  const hash = digest(DOMAIN, 8, w.statement(transfer));
  w.run(gather(w, hash, w.sign(hash, [0, 1, 2])));
  w.refuses("WrongDigest", w.deliver(transfer, hash));
  const instruction = w.deliver(transfer, hash);
  instruction.data.writeUInt32BE(8, 1);
  w.refuses("WrongDigest", instruction);
});

test("a set account that is not the program's, or another kind of account, is no set", () => {
  const w = world();
  const transfer = w.transfer();
  const hash = w.digest(w.statement(transfer));
  // The same program under another name, with a set of the attacker's.
  const twin = { ...w, bridge: w.deploy("twin") };
  Object.setPrototypeOf(twin, Object.getPrototypeOf(w));
  twin.initialize(operators(4, { name: "attacker" }));
  const replace = (instruction, from, to) => ({
    ...instruction,
    accounts: instruction.accounts.map((entry) => (entry.address === from ? { ...entry, address: to } : entry)),
  });
  const foreign = twin.bridge.set(7);
  const own = w.bridge.set(7);
  w.refuses("WrongOwner", replace(gather(w, hash, w.sign(hash, [0])), own, foreign));
  w.refuses("WrongKind", replace(gather(w, hash, w.sign(hash, [0])), own, w.bridge.address));
  w.certify(w.statement(transfer));
  w.refuses("WrongOwner", replace(w.deliver(transfer, hash), own, foreign));
  w.refuses("WrongKind", replace(w.deliver(transfer, hash), own, w.bridge.peer(PEER)));
  w.refuses("WrongOwner", replace(w.deliver(transfer, hash), w.bridge.gather(7, hash), twin.bridge.address));
  w.refuses("WrongKind", replace(w.deliver(transfer, hash), w.bridge.gather(7, hash), own));
  w.refuses("WrongOwner", replace(w.deliver(transfer, hash), w.bridge.address, twin.bridge.address));
  w.run(w.deliver(transfer, hash));
});

test("a set's word ends with its lifetime", () => {
  const w = world();
  const transfer = w.transfer();
  const hash = w.certify(w.statement(transfer));
  w.wait(LIFETIME - DAY - 60);
  const early = w.transfer({ nonce: 2n });
  const earlyHash = w.certify(w.statement(early));
  w.run(w.deliver(early, earlyHash));
  w.wait(61);
  w.refuses("SetExpired", w.deliver(transfer, hash));
});

test("the rent of what was gathered goes to who paid it, and to nobody else", () => {
  const w = world();
  const transfer = w.transfer();
  const hash = w.digest(w.statement(transfer));
  const before = w.lamports(w.user.address);
  w.run(w.bridge.gatherSignatures(w.user.address, w.epoch, hash, w.sign(hash, [0])), { by: w.user });
  const fee = 5_000n;
  const rent = before - w.lamports(w.user.address) - fee;
  assert.ok(rent > 1_000_000n);
  w.run(gather(w, hash, w.sign(hash, [1, 2])));
  w.refuses("WrongAddress", w.deliver(transfer, hash));
  w.run(w.bridge.deliver(w.relayer.address, w.user.address, w.epoch, hash, PEER, w.token, transfer));
  assert.equal(w.lamports(w.user.address), before - fee);
  assert.equal(w.data(w.bridge.gather(w.epoch, hash)), null);
});

test("who paid may end an unfinished account a day later, nobody else, and not before", () => {
  const w = world();
  const hash = w.digest(w.statement(w.transfer()));
  w.run(gather(w, hash, w.sign(hash, [0])));
  w.refuses("NotYet", w.bridge.abandon(w.relayer.address, w.epoch, hash));
  w.wait(DAY + 2);
  w.refuses("WrongAddress", w.bridge.abandon(w.user.address, w.epoch, hash), { by: w.user });
  w.run(w.bridge.abandon(w.relayer.address, w.epoch, hash));
  assert.equal(w.data(w.bridge.gather(w.epoch, hash)), null);
});

test("lamports that somebody sent ahead to an account's address do not block it", () => {
  const w = world();
  const transfer = w.transfer();
  const hash = w.digest(w.statement(transfer));
  w.chain.airdrop(w.bridge.gather(w.epoch, hash), 1_000_000n);
  w.chain.airdrop(w.bridge.nonces(PEER, 1n), 5_000_000n);
  w.certify(w.statement(transfer));
  w.run(w.deliver(transfer, hash));
});

test("accounts have to sign and to be writable where it says so", () => {
  const w = world();
  const transfer = w.transfer();
  const hash = w.certify(w.statement(transfer));
  const spoil = (index, flags) => {
    const instruction = w.deliver(transfer, hash);
    instruction.accounts[index] = account(instruction.accounts[index].address, flags);
    return w.try(instruction, { by: w.user }).err;
  };
  assert.deepEqual(spoil(0, "w"), { InstructionError: [1, { Custom: errors.NotSigner }] });
  for (const index of [3, 6, 7, 9, 10]) assert.ok(spoil(index, ""), `account ${index}`);
  const short = w.deliver(transfer, hash);
  w.refuses("MissingAccount", { ...short, accounts: short.accounts.slice(0, -1) });
  w.refuses("Malformed", { ...short, data: Buffer.concat([short.data, Buffer.alloc(1)]) });
  w.refuses("Malformed", { ...short, data: short.data.subarray(0, -1) });
  w.refuses("Malformed", { ...short, data: Buffer.from([99]) });
  w.refuses("Malformed", { ...short, data: Buffer.alloc(0) });
  w.run(w.deliver(transfer, hash));
});
