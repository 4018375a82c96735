// The bridge program as its users see it: what is signed, where accounts are, instructions and events. Written from
// docs/reference/svm.md alone.
import { createHash } from "node:crypto";
import { encode } from "./base58.mjs";
import { keccak256 } from "./keccak.mjs";
import { LOADER, SYSTEM, TOKEN, account, associated, derive, key } from "./wallet.mjs";

export const be = (number, length) => Buffer.from(BigInt(number).toString(16).padStart(2 * length, "0"), "hex");
const [u8, u16, u32, u64, u128, u256] = [1, 2, 4, 8, 16, 32].map((length) => (number) => be(number, length));
const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();

// ---- what is signed --------------------------------------------------------------------------

const TYPE = keccak256(Buffer.from("Attestation(uint32 epoch,bytes32 slot,bytes32 fact)"));

export function digest(domain, epoch, { slot, fact }) {
  return keccak256(Buffer.from([0x19, 0x01]), domain, keccak256(TYPE, u256(epoch), slot, fact));
}

export const route = (source, target) =>
  keccak256(u64(source.chain), source.contract, u64(target.chain), target.contract);

export function transferStatement(route, { nonce, sender, receiver, token, amount, deadline }) {
  const slot = keccak256(u8(2), route, u64(nonce));
  return { slot, fact: keccak256(slot, sender, keccak256(receiver), token, u256(amount), u64(deadline)) };
}

export function closedStatement(route, nonce, time) {
  const slot = keccak256(u8(4), route, u64(nonce));
  return { slot, fact: keccak256(slot, u64(time)) };
}

export function pauseStatement({ chain, contract }, sequence, paused, time) {
  const slot = keccak256(u8(5), u64(chain), contract, u64(sequence));
  return { slot, fact: keccak256(slot, u8(paused), u64(time)) };
}

export function epochStatement(nextEpoch, setHash, time) {
  const slot = keccak256(u8(3), u32(nextEpoch));
  return { slot, fact: keccak256(slot, setHash, u64(time)) };
}

// ---- operator sets ---------------------------------------------------------------------------

const PART = 16;

/** Of members `{ operator, key, weight }`, ascending by operator. */
export class OperatorSet {
  constructor(members) {
    this.members = members;
    this.total = members.reduce((sum, { weight }) => sum + weight, 0n);
    const leaves = members.map(({ operator, key, weight }) => keccak256(u8(0), operator, key, u256(weight)));
    this.levels = [leaves];
    while (this.levels.at(-1).length > 1) {
      const level = this.levels.at(-1);
      const pairs = Array.from({ length: Math.ceil(level.length / 2) }, (_, i) => level.slice(2 * i, 2 * i + 2));
      this.levels.push(pairs.map(([left, right]) => (right ? keccak256(u8(1), left, right) : left)));
    }
    this.root = this.levels.at(-1)[0];
  }
  get hash() {
    return keccak256(u32(this.members.length), u256(this.total), this.root);
  }
  outline(epoch, time) {
    return Buffer.concat([u32(epoch), u64(time), u32(this.members.length), u128(this.total), this.root]);
  }
  get parts() {
    return Math.ceil(this.members.length / PART);
  }
  /** Data of a part: its members, and the nodes beside its way to the root. */
  part(index) {
    const members = this.members.slice(index * PART, (index + 1) * PART);
    const leaves = members.map(({ operator, key, weight }) => Buffer.concat([operator, key, be(weight, 12)]));
    const proof = [];
    let place = index;
    for (const level of this.levels.slice(Math.log2(PART))) {
      const beside = level[place ^ 1];
      if (beside) proof.push(beside);
      place >>= 1;
    }
    return Buffer.concat([u8(index), ...leaves, ...proof]);
  }
}

// ---- accounts and instructions ---------------------------------------------------------------

const text = (name) => Buffer.from(name);

/** `peer` is `{ chain, contract }` on the other side, keys are base58. */
export class Bridge {
  constructor(program, chain) {
    this.program = program;
    this.end = { chain, contract: key(program) };
    this.address = this.#derive(text("bridge"));
  }
  #derive(...seeds) {
    return derive(seeds, this.program).address;
  }
  peer({ chain, contract }) {
    return this.#derive(text("peer"), u64(chain), contract);
  }
  token(peer, remote) {
    return this.#derive(text("token"), key(this.peer(peer)), remote);
  }
  link(peer, mint) {
    return this.#derive(text("mint"), key(this.peer(peer)), key(mint));
  }
  set(epoch) {
    return this.#derive(text("set"), u32(epoch));
  }
  gather(epoch, digest) {
    return this.#derive(text("gather"), u32(epoch), digest);
  }
  nonces(peer, nonce) {
    return this.#derive(text("nonces"), key(this.peer(peer)), u64(BigInt(nonce) / 1024n));
  }
  record(peer, nonce) {
    return this.#derive(text("record"), key(this.peer(peer)), u64(nonce));
  }
  sent(sender, id) {
    return this.#derive(text("sent"), key(sender), u64(id));
  }
  routeTo(peer) {
    return route(this.end, peer);
  }
  routeFrom(peer) {
    return route(peer, this.end);
  }

  #instruction(number, accounts, ...data) {
    return { program: this.program, accounts, data: Buffer.concat([u8(number), ...data]) };
  }

  initialize(payer, { domain, authority, guardian, lifetime, limitDelay, anchorDelay, epoch, time, set }) {
    const accounts = [
      account(payer, "ws"),
      account(derive([key(this.program)], LOADER).address),
      account(this.address, "w"),
      account(this.set(epoch), "w"),
      account(SYSTEM),
    ];
    const delays = [u64(lifetime), u64(limitDelay), u64(anchorDelay)];
    const settings = [domain, u64(this.end.chain), key(authority), key(guardian), ...delays];
    return this.#instruction(0, accounts, ...settings, set.outline(epoch, time));
  }
  setPeer(authority, peer, open = 1) {
    const accounts = [
      account(authority, "ws"),
      account(this.address),
      account(this.peer(peer), "w"),
      account(SYSTEM),
    ];
    return this.#instruction(1, accounts, u64(peer.chain), peer.contract, u8(open));
  }
  setToken(authority, peer, { remote, mint, open = 1, mode, unit, transferLimit, windowLimit }) {
    const accounts = [
      account(authority, "ws"),
      account(this.address),
      account(this.peer(peer)),
      account(this.token(peer, remote), "w"),
      account(this.link(peer, mint), "w"),
      account(mint),
      account(associated(this.address, mint)),
      account(SYSTEM),
    ];
    const limits = [u64(unit), u64(transferLimit), u64(windowLimit)];
    return this.#instruction(2, accounts, remote, u8(open), u8(mode), ...limits);
  }
  setAuthority(authority, nextAuthority, nextGuardian) {
    const accounts = [account(authority, "s"), account(this.address, "w")];
    return this.#instruction(3, accounts, key(nextAuthority), key(nextGuardian));
  }
  pause(guardian) {
    return this.#instruction(4, [account(guardian, "s"), account(this.address, "w")]);
  }
  #certificate(epoch, digest, refund) {
    return [account(this.set(epoch)), account(this.gather(epoch, digest), "w"), account(refund, "w")];
  }
  setPaused(refund, epoch, digest, { sequence, paused, time }) {
    const accounts = [account(this.address, "w"), ...this.#certificate(epoch, digest, refund)];
    return this.#instruction(5, accounts, u32(epoch), u8(paused), u64(sequence), u64(time));
  }
  install(payer, epoch, part) {
    const accounts = [account(payer, "ws"), account(this.set(epoch), "w"), account(SYSTEM)];
    return this.#instruction(6, accounts, part);
  }
  update(payer, refund, epoch, digest, nextEpoch, time, set) {
    const accounts = [
      account(payer, "ws"),
      account(this.address, "w"),
      ...this.#certificate(epoch, digest, refund),
      account(this.set(nextEpoch), "w"),
      account(SYSTEM),
    ];
    return this.#instruction(7, accounts, u32(epoch), set.outline(nextEpoch, time));
  }
  retire(epoch, payer) {
    return this.#instruction(8, [account(this.address), account(this.set(epoch), "w"), account(payer, "w")]);
  }
  /** `signatures` are `[number of the member, 64 bytes]`. */
  gatherSignatures(payer, epoch, digest, signatures) {
    const accounts = [
      account(payer, "ws"),
      account(this.set(epoch)),
      account(this.gather(epoch, digest), "w"),
      account(SYSTEM),
    ];
    return this.#instruction(9, accounts, digest, ...signatures.flatMap(([index, bytes]) => [u16(index), bytes]));
  }
  abandon(payer, epoch, digest) {
    return this.#instruction(10, [account(payer, "ws"), account(this.gather(epoch, digest), "w")]);
  }
  #tokens(peer, { remote, mint }, other) {
    return [
      account(this.token(peer, remote), "w"),
      account(mint, "w"),
      account(associated(this.address, mint), "w"),
      account(other, "w"),
    ];
  }
  send(sender, peer, token, id, { amount, deadline, receiver, from = associated(sender, token.mint) }) {
    const accounts = [
      account(sender, "ws"),
      account(this.address),
      account(this.peer(peer), "w"),
      ...this.#tokens(peer, token, from),
      account(this.sent(sender, id), "w"),
      account(TOKEN),
      account(SYSTEM),
    ];
    return this.#instruction(11, accounts, u64(id), u64(amount), u64(deadline), u8(receiver.length), receiver);
  }
  refund(refund, epoch, digest, peer, token, transfer, id, time) {
    const sender = encode(transfer.sender);
    const accounts = [
      account(this.address),
      ...this.#certificate(epoch, digest, refund),
      account(this.peer(peer)),
      ...this.#tokens(peer, token, associated(sender, token.mint)),
      account(this.sent(sender, id), "w"),
      account(sender, "w"),
      account(TOKEN),
    ];
    return this.#instruction(12, accounts, u32(epoch), u64(time), transferData(transfer));
  }
  /** `by` who is not the sender fails. */
  waive(sender, id, by = sender) {
    return this.#instruction(13, [account(by, "ws"), account(this.sent(sender, id), "w")]);
  }
  deliver(payer, refund, epoch, digest, peer, token, transfer, to) {
    const accounts = [
      account(payer, "ws"),
      account(this.address),
      ...this.#certificate(epoch, digest, refund),
      account(this.peer(peer)),
      account(this.nonces(peer, transfer.nonce), "w"),
      ...this.#tokens(peer, token, to ?? associated(encode(transfer.receiver), token.mint)),
      account(this.record(peer, transfer.nonce), "w"),
      account(TOKEN),
      account(SYSTEM),
    ];
    return this.#instruction(14, accounts, u32(epoch), transferData(transfer));
  }
  release(payer, peer, token, transfer) {
    const accounts = [
      account(this.address),
      account(this.peer(peer)),
      ...this.#tokens(peer, token, associated(encode(transfer.receiver), token.mint)),
      account(this.record(peer, transfer.nonce), "w"),
      account(payer, "w"),
      account(TOKEN),
    ];
    return this.#instruction(15, accounts, transferData(transfer));
  }
  close(payer, refund, epoch, digest, peer, transfer) {
    const accounts = [
      account(payer, "ws"),
      account(this.address),
      ...this.#certificate(epoch, digest, refund),
      account(this.peer(peer)),
      account(this.nonces(peer, transfer.nonce), "w"),
      account(this.record(peer, transfer.nonce), "w"),
      account(SYSTEM),
    ];
    return this.#instruction(16, accounts, u32(epoch), transferData(transfer));
  }
  fund(owner, peer, token, amount) {
    const accounts = [
      account(owner, "ws"),
      account(this.address),
      account(this.peer(peer)),
      ...this.#tokens(peer, token, associated(owner, token.mint)),
      account(TOKEN),
    ];
    return this.#instruction(19, accounts, u64(amount));
  }
  /** Without a set: takes the announcement back. */
  announce(guardian, epoch, time, set) {
    const accounts = [account(guardian, "s"), account(this.address, "w")];
    return this.#instruction(17, accounts, set ? set.outline(epoch, time) : Buffer.alloc(0));
  }
  anchor(payer, epoch, time, set) {
    const accounts = [
      account(payer, "ws"),
      account(this.address, "w"),
      account(this.set(epoch), "w"),
      account(SYSTEM),
    ];
    return this.#instruction(18, accounts, set.outline(epoch, time));
  }
}

function transferData({ nonce, sender, receiver, token, amount, deadline }) {
  return Buffer.concat([u64(nonce), sender, token, u256(amount), u64(deadline), u8(receiver.length), receiver]);
}

// ---- what an account holds -------------------------------------------------------------------

const number = (bytes) => BigInt(`0x${bytes.toString("hex")}`);

export const read = {
  peer: (data) => ({
    open: data[2],
    chain: number(data.subarray(3, 11)),
    contract: data.subarray(11, 43),
    sent: number(data.subarray(43, 51)),
    history: data.subarray(51, 83),
  }),
  bridge: (data) => ({
    paused: data[2],
    pauseSequence: number(data.subarray(123, 131)),
    newestEpoch: Number(number(data.subarray(131, 135))),
  }),
  token: (data) => ({ open: data[2], balance: number(data.subarray(173, 181)) }),
  set: (data) => ({ ready: data[2], parts: Number(number(data.subarray(67, 71))) }),
  gather: (data) => ({
    signers: Number(number(data.subarray(2, 4))),
    weight: number(data.subarray(40, 56)),
    bitmap: data.subarray(96),
  }),
  sent: (data) => ({ nonce: number(data.subarray(10, 18)), fact: data.subarray(18, 50) }),
  record: (data) => ({ kind: data[2], time: number(data.subarray(3, 11)), fact: data.subarray(11, 43) }),
};

/** h(n) of the facts sent so far. */
export const history = (facts) => facts.reduce((hash, fact) => sha256(hash, fact), Buffer.alloc(32));

// ---- events ----------------------------------------------------------------------------------

const INVOKE = /^Program ([1-9A-HJ-NP-Za-km-z]{32,44}) invoke \[(\d+)\]$/;
const END = /^Program ([1-9A-HJ-NP-Za-km-z]{32,44}) (success|failed: .*)$/s;
const DATA = "Program data: ";
const SENT = sha256(text("event:TransferSent")).subarray(0, 8);
const CLOSED = sha256(text("event:TransferClosed")).subarray(0, 8);
const SENT_HEAD = 193;

/**
 * Bytes that `program` itself has logged. A line belongs to the innermost program that runs; what a program logs as text
 * begins with "Program log: ", and may hold anything after that, line breaks too.
 */
export function dataLogged(program, logs) {
  const running = [];
  const found = [];
  for (const line of logs) {
    const [, invoked] = INVOKE.exec(line) ?? [];
    if (invoked) running.push(invoked);
    else if (END.test(line)) running.pop();
    else if (line === "Log truncated") throw new Error("the logs were cut");
    else if (line.startsWith(DATA) && running.at(-1) === program) {
      found.push(Buffer.from(line.slice(DATA.length), "base64"));
    }
  }
  return found;
}

/** The events of a transaction that came through: `{ sent, closed }`. */
export function events(program, { err, logs }) {
  if (err) return { sent: [], closed: [] };
  const data = dataLogged(program, logs);
  return {
    sent: data.filter((bytes) => bytes.subarray(0, 8).equals(SENT)).map(readSent).filter(Boolean),
    closed: data.filter((bytes) => bytes.subarray(0, 8).equals(CLOSED) && bytes.length === 56).map(readClosed),
  };
}

function readSent(data) {
  if (data.length < SENT_HEAD || data.length !== SENT_HEAD + data[SENT_HEAD - 1]) return null;
  return {
    route: data.subarray(8, 40),
    nonce: number(data.subarray(40, 48)),
    sender: data.subarray(48, 80),
    targetChain: number(data.subarray(80, 88)),
    targetContract: data.subarray(88, 120),
    token: data.subarray(120, 152),
    amount: number(data.subarray(152, 184)),
    deadline: number(data.subarray(184, 192)),
    receiver: data.subarray(SENT_HEAD),
  };
}

function readClosed(data) {
  const [nonce, time] = [number(data.subarray(40, 48)), number(data.subarray(48, 56))];
  return { route: data.subarray(8, 40), nonce, time };
}
