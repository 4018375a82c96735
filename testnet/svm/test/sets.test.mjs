// Operator sets: installed in parts, followed from one to the next, retired.
import assert from "node:assert/strict";
import { test } from "node:test";
import { OperatorSet, digest, epochStatement, read } from "../lib/bridge.mjs";
import { Chain } from "../lib/chain.mjs";
import { account } from "../lib/wallet.mjs";
import { ANCHOR_DELAY, DAY, DOMAIN, LIFETIME, World, operators, world } from "./support.mjs";

const fresh = () => {
  const w = new World(new Chain({ genesis: Buffer.from("sets") }));
  w.bridge = w.deploy();
  return w;
};
const settings = (w, fields) => ({
  domain: DOMAIN,
  authority: w.admin.address,
  guardian: w.guardian.address,
  lifetime: LIFETIME,
  limitDelay: 0,
  anchorDelay: ANCHOR_DELAY,
  epoch: 7,
  time: w.now(),
  set: new OperatorSet(operators(4)),
  ...fields,
});
const state = (w, epoch) => read.set(w.data(w.bridge.set(epoch)));

test("only who may replace the program begins, once, with sane settings", () => {
  const w = fresh();
  w.bridge = w.deployByLoader("loaded");
  const first = settings(w);
  w.refuses("NotAuthority", w.bridge.initialize(w.user.address, first), { by: w.user });
  const other = w.bridge.initialize(w.admin.address, first);
  other.accounts[1] = account(w.user.address);
  w.refuses("WrongAddress", other, { by: w.admin });
  const refuses = (error, fields) =>
    w.refuses(error, w.bridge.initialize(w.admin.address, settings(w, fields)), { by: w.admin });
  refuses("InvalidConfig", { lifetime: 0 });
  refuses("InvalidConfig", { anchorDelay: 0 });
  refuses("InvalidConfig", { anchorDelay: LIFETIME / 2 + 1 });
  refuses("TimeOutOfOrder", { time: w.now() + 3_600 });
  refuses("SetExpired", { time: w.now() - LIFETIME - 5 });
  refuses("SetMismatch", { set: { outline: () => Buffer.alloc(64) } });
  w.run(w.bridge.initialize(w.admin.address, first), { by: w.admin });
  w.refuses("AlreadyExists", w.bridge.initialize(w.admin.address, first), { by: w.admin });
});

test("500 members are installed in 32 transactions, by anybody in any order, and sign", () => {
  const w = fresh();
  w.members = operators(500, { weight: () => (1n << 96n) - 1n });
  w.epoch = 7;
  const set = new OperatorSet(w.members);
  w.run(w.bridge.initialize(w.admin.address, settings(w, { set })), { by: w.admin });
  const parts = [...Array(set.parts).keys()].reverse();
  assert.equal(parts.length, 32);
  for (const part of parts) {
    const hash = digest(DOMAIN, 7, epochStatement(8, Buffer.alloc(32), 1n));
    const early = w.bridge.gatherSignatures(w.relayer.address, 7, hash, []);
    w.refuses("SetNotReady", early);
    const by = part % 2 ? w.user : w.relayer;
    w.run(w.bridge.install(by.address, 7, set.part(part)), { by, units: 0 });
  }
  assert.equal(state(w, 7).ready, 1);
  const hash = digest(DOMAIN, 7, epochStatement(8, Buffer.alloc(32), 1n));
  w.run(w.bridge.gatherSignatures(w.relayer.address, 7, hash, w.sign(hash, [0, 255, 256, 499])));
  assert.equal(read.gather(w.data(w.bridge.gather(7, hash))).weight, 4n * ((1n << 96n) - 1n));
});

test("a part that is not the set's is refused and spoils nothing", () => {
  const w = fresh();
  const members = operators(40);
  const set = new OperatorSet(members);
  w.run(w.bridge.initialize(w.admin.address, settings(w, { set })), { by: w.admin });
  const install = (data) => w.bridge.install(w.relayer.address, 7, data);
  const wrongWeight = new OperatorSet(members.map((m, i) => (i === 17 ? { ...m, weight: 11n } : m)));
  w.refuses("SetMismatch", install(wrongWeight.part(1)));
  const wrongKey = new OperatorSet(members.map((m, i) => (i === 17 ? { ...m, key: Buffer.alloc(20, 1) } : m)));
  w.refuses("SetMismatch", install(wrongKey.part(1)));
  const elsewhere = Buffer.from(set.part(1));
  elsewhere[0] = 0;
  w.refuses("SetMismatch", install(elsewhere));
  elsewhere[0] = 3;
  w.refuses("SetMismatch", install(elsewhere));
  elsewhere[0] = 200;
  w.refuses("SetMismatch", install(elsewhere));
  w.refuses("Malformed", install(Buffer.concat([set.part(1), Buffer.alloc(32)])));
  w.refuses("Malformed", install(set.part(1).subarray(0, -1)));
  for (const part of [2, 0, 1]) {
    assert.equal(state(w, 7).ready, 0);
    w.run(install(set.part(part)));
    w.refuses("AlreadyExists", install(set.part(part)));
  }
  assert.equal(state(w, 7).ready, 1);
});

test("a total that the members do not have never becomes a set", () => {
  const w = fresh();
  const set = new OperatorSet(operators(4));
  set.total = 20n;
  w.run(w.bridge.initialize(w.admin.address, settings(w, { set })), { by: w.admin });
  w.refuses("SetMismatch", w.bridge.install(w.relayer.address, 7, set.part(0)));
  assert.equal(state(w, 7).ready, 0);
});

function nextEpoch(w, { epoch = w.epoch, next = w.epoch + 1, time = w.now(), members = operators(5, { name: "next" }) } = {}) {
  const set = new OperatorSet(members);
  const hash = w.certify(epochStatement(next, set.hash, BigInt(time)), { epoch });
  const instruction = w.bridge.update(w.relayer.address, w.relayer.address, epoch, hash, next, time, set);
  return { set, members, instruction, next };
}

test("one epoch's set names a later one, whose signatures count then", () => {
  const w = world();
  const { set, members, instruction, next } = nextEpoch(w, { next: 9 });
  w.run(instruction, { record: "update the epoch" });
  const transfer = w.transfer();
  const hash = digest(DOMAIN, next, w.statement(transfer));
  w.install(next, set);
  w.members = members;
  w.epoch = next;
  w.certify(w.statement(transfer));
  w.run(w.deliver(transfer, hash));
  assert.equal(read.bridge(w.data(w.bridge.address)).newestEpoch, 9);
  assert.equal(w.balance(w.receiver.address, w.mint), 50_000n);
});

test("an update for an epoch that is not later, from the future or the past, or with another set", () => {
  const w = world();
  w.refuses("EpochOrder", nextEpoch(w, { next: 7 }).instruction);
  w.refuses("EpochOrder", nextEpoch(w, { next: 6 }).instruction);
  w.refuses("TimeOutOfOrder", nextEpoch(w, { time: w.now() + 20 * 60 }).instruction);
  w.refuses("TimeOutOfOrder", nextEpoch(w, { time: w.now() - 2 * DAY }).instruction);
  const good = nextEpoch(w);
  const other = new OperatorSet(operators(5, { name: "other" }));
  const spoiled = { ...good.instruction, data: Buffer.from(good.instruction.data) };
  other.outline(8, w.now()).copy(spoiled.data, 5);
  w.refuses("WrongDigest", spoiled);
  w.run(good.instruction);
  w.refuses("EpochOrder", nextEpoch(w, { next: 8 }).instruction);
});

test("the old set goes on until it expires; then it ends and its rent goes back", () => {
  const w = world();
  const { set, instruction, next } = nextEpoch(w);
  w.run(instruction);
  w.install(next, set);
  const transfer = w.transfer();
  w.run(w.deliver(transfer, w.certify(w.statement(transfer))));
  const retire = w.bridge.retire(7, w.admin.address);
  w.refuses("NotYet", retire);
  w.wait(LIFETIME - DAY + 5);
  w.refuses("WrongAddress", w.bridge.retire(7, w.user.address));
  const before = w.lamports(w.admin.address);
  w.run(retire);
  assert.ok(w.lamports(w.admin.address) > before);
  assert.equal(w.data(w.bridge.set(7)), null);
  w.refuses("NotYet", w.bridge.retire(8, w.relayer.address));
});

test("once the newest set has expired the guardian begins anew, in public and after a delay", () => {
  const w = world();
  const members = operators(3, { name: "anew" });
  const set = new OperatorSet(members);
  const announce = (epoch, time, which = set) => w.bridge.announce(w.guardian.address, epoch, time, which);
  const guardian = { by: w.guardian };
  w.refuses("NotExpired", announce(9, w.now()), guardian);
  w.wait(LIFETIME);
  const time = w.now();
  const anchor = (epoch = 9, which = set) => w.bridge.anchor(w.relayer.address, epoch, time, which);
  w.refuses("NotYet", anchor());
  w.refuses("NotGuardian", w.bridge.announce(w.user.address, 9, time, set), { by: w.user });
  w.refuses("EpochOrder", announce(7, time), guardian);
  w.run(announce(9, time), guardian);
  w.refuses("NotYet", anchor());
  w.wait(ANCHOR_DELAY + 1);
  w.refuses("SetMismatch", anchor(10));
  w.refuses("SetMismatch", anchor(9, new OperatorSet(operators(3, { name: "other" }))));
  // Taken back, and said again.
  w.run(w.bridge.announce(w.guardian.address), guardian);
  w.refuses("NotYet", anchor());
  w.run(announce(9, time), guardian);
  w.wait(ANCHOR_DELAY + 1);
  w.run(anchor());
  w.refuses("NotExpired", anchor());
  w.install(9, set);
  Object.assign(w, { members, epoch: 9 });
  const transfer = w.transfer();
  w.run(w.deliver(transfer, w.certify(w.statement(transfer))));
});
