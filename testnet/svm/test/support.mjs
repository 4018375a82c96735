// A chain with the program on it, operators, tokens and a route.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Bridge, OperatorSet, digest, transferStatement } from "../lib/bridge.mjs";
import { Chain } from "../lib/chain.mjs";
import { keccak256 } from "../lib/keccak.mjs";
import { addressOf, compact, sign } from "../lib/secp256k1.mjs";
import { associated, computeLimit, deployment, key, system, token, transaction, wallet } from "../lib/wallet.mjs";

export const PROGRAM = readFileSync(
  join(import.meta.dirname, "../../../chain/artifacts/svm/bridge.so"),
);
export const CHAIN = 91024n;
export const DAY = 86_400;
export const LIFETIME = 20 * DAY;
export const LIMIT_DELAY = 3_600;
export const ANCHOR_DELAY = 2 * DAY;
export const DOMAIN = keccak256(Buffer.from("a home domain"));
export const PEER = { chain: 421614n, contract: Buffer.concat([Buffer.alloc(12), Buffer.alloc(20, 0xab)]) };
export const REMOTE = Buffer.concat([Buffer.alloc(12), Buffer.alloc(20, 0xcd)]);
const MAX_UNITS = 1_400_000;

/** Numbers of the program's errors. */
export const errors = Object.fromEntries(
  [
    ...readFileSync(join(import.meta.dirname, "../../../chain/svm-program/src/error.rs"), "utf8").matchAll(
      /^ {4}(\w+) = (\d+),$/gm,
    ),
  ].map(([, name, number]) => [name, Number(number)]),
);

/** Operators with keys that follow from a name; weights all 10 unless told. */
export function operators(count, { name = "operator", weight = () => 10n } = {}) {
  const members = Array.from({ length: count }, (_, index) => {
    const secret = keccak256(Buffer.from(`${name} ${index}`));
    return { secret, key: addressOf(secret), operator: keccak256(secret).subarray(12), weight: weight(index) };
  });
  return members.sort((a, b) => Buffer.compare(a.operator, b.operator));
}

export class World {
  constructor(chain) {
    this.chain = chain;
    this.admin = wallet("admin");
    this.guardian = wallet("guardian");
    this.relayer = wallet("relayer");
    this.user = wallet("user");
    this.receiver = wallet("receiver");
    this.wallets = [this.admin, this.guardian, this.relayer, this.user, this.receiver];
    for (const { address } of this.wallets) chain.airdrop(address, 100_000_000_000n);
    this.units = new Map();
  }

  rent(size) {
    return this.chain.svm.minimumBalanceForRentExemption(BigInt(size));
  }

  /** Executes the instructions in one transaction; the record of it, whatever came of it. */
  try(instructions, { by = this.relayer, also = [], units = MAX_UNITS, record } = {}) {
    const { blockhash } = this.chain.blockAt("processed");
    const list = [instructions].flat();
    // Nothing may be the same twice.
    const all = units ? [computeLimit(units - (this.sequence = (this.sequence ?? 0) + 1)), ...list] : list;
    const bytes = transaction(all, [by, ...also, ...this.wallets], blockhash);
    const result = this.chain.execute(bytes);
    if (record) this.units.set(record, { units: result.unitsConsumed, bytes: bytes.length });
    return result;
  }

  run(instructions, options) {
    const result = this.try(instructions, options);
    assert.equal(result.err, null, `${JSON.stringify(result.err)}\n${(result.logs ?? []).join("\n")}`);
    return result;
  }

  /** The instructions fail with this error of the program, in the last of them. */
  refuses(error, instructions, options) {
    const { err, logs } = this.try(instructions, options);
    const code = err?.InstructionError?.[1]?.Custom;
    const found = Object.keys(errors).find((name) => errors[name] === code) ?? JSON.stringify(err);
    assert.equal(found, error, (logs ?? []).join("\n"));
  }

  data(address) {
    return this.chain.account(address)?.data ?? null;
  }
  balance(owner, mint) {
    const data = this.data(associated(owner, mint));
    return data ? data.readBigUInt64LE(64) : null;
  }
  lamports(address) {
    return this.chain.account(address)?.lamports ?? 0n;
  }
  now() {
    return this.chain.now();
  }
  /** Lets seconds pass. */
  wait(seconds) {
    this.chain.clockOffset += seconds;
    this.chain.advance();
  }

  deploy(name = "bridge") {
    const { address } = wallet(`${name} program`);
    this.chain.load(address, PROGRAM, this.admin.address);
    this.chain.advance();
    return new Bridge(address, CHAIN);
  }
  /** As anybody would: in pieces, by the loader. */
  deployByLoader(name) {
    const [buffer, program] = [wallet(`${name} buffer`), wallet(`${name} program`)];
    const { steps } = deployment(this.admin.address, buffer.address, program.address, PROGRAM, (size) => this.rent(size));
    for (const step of steps) this.run(step, { by: this.admin, also: [buffer, program], units: 0 });
    this.chain.advance();
    return new Bridge(program.address, CHAIN);
  }

  createMint(name, decimals) {
    const mint = wallet(name);
    this.run(
      [
        system.create(this.admin.address, mint.address, this.rent(token.MINT_SIZE), token.MINT_SIZE, tokenProgram),
        token.initializeMint(mint.address, decimals, this.admin.address),
      ],
      { by: this.admin, also: [mint] },
    );
    return mint.address;
  }
  createAssociated(owner, mint) {
    this.run(token.createAssociated(this.admin.address, owner, mint), { by: this.admin });
  }

  initialize(members, options = {}) {
    this.members = members;
    this.set = new OperatorSet(members);
    this.epoch = 7;
    const settings = {
      domain: DOMAIN,
      authority: this.admin.address,
      guardian: this.guardian.address,
      lifetime: LIFETIME,
      limitDelay: LIMIT_DELAY,
      anchorDelay: ANCHOR_DELAY,
      epoch: this.epoch,
      time: this.now() - DAY,
      set: this.set,
      ...options,
    };
    this.run(this.bridge.initialize(this.admin.address, settings), { by: this.admin, record: "initialize" });
    this.install(this.epoch, this.set);
  }
  install(epoch, set) {
    for (let part = 0; part < set.parts; part += 1) {
      const instruction = this.bridge.install(this.relayer.address, epoch, set.part(part));
      this.run(instruction, { units: 0, record: "install a part" });
    }
  }

  /** Signatures over a digest by the members with these numbers. */
  sign(digest, numbers, options) {
    return numbers.map((index) => [index, compact(sign(this.members[index].secret, digest, options))]);
  }
  digest(statement, epoch = this.epoch) {
    return digest(DOMAIN, epoch, statement);
  }
  /** Gathers signatures of the first `count` members; the digest. */
  certify(statement, { count = Math.floor((2 * this.members.length) / 3) + 1, epoch = this.epoch } = {}) {
    const hash = this.digest(statement, epoch);
    const signatures = this.sign(hash, [...Array(count).keys()]);
    for (let at = 0; at < signatures.length; at += 12) {
      const part = signatures.slice(at, at + 12);
      this.run(this.bridge.gatherSignatures(this.relayer.address, epoch, hash, part));
    }
    return hash;
  }

  transfer(fields = {}) {
    return {
      nonce: 1n,
      sender: Buffer.concat([Buffer.alloc(12), Buffer.alloc(20, 0x11)]),
      receiver: key(this.receiver.address),
      token: REMOTE,
      amount: 5_000n,
      deadline: BigInt(this.now() + DAY),
      ...fields,
    };
  }
  statement(transfer) {
    return transferStatement(this.bridge.routeFrom(PEER), transfer);
  }
  deliver(transfer, digest, { token: which = this.token, to, epoch = this.epoch, payer = this.relayer.address } = {}) {
    return this.bridge.deliver(payer, this.relayer.address, epoch, digest, PEER, which, transfer, to);
  }
}

const tokenProgram = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";

/** Everything set up: `mode` 1 locks and releases, 2 burns and mints. */
export function world({ members = operators(4), mode = 1, unit = 10n, limits = {} } = {}) {
  const world = new World(new Chain({ genesis: Buffer.from("test") }));
  world.bridge = world.deploy();
  world.initialize(members);
  world.mint = world.createMint("mint", 6);
  for (const { address } of [world.user, world.receiver]) world.createAssociated(address, world.mint);
  world.createAssociated(world.bridge.address, world.mint);
  const admin = { by: world.admin };
  world.run(world.bridge.setPeer(world.admin.address, PEER), { ...admin, record: "set a peer" });
  world.token = {
    remote: REMOTE,
    mint: world.mint,
    mode,
    unit,
    transferLimit: 100_000n,
    windowLimit: 150_000n,
    ...limits,
  };
  const setToken = () => world.bridge.setToken(world.admin.address, PEER, world.token);
  if (mode === 1) {
    // A million to spend, and two that the route may pay.
    const owned = associated(world.user.address, world.mint);
    world.run(token.mintTo(world.mint, owned, world.admin.address, 3_000_000n), admin);
    world.run(setToken(), { ...admin, record: "set a token" });
    world.run(world.bridge.fund(world.user.address, PEER, world.token, 2_000_000n), { by: world.user });
  } else {
    // What is burned here has been minted here.
    world.run(token.setAuthority(world.mint, world.admin.address, 0, world.bridge.address), admin);
    Object.assign(world.token, { transferLimit: 1_000_000n, windowLimit: 1_000_000n });
    world.run(setToken(), admin);
    const [nonce, receiver] = [1_000_000n, key(world.user.address)];
    const first = world.transfer({ nonce, receiver, amount: 1_000_000n / unit });
    world.run(world.deliver(first, world.certify(world.statement(first))));
    world.wait(DAY);
  }
  return world;
}
