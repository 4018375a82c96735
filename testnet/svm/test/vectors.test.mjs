// The bytes that Solidity and Rust have: what the program accepts is what the golden vectors of the wire format say.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  OperatorSet,
  closedStatement,
  digest,
  epochStatement,
  pauseStatement,
  read,
  route,
  transferStatement,
} from "../lib/bridge.mjs";
import { decode } from "../lib/base58.mjs";
import { Chain } from "../lib/chain.mjs";
import { World, operators } from "./support.mjs";

const golden = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../../proto/tests/golden/vectors.json"), "utf8"),
);
const bytes = (hex) => Buffer.from(hex.slice(2), "hex");
const domain = bytes(golden.network.domain_separator);

const setOf = ({ operators, signing_keys, weights }) =>
  new OperatorSet(
    operators.map((operator, index) => ({
      operator: bytes(operator),
      key: bytes(signing_keys[index]),
      weight: BigInt(weights[index]),
    })),
  );

test("hashes of sets and epoch updates are the golden ones", () => {
  for (const vector of golden.operator_sets) {
    assert.equal(`0x${setOf(vector).hash.toString("hex")}`, vector.hash);
  }
  for (const { epoch, next_epoch, set_hash, time, slot, fact, digest: expected } of golden.epoch_updates) {
    const statement = epochStatement(next_epoch, bytes(set_hash), BigInt(time));
    assert.equal(`0x${statement.slot.toString("hex")}`, slot);
    assert.equal(`0x${statement.fact.toString("hex")}`, fact);
    assert.equal(`0x${digest(domain, epoch, statement).toString("hex")}`, expected);
  }
});

// A compact certificate: 01, epoch, bitmap, signatures.
function signaturesOf(compact, members) {
  const certificate = bytes(compact);
  const bitmap = certificate.subarray(5, 5 + Math.ceil(members / 8));
  const numbers = [...Array(members).keys()].filter((index) => (bitmap[index >> 3] >> (index & 7)) & 1);
  const first = 5 + bitmap.length;
  return numbers.map((number, at) => [number, certificate.subarray(first + 64 * at, first + 64 * (at + 1))]);
}

test("golden certificates hold in the program, by their golden keys and signatures", () => {
  const w = new World(new Chain());
  w.bridge = w.deploy();
  const [first] = golden.operator_sets;
  w.chain.clockOffset = Number(first.fixed_at) + 100 - w.now();
  w.chain.advance();
  w.members = [];
  const set = setOf(first);
  w.run(
    w.bridge.initialize(w.admin.address, {
      domain,
      authority: w.admin.address,
      guardian: w.guardian.address,
      lifetime: 1_000_000,
      limitDelay: 0,
      anchorDelay: 1,
      epoch: first.epoch,
      time: Number(first.fixed_at),
      set,
    }),
    { by: w.admin },
  );
  w.install(first.epoch, set);
  const certificates = golden.certificates.filter(({ epoch }) => epoch === first.epoch);
  assert.ok(certificates.length > 0);
  for (const { digest: hash, compact_signature_data, weight } of certificates) {
    const signatures = signaturesOf(compact_signature_data, first.operators.length);
    const address = w.bridge.gather(first.epoch, bytes(hash));
    w.run(w.bridge.gatherSignatures(w.relayer.address, first.epoch, bytes(hash), signatures));
    // Of one digest there may be more than one certificate.
    assert.ok(read.gather(w.data(address)).weight >= BigInt(weight));
  }
});

test("a fixed transfer, its closing and a pause have these bytes", () => {
  const source = { chain: 421614n, contract: Buffer.concat([Buffer.alloc(12), Buffer.alloc(20, 0xab)]) };
  const target = { chain: 91024n, contract: Buffer.alloc(32, 0xd1) };
  const name = route(source, target);
  const transfer = transferStatement(name, {
    nonce: 1n,
    sender: Buffer.concat([Buffer.alloc(12), Buffer.alloc(20, 0x11)]),
    receiver: decode("9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9PusVFin", 32),
    token: Buffer.concat([Buffer.alloc(12), Buffer.alloc(20, 0xcd)]),
    amount: 100_000_000n,
    deadline: 1_800_000_000n,
  });
  const closed = closedStatement(name, 1n, 1_799_999_999n);
  const pause = pauseStatement(target, 1n, 1, 1_799_999_999n);
  const hex = (hash) => hash.toString("hex");
  assert.deepEqual(
    {
      route: hex(name),
      transfer: [hex(transfer.slot), hex(transfer.fact)],
      closed: [hex(closed.slot), hex(closed.fact)],
      pause: [hex(pause.slot), hex(pause.fact)],
      digest: hex(digest(domain, 1, transfer)),
    },
    JSON.parse(readFileSync(join(import.meta.dirname, "vectors.json"), "utf8")),
  );
});

// Written and read by the tests of the contracts and of proto.
const shared = join(import.meta.dirname, "../../../chain/contracts/test/vectors/transfers.json");

test("transfers, closings and pauses of the contracts' vectors", { skip: !existsSync(shared) }, () => {
  const { domainSeparator, epoch, transfers, closed, pauses } = JSON.parse(readFileSync(shared, "utf8"));
  const check = ({ slot, fact, digest: expected }, statement) => {
    const found = [statement.slot, statement.fact, digest(bytes(domainSeparator), epoch, statement)];
    assert.deepEqual(found, [slot, fact, expected].map(bytes));
  };
  for (const vector of transfers) {
    const end = (side) => ({ chain: vector[`${side}Chain`], contract: bytes(vector[`${side}Contract`]) });
    const name = route(end("source"), end("target"));
    assert.deepEqual(name, bytes(vector.route));
    const [sender, receiver, token] = [vector.sender, vector.receiver, vector.token].map(bytes);
    check(vector, transferStatement(name, { ...vector, sender, receiver, token }));
  }
  for (const vector of closed) check(vector, closedStatement(bytes(vector.route), vector.nonce, vector.time));
  for (const vector of pauses) {
    const bridge = { chain: vector.chain, contract: bytes(vector.bridge) };
    check(vector, pauseStatement(bridge, vector.sequence, vector.paused ? 1 : 0, vector.time));
  }
});

test("the shape of a set's tree at every size that matters", () => {
  for (const count of [1, 2, 3, 15, 16, 17, 31, 32, 33, 48, 49]) {
    const w = new World(new Chain());
    w.bridge = w.deploy();
    w.initialize(operators(count, { weight: (index) => BigInt(index + 1) }));
    assert.equal(read.set(w.data(w.bridge.set(w.epoch))).ready, 1, `${count} members`);
  }
});
