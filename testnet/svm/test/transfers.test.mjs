// Both ends of a route: sending, delivering, limits, closing, refunds, the switch.
import assert from "node:assert/strict";
import { test } from "node:test";
import { closedStatement, events, history, pauseStatement, read, transferStatement } from "../lib/bridge.mjs";
import { TOKEN, associated, key, system, token, wallet } from "../lib/wallet.mjs";
import { DAY, LIMIT_DELAY, PEER, REMOTE, world } from "./support.mjs";

const EVM_RECEIVER = Buffer.alloc(20, 0x22);

function send(w, fields = {}, options = {}) {
  const nonce = read.peer(w.data(w.bridge.peer(PEER))).sent + 1n;
  const wanted = { amount: 50_000n, deadline: w.now() + DAY, receiver: EVM_RECEIVER, ...fields };
  const instruction = w.bridge.send(w.user.address, PEER, w.token, 1_000n + nonce, wanted);
  const transfer = {
    nonce,
    sender: key(w.user.address),
    receiver: wanted.receiver,
    token: key(w.mint),
    amount: BigInt(wanted.amount) / w.token.unit,
    deadline: BigInt(wanted.deadline),
  };
  return { instruction, transfer, run: () => w.run(instruction, { by: w.user, ...options }) };
}

const modes = [
  [1, "locks and releases"],
  [2, "burns and mints"],
];
for (const [mode, name] of modes) {
  test(`a transfer there and one back: ${name}`, () => {
    const w = world({ mode });
    const supply = () => w.data(w.mint).readBigUInt64LE(36);
    const [before, vault] = [supply(), w.balance(w.bridge.address, w.mint)];
    const there = send(w, {}, { record: `send (${name})` });
    const record = there.run();
    assert.equal(w.balance(w.user.address, w.mint), 950_000n);
    assert.equal(supply(), mode === 1 ? before : before - 50_000n);
    assert.equal(w.balance(w.bridge.address, w.mint), mode === 1 ? vault + 50_000n : vault);
    const [event] = events(w.bridge.program, record).sent;
    const { nonce, sender, receiver, token: sentToken, amount, deadline } = event;
    assert.deepEqual({ nonce, sender, receiver, token: sentToken, amount, deadline }, there.transfer);
    assert.deepEqual([event.targetChain, event.targetContract], [PEER.chain, PEER.contract]);
    assert.deepEqual(event.route, w.bridge.routeTo(PEER));

    const back = w.transfer();
    w.run(w.deliver(back, w.certify(w.statement(back))));
    assert.equal(w.balance(w.receiver.address, w.mint), 50_000n);
    assert.equal(supply(), before);
    assert.equal(w.balance(w.bridge.address, w.mint), vault);
  });
}

test("the running hash covers every transfer in its order", () => {
  const w = world();
  const facts = [10n, 20n, 30n].map((amount) => {
    const { transfer, run } = send(w, { amount });
    run();
    return transferStatement(w.bridge.routeTo(PEER), transfer).fact;
  });
  const peer = read.peer(w.data(w.bridge.peer(PEER)));
  assert.equal(peer.sent, 3n);
  assert.deepEqual(peer.history, history(facts));
});

test("senders do not stand in each other's way, and a number is used by one transfer at a time", () => {
  const w = world();
  w.createAssociated(w.relayer.address, w.mint);
  const owned = associated(w.relayer.address, w.mint);
  w.run(token.mintTo(w.mint, owned, w.admin.address, 100n), { by: w.admin });
  const fields = () => ({ amount: 10n, deadline: w.now() + DAY, receiver: EVM_RECEIVER });
  const by = ({ address }) => w.bridge.send(address, PEER, w.token, 5n, fields());
  w.run(by(w.user), { by: w.user });
  w.run(by(w.relayer));
  w.refuses("AlreadyExists", by(w.user), { by: w.user });
  assert.equal(read.sent(w.data(w.bridge.sent(w.user.address, 5n))).nonce, 1n);
  assert.equal(read.sent(w.data(w.bridge.sent(w.relayer.address, 5n))).nonce, 2n);
  w.run(w.bridge.waive(w.user.address, 5n), { by: w.user });
  w.run(by(w.user), { by: w.user });
  assert.equal(read.sent(w.data(w.bridge.sent(w.user.address, 5n))).nonce, 3n);
});

test("what cannot be sent", () => {
  const w = world();
  const refuses = (error, fields) => w.refuses(error, send(w, fields).instruction, { by: w.user });
  refuses("InvalidTransfer", { amount: 0 });
  refuses("InvalidTransfer", { amount: 9 });
  refuses("InvalidTransfer", { amount: 15 });
  refuses("InvalidTransfer", { receiver: Buffer.alloc(0) });
  refuses("InvalidTransfer", { receiver: Buffer.alloc(65) });
  refuses("InvalidDeadline", { deadline: w.now() + 3_500 });
  refuses("InvalidDeadline", { deadline: w.now() + 7 * DAY + 60 });
  const { err } = w.try(send(w, { amount: 2_000_000n }).instruction, { by: w.user });
  // The token program's: not so much there.
  assert.deepEqual(err, { InstructionError: [1, { Custom: 1 }] });
  const fromVault = w.bridge.send(w.user.address, PEER, w.token, 1n, {
    amount: 10n,
    deadline: w.now() + DAY,
    receiver: EVM_RECEIVER,
    from: associated(w.bridge.address, w.mint),
  });
  w.refuses("WrongAddress", fromVault, { by: w.user });
  const other = w.createMint("another", 6);
  w.createAssociated(w.user.address, other);
  w.createAssociated(w.bridge.address, other);
  const foreign = { ...w.token, mint: other };
  const wrongMint = w.bridge.send(w.user.address, PEER, foreign, 1n, {
    amount: 10n,
    deadline: w.now() + DAY,
    receiver: EVM_RECEIVER,
  });
  w.refuses("WrongAddress", wrongMint, { by: w.user });
  send(w, { receiver: Buffer.alloc(64, 9) }).run();
});

test("a nonce is paid once, whatever is certified for it", () => {
  const w = world();
  const transfer = w.transfer();
  w.run(w.deliver(transfer, w.certify(w.statement(transfer))));
  w.refuses("NonceTaken", w.deliver(transfer, w.certify(w.statement(transfer))));
  const other = { ...transfer, amount: 7_000n };
  w.refuses("NonceTaken", w.deliver(other, w.certify(w.statement(other))));
  assert.equal(w.balance(w.receiver.address, w.mint), 50_000n);
  // Its neighbours, in any order and on other pages, are free.
  for (const nonce of [3n, 2n, 1_023n, 1_024n, 1_025n, (1n << 64n) - 1n]) {
    const next = { ...transfer, nonce, amount: 1n };
    w.run(w.deliver(next, w.certify(w.statement(next))));
    w.refuses("NonceTaken", w.deliver(next, w.certify(w.statement(next))));
  }
});

test("only the signed receiver's own associated token account is paid", () => {
  const w = world();
  const transfer = w.transfer();
  const hash = w.certify(w.statement(transfer));
  const to = (address) => w.deliver(transfer, hash, { to: address });
  w.refuses("WrongReceiver", to(associated(w.user.address, w.mint)));
  w.refuses("WrongReceiver", to(associated(w.bridge.address, w.mint)));
  const other = w.createMint("another", 6);
  w.createAssociated(w.receiver.address, other);
  w.refuses("WrongReceiver", to(associated(w.receiver.address, other)));
  w.refuses("WrongReceiver", to(w.receiver.address));
  // Its own, of the right mint, but not the one that it is known by.
  const spare = wallet("spare");
  const make = system.create(w.admin.address, spare.address, w.rent(token.ACCOUNT_SIZE), token.ACCOUNT_SIZE, TOKEN);
  const initialize = token.initializeAccount(spare.address, w.mint, w.receiver.address);
  w.run([make, initialize], { by: w.admin, also: [spare] });
  w.refuses("WrongReceiver", to(spare.address));
  // At the right address, but given away.
  const own = associated(w.receiver.address, w.mint);
  const giveAway = (from, next) => token.setAuthority(own, from.address, 2, next.address);
  w.run(giveAway(w.receiver, w.user), { by: w.receiver });
  w.refuses("WrongReceiver", to(own));
  w.run(giveAway(w.user, w.receiver), { by: w.user });
  w.run(to(own));
  assert.equal(w.balance(w.receiver.address, w.mint), 50_000n);
});

test("a receiver without a token account is given one in the transaction that delivers", () => {
  const w = world();
  const receiver = key(w.guardian.address);
  const transfer = w.transfer({ receiver });
  const hash = w.certify(w.statement(transfer));
  w.refuses("WrongReceiver", w.deliver(transfer, hash));
  const make = token.createAssociated(w.relayer.address, w.guardian.address, w.mint);
  const { transaction } = w.run([make, w.deliver(transfer, hash)]);
  assert.ok(transaction.bytes.length <= 1232);
  assert.equal(w.balance(w.guardian.address, w.mint), 50_000n);
});

test("what this chain cannot pay is refused and leaves the nonce open", () => {
  const w = world();
  const refuses = (error, fields) => {
    const transfer = w.transfer(fields);
    w.refuses(error, w.deliver(transfer, w.certify(w.statement(transfer)), { to: associated(w.receiver.address, w.mint) }));
  };
  refuses("InvalidTransfer", { nonce: 0n });
  refuses("InvalidTransfer", { amount: 0n });
  refuses("InvalidTransfer", { amount: 1n << 64n });
  refuses("InvalidTransfer", { amount: (1n << 64n) / 10n + 1n });
  refuses("WrongReceiver", { receiver: EVM_RECEIVER });
  refuses("WrongAddress", { token: Buffer.alloc(32, 1) });
  const transfer = w.transfer();
  w.run(w.deliver(transfer, w.certify(w.statement(transfer))));
});

test("the bridge itself is no receiver", () => {
  const w = world();
  const transfer = w.transfer({ receiver: key(w.bridge.address) });
  w.refuses("WrongReceiver", w.deliver(transfer, w.certify(w.statement(transfer))));
});

/** The instruction with another account in the place of one. */
const replaced = (instruction, from, to) => ({
  ...instruction,
  accounts: instruction.accounts.map((entry) => (entry.address === from ? { ...entry, address: to } : entry)),
});

test("tokens are locked in the vault and come out of it, not somewhere else", () => {
  const w = world();
  const vault = associated(w.bridge.address, w.mint);
  const mine = associated(w.receiver.address, w.mint);
  w.refuses("WrongAddress", replaced(send(w).instruction, vault, mine), { by: w.user });
  const funding = w.bridge.fund(w.user.address, PEER, w.token, 10n);
  w.refuses("WrongAddress", replaced(funding, vault, mine), { by: w.user });
  const transfer = w.transfer();
  const hash = w.certify(w.statement(transfer));
  w.refuses("WrongAddress", replaced(w.deliver(transfer, hash), vault, mine));
});

test("what is burned is the token that was configured", () => {
  const w = world({ mode: 2 });
  const worthless = w.createMint("worthless", 6);
  w.createAssociated(w.user.address, worthless);
  const owned = associated(w.user.address, worthless);
  w.run(token.mintTo(worthless, owned, w.admin.address, 1_000_000n), { by: w.admin });
  const instruction = replaced(send(w).instruction, associated(w.user.address, w.mint), owned);
  w.refuses("WrongAddress", replaced(instruction, w.mint, worthless), { by: w.user });
});

test("above the limit of a transfer: queued, and paid after the delay", () => {
  const w = world();
  const transfer = w.transfer({ amount: 10_001n });
  w.run(w.deliver(transfer, w.certify(w.statement(transfer))), { record: "deliver into the queue" });
  assert.equal(w.balance(w.receiver.address, w.mint), 0n);
  assert.equal(read.record(w.data(w.bridge.record(PEER, 1n))).kind, 1);
  w.refuses("NonceTaken", w.deliver(transfer, w.certify(w.statement(transfer))));
  const release = w.bridge.release(w.relayer.address, PEER, w.token, transfer);
  w.refuses("NotYet", release, { by: w.user });
  w.wait(LIMIT_DELAY + 1);
  w.refuses("WrongFact", w.bridge.release(w.relayer.address, PEER, w.token, { ...transfer, amount: 1n }));
  w.refuses("WrongAddress", w.bridge.release(w.user.address, PEER, w.token, transfer), { by: w.user });
  const before = w.lamports(w.relayer.address);
  w.run(release, { by: w.user, record: "release" });
  assert.ok(w.lamports(w.relayer.address) > before);
  assert.equal(w.balance(w.receiver.address, w.mint), 100_010n);
  w.refuses("WrongOwner", release, { by: w.user });
});

test("more than the window has room for: queued, and paid as soon as it has, or after the delay", () => {
  const w = world();
  const deliver = (nonce, amount) => {
    const transfer = w.transfer({ nonce, amount });
    w.run(w.deliver(transfer, w.certify(w.statement(transfer))));
    return transfer;
  };
  const release = (transfer) => w.bridge.release(w.relayer.address, PEER, w.token, transfer);
  const paid = () => w.balance(w.receiver.address, w.mint);
  deliver(1n, 9_000n);
  const queued = deliver(2n, 9_000n);
  deliver(3n, 6_000n);
  assert.equal(paid(), 150_000n);
  // A full window leaks its limit in a day: 6,250 an hour.
  const small = deliver(4n, 500n);
  w.refuses("NotYet", release(small));
  w.wait(LIMIT_DELAY - 600);
  w.run(release(small));
  assert.equal(paid(), 155_000n);
  w.refuses("NotYet", release(queued));
  w.wait(601);
  w.run(release(queued));
  assert.equal(paid(), 245_000n);
  // The authority may make room.
  const next = deliver(5n, 9_000n);
  w.refuses("NotYet", release(next));
  w.run(w.bridge.setToken(w.admin.address, PEER, { ...w.token, windowLimit: 300_000n }), { by: w.admin });
  w.run(release(next));
  // A day later all of it has leaked.
  w.wait(DAY);
  deliver(6n, 10_000n);
  deliver(7n, 10_000n);
  deliver(8n, 10_000n);
  assert.equal(paid(), 635_000n);
});

test("a route pays no more than came in on it", () => {
  const w = world({ limits: { transferLimit: 10_000_000n, windowLimit: 10_000_000n } });
  const balance = () => read.token(w.data(w.bridge.token(PEER, REMOTE))).balance;
  assert.equal(balance(), 2_000_000n);
  const transfer = w.transfer({ amount: 200_001n });
  const hash = w.certify(w.statement(transfer));
  // More lies in the vault, but it did not come this way.
  const gift = token.mintTo(w.mint, associated(w.bridge.address, w.mint), w.admin.address, 1_000_000n);
  w.run(gift, { by: w.admin });
  w.refuses("RouteShort", w.deliver(transfer, hash));
  send(w).run();
  assert.equal(balance(), 2_050_000n);
  w.run(w.deliver(transfer, hash));
  assert.equal(balance(), 49_990n);
});

test("a minted token is burned no further than it was minted", () => {
  const w = world({ mode: 2 });
  const balance = () => read.token(w.data(w.bridge.token(PEER, REMOTE))).balance;
  assert.equal(balance(), 1_000_000n);
  send(w, { amount: 1_000_000n }).run();
  assert.equal(balance(), 0n);
  w.refuses("RouteShort", send(w, { amount: 10n }).instruction, { by: w.user });
  w.refuses("TokenClosed", w.bridge.fund(w.user.address, PEER, w.token, 10n), { by: w.user });
});

test("the receiver closes at any time, anybody after the deadline; nothing is paid then", () => {
  const w = world();
  const close = (transfer, by) => {
    const hash = w.certify(w.statement(transfer));
    return w.bridge.close(by.address, w.relayer.address, w.epoch, hash, PEER, transfer);
  };
  const [first, second] = [w.transfer(), w.transfer({ nonce: 2n })];
  w.refuses("NotYet", close(first, w.relayer));
  const { logs, err } = w.run(close(first, w.receiver), { by: w.receiver, record: "close" });
  const [event] = events(w.bridge.program, { logs, err }).closed;
  const record = read.record(w.data(w.bridge.record(PEER, 1n)));
  assert.deepEqual([event.route, event.nonce, event.time], [w.bridge.routeFrom(PEER), 1n, record.time]);
  assert.equal(record.kind, 2);
  w.refuses("NonceTaken", w.deliver(first, w.certify(w.statement(first))));
  w.refuses("WrongFact", w.bridge.release(w.receiver.address, PEER, w.token, first));
  w.wait(DAY + 5);
  w.run(close(second, w.user), { by: w.user });
  // One that is late is still delivered while it is open; one that is queued is closed no more.
  const late = w.transfer({ nonce: 3n, deadline: BigInt(w.now() - 5) });
  w.run(w.deliver(late, w.certify(w.statement(late))));
  const large = w.transfer({ nonce: 4n, amount: 10_001n, deadline: BigInt(w.now() - 5) });
  w.run(w.deliver(large, w.certify(w.statement(large))));
  w.refuses("NonceTaken", close(large, w.user), { by: w.user });
  // What could never be paid here can be closed all the same, and where the route is not open any more.
  w.run(w.bridge.setPeer(w.admin.address, PEER, 0), { by: w.admin });
  const unpayable = w.transfer({ nonce: 5n, amount: 1n << 200n, deadline: BigInt(w.now() - 5), receiver: EVM_RECEIVER });
  w.run(close(unpayable, w.user), { by: w.user });
});

for (const [mode, name] of modes) {
  test(`what the target closed is given back, once: ${name}`, () => {
    const w = world({ mode });
    const { transfer, run } = send(w);
    run();
    const time = BigInt(w.now());
    const hash = w.certify(closedStatement(w.bridge.routeTo(PEER), 1n, time));
    const refund = (fields = {}, at = time) =>
      w.bridge.refund(w.relayer.address, w.epoch, hash, PEER, w.token, { ...transfer, ...fields }, 1_001n, at);
    w.refuses("WrongFact", refund({ amount: 6_000n }));
    w.refuses("WrongOwner", refund({ sender: key(w.receiver.address) }));
    w.refuses("WrongDigest", refund({}, time + 1n));
    w.run(refund(), { record: `refund (${name})` });
    assert.equal(w.balance(w.user.address, w.mint), 1_000_000n);
    w.certify(closedStatement(w.bridge.routeTo(PEER), 1n, time));
    w.refuses("WrongOwner", refund());
  });
}

test("a closing on the route from there is none on the route to there", () => {
  const w = world();
  const { transfer, run } = send(w);
  run();
  const time = BigInt(w.now());
  const hash = w.certify(closedStatement(w.bridge.routeFrom(PEER), 1n, time));
  w.refuses("WrongDigest", w.bridge.refund(w.relayer.address, w.epoch, hash, PEER, w.token, transfer, 1_001n, time));
});

test("who sent may give a refund up for the rent, nobody else", () => {
  const w = world();
  send(w).run();
  w.refuses("WrongAddress", w.bridge.waive(w.user.address, 1_001n, w.relayer.address));
  const before = w.lamports(w.user.address);
  w.run(w.bridge.waive(w.user.address, 1_001n), { by: w.user });
  assert.ok(w.lamports(w.user.address) > before);
  w.refuses("WrongOwner", w.bridge.waive(w.user.address, 1_001n), { by: w.user });
});

function vote(w, sequence, paused, time = BigInt(w.now())) {
  const hash = w.certify(pauseStatement(w.bridge.end, sequence, paused, time));
  return w.bridge.setPaused(w.relayer.address, w.epoch, hash, { sequence, paused, time });
}

test("the guardian stops everything; only the operators' vote starts it again", () => {
  const w = world();
  send(w).run();
  const transfer = w.transfer();
  const hash = w.certify(w.statement(transfer));
  w.refuses("NotGuardian", w.bridge.pause(w.user.address), { by: w.user });
  w.run(w.bridge.pause(w.guardian.address), { by: w.guardian, record: "pause" });
  w.refuses("Paused", w.bridge.pause(w.guardian.address), { by: w.guardian });
  w.refuses("Paused", w.deliver(transfer, hash));
  w.refuses("Paused", send(w).instruction, { by: w.user });
  w.refuses("Paused", w.bridge.release(w.relayer.address, PEER, w.token, transfer));
  w.refuses("Paused", w.bridge.close(w.receiver.address, w.relayer.address, w.epoch, hash, PEER, transfer), {
    by: w.receiver,
  });
  const closing = w.certify(closedStatement(w.bridge.routeTo(PEER), 1n, 1n));
  const refund = w.bridge.refund(w.relayer.address, w.epoch, closing, PEER, w.token, { ...transfer, token: key(w.mint) }, 1_001n, 1n);
  w.refuses("Paused", refund);
  // Sequence 1 was the guardian's.
  w.refuses("WrongSequence", vote(w, 1n, 0));
  w.refuses("WrongSequence", vote(w, 3n, 0));
  w.run(vote(w, 2n, 0), { record: "set paused" });
  w.run(w.deliver(transfer, hash));
  const again = vote(w, 3n, 1);
  w.run(again);
  assert.deepEqual(read.bridge(w.data(w.bridge.address)), { paused: 1, pauseSequence: 3n, newestEpoch: 7 });
  w.refuses("WrongSequence", again);
});

test("only the authority opens routes and tokens; what they are stays", () => {
  const w = world();
  const by = { by: w.user };
  w.refuses("NotAuthority", w.bridge.setPeer(w.user.address, PEER), by);
  w.refuses("NotAuthority", w.bridge.setToken(w.user.address, PEER, w.token), by);
  w.refuses("NotAuthority", w.bridge.setAuthority(w.user.address, w.user.address, w.user.address), by);
  const admin = { by: w.admin };
  const change = (fields) => w.bridge.setToken(w.admin.address, PEER, { ...w.token, ...fields });
  w.refuses("InvalidConfig", change({ unit: 1n }), admin);
  w.refuses("InvalidConfig", change({ mode: 2 }), admin);
  w.refuses("InvalidConfig", change({ unit: 0n }), admin);
  w.refuses("InvalidConfig", change({ transferLimit: 150_001n }), admin);
  // One mint, one token there.
  w.refuses("AlreadyExists", change({ remote: Buffer.alloc(32, 5), unit: 1n }), admin);
  const own = { chain: w.bridge.end.chain, contract: Buffer.alloc(32, 1) };
  w.refuses("InvalidConfig", w.bridge.setPeer(w.admin.address, own), admin);

  const transfer = w.transfer();
  const hash = w.certify(w.statement(transfer));
  w.run(change({ open: 0 }), admin);
  w.refuses("TokenClosed", w.deliver(transfer, hash));
  w.refuses("TokenClosed", send(w).instruction, by);
  w.run(change({ open: 1 }), admin);
  w.run(w.bridge.setPeer(w.admin.address, PEER, 0), admin);
  w.refuses("RouteClosed", w.deliver(transfer, hash));
  w.refuses("RouteClosed", send(w).instruction, by);
  w.run(w.bridge.setPeer(w.admin.address, PEER, 1), admin);
  w.run(w.deliver(transfer, hash));

  w.run(w.bridge.setAuthority(w.admin.address, w.user.address, w.relayer.address), admin);
  w.refuses("NotAuthority", w.bridge.setPeer(w.admin.address, PEER), admin);
  w.run(w.bridge.setPeer(w.user.address, PEER), by);
});

test("a minted token needs the bridge as who mints", () => {
  const w = world();
  const mint = w.createMint("another", 9);
  w.createAssociated(w.bridge.address, mint);
  const wanted = { ...w.token, remote: Buffer.alloc(32, 6), mint, mode: 2 };
  w.refuses("InvalidConfig", w.bridge.setToken(w.admin.address, PEER, wanted), { by: w.admin });
  w.run(token.setAuthority(mint, w.admin.address, 0, w.bridge.address), { by: w.admin });
  w.run(w.bridge.setToken(w.admin.address, PEER, wanted), { by: w.admin });
});

test("the token there is the one that was configured, not the one that is shown", () => {
  const w = world();
  const mint = w.createMint("cheap", 6);
  w.createAssociated(w.bridge.address, mint);
  const cheap = { ...w.token, remote: Buffer.alloc(32, 6), mint };
  w.run(w.bridge.setToken(w.admin.address, PEER, cheap), { by: w.admin });
  w.createAssociated(w.user.address, mint);
  w.run(token.mintTo(mint, associated(w.user.address, mint), w.admin.address, 90_000n), { by: w.admin });
  w.run(w.bridge.fund(w.user.address, PEER, cheap, 90_000n), { by: w.user });
  const transfer = w.transfer({ token: cheap.remote });
  const hash = w.certify(w.statement(transfer));
  w.refuses("WrongAddress", w.deliver(transfer, hash, { token: w.token }));
  w.refuses("WrongAddress", w.deliver(transfer, hash, { token: { ...w.token, remote: cheap.remote } }));
  assert.deepEqual(w.token.remote, REMOTE);
});
