// The chain: litesvm executes, and here is what it does not have. Slots by the clock, blockhashes that live 150 blocks,
// versions of accounts for the commitments, a history, and blocks that are taken back.
import { createHash, randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { decode, encode } from "./base58.mjs";
import { describe } from "./errors.mjs";
import { fee, loaded, parse, writableKeys } from "./transaction.mjs";
import { LOADER, derive, u32 } from "./wallet.mjs";

const { Account, Clock, LiteSvm, FailedTransactionMetadata, TransactionMetadata } = createRequire(import.meta.url)(
  "litesvm/dist/internal.js",
);

/** Blocks for which a blockhash may be used. */
export const BLOCKHASH_LIFE = 150;
/** Blocks whose hashes and times are remembered. */
const MAX_BLOCKS = 10_000;
/** Slots that the sysvar of their hashes names; lookup tables need it. */
const SLOT_HASHES = 32;
/** As the runtime cuts them. */
const LOG_LIMIT = 10_000n;

const emptyAccount = () => new Account(0n, new Uint8Array(0), new Uint8Array(32), false, 0n);

export class Chain {
  /** Slots by which commitments are behind; `genesis` makes another chain. */
  constructor({ confirmed = 1, finalized = 32, genesis = randomBytes(32) } = {}) {
    this.lag = { processed: 0, confirmed, finalized };
    this.svm = new LiteSvm();
    this.svm.setBlockhashCheck(false);
    this.svm.setTransactionHistory(0n);
    this.svm.setLogBytesLimit(LOG_LIMIT);
    this.genesisHash = encode(createHash("sha256").update(genesis).digest());
    this.clockOffset = 0;
    this.forks = 0;
    this.blocks = new Map();
    this.blockhashes = new Map();
    this.versions = new Map();
    this.transactions = new Map();
    this.byAddress = new Map();
    this.listeners = new Set();
    this.slot = 0;
    this.height = 0;
    // Every commitment has a block from the beginning.
    for (let i = 0; i <= finalized; i += 1) this.advance();
  }

  now() {
    return Math.floor(Date.now() / 1000) + this.clockOffset;
  }

  /** Ends the slot and begins the next one, or a later one. */
  advance(slots = 1) {
    this.slot += slots;
    this.height += 1;
    const seed = `${this.genesisHash} ${this.slot} ${this.forks}`;
    const blockhash = encode(createHash("sha256").update(seed).digest());
    const block = { slot: this.slot, height: this.height, time: this.now(), blockhash };
    this.blocks.set(this.slot, block);
    this.blockhashes.set(blockhash, block);
    this.#setClock(block);
    this.#forget();
    for (const listener of this.listeners) listener();
  }

  #setClock({ slot, time }) {
    this.svm.warpToSlot(BigInt(slot));
    const clock = this.svm.getClock();
    const { epochStartTimestamp, epoch, leaderScheduleEpoch } = clock;
    this.svm.setClock(new Clock(BigInt(slot), epochStartTimestamp, epoch, leaderScheduleEpoch, BigInt(time)));
    const recent = [...this.blocks.values()].slice(-SLOT_HASHES - 1, -1).reverse();
    this.svm.setSlotHashes(recent.map((block) => ({ slot: BigInt(block.slot), hash: block.blockhash })));
  }

  #forget() {
    if (this.blocks.size <= MAX_BLOCKS) return;
    const [oldest] = this.blocks.keys();
    this.blockhashes.delete(this.blocks.get(oldest).blockhash);
    this.blocks.delete(oldest);
  }

  /** The last block that a commitment sees, `behind` slots late. */
  blockAt(commitment, behind = 0) {
    const limit = this.slot - this.lag[commitment] - behind;
    let block = null;
    for (let slot = limit; slot >= 1 && !block; slot -= 1) block = this.blocks.get(slot) ?? null;
    return block ?? { slot: 0, height: 0, time: 0, blockhash: this.genesisHash };
  }

  isBlockhashValid(blockhash) {
    const block = this.blockhashes.get(blockhash);
    return block !== undefined && this.height <= block.height + BLOCKHASH_LIFE;
  }

  #current(address) {
    const account = this.svm.getAccount(decode(address, 32));
    if (!account) return null;
    return {
      lamports: account.lamports(),
      data: Buffer.from(account.data()),
      owner: encode(account.owner()),
      executable: account.executable(),
    };
  }

  /** The account as of `slot`, or null. */
  account(address, slot = this.slot) {
    const versions = this.versions.get(address);
    if (!versions) return this.#current(address);
    return versions.findLast((version) => version.slot <= slot)?.account ?? null;
  }

  #remember(addresses) {
    for (const address of addresses) {
      if (this.versions.has(address)) continue;
      this.versions.set(address, [{ slot: -1, account: this.#current(address) }]);
    }
  }

  #note(addresses) {
    const settled = this.slot - this.lag.finalized - MAX_LAG;
    for (const address of addresses) {
      const versions = this.versions.get(address);
      if (versions.at(-1).slot === this.slot) versions.pop();
      versions.push({ slot: this.slot, account: this.#current(address) });
      while (versions.length > 1 && versions[1].slot <= settled) versions.shift();
    }
  }

  /** Checks without executing: `{ transaction }` or `{ err }`. */
  check(bytes, { ignoreBlockhash = false } = {}) {
    const transaction = parse(bytes);
    if (this.transactions.has(transaction.signature)) return { transaction, err: "AlreadyProcessed" };
    if (!ignoreBlockhash && !this.isBlockhashValid(transaction.blockhash)) {
      return { transaction, err: "BlockhashNotFound" };
    }
    return { transaction };
  }

  /** What would come of it: `{ err, logs, unitsConsumed, returnData, accounts }`. */
  simulate(bytes, { sigVerify = true, ignoreBlockhash = false } = {}) {
    const { err } = this.check(bytes, { ignoreBlockhash });
    if (err) return { err, logs: [], unitsConsumed: 0, returnData: null, accounts: new Map() };
    this.svm.setSigverify(sigVerify);
    try {
      const result = this.svm.simulateVersionedTransaction(bytes);
      const outcome = outcomeOf(result);
      const accounts = new Map();
      if (!outcome.err) {
        for (const entry of result.postAccounts()) accounts.set(encode(entry.address), entry.account());
      }
      return { ...outcome, accounts };
    } finally {
      this.svm.setSigverify(true);
    }
  }

  /** Executes in the slot that is open: what is in the block then, or `{ err }` alone where nothing is. */
  execute(bytes) {
    const { transaction, err } = this.check(bytes);
    if (err) return { err };
    const tables = loaded(transaction, (address) => this.#current(address)?.data ?? null);
    const keys = [...transaction.keys, ...tables.writable, ...tables.readonly];
    const writable = [...writableKeys(transaction), ...tables.writable];
    const balances = () => keys.map((key) => Number(this.#current(key)?.lamports ?? 0n));
    this.#remember(writable);
    const preBalances = balances();
    const result = this.svm.sendVersionedTransaction(bytes);
    const outcome = outcomeOf(result);
    if (outcome.err && !outcome.ran) return { err: outcome.err };
    this.#note(writable);
    const record = {
      ...outcome,
      transaction,
      slot: this.slot,
      time: this.blocks.get(this.slot).time,
      fee: Number(fee(transaction)),
      loadedAddresses: tables,
      keys,
      preBalances,
      postBalances: balances(),
    };
    this.transactions.set(transaction.signature, record);
    for (const key of new Set(keys)) {
      if (!this.byAddress.has(key)) this.byAddress.set(key, []);
      this.byAddress.get(key).push(transaction.signature);
    }
    for (const listener of this.listeners) listener();
    return record;
  }

  /** Lamports from nowhere; a signature as if somebody had sent them. */
  airdrop(address, lamports) {
    this.#remember([address]);
    this.svm.airdrop(decode(address, 32), lamports);
    this.#note([address]);
    const signature = encode(randomBytes(64));
    const { time } = this.blocks.get(this.slot);
    this.transactions.set(signature, { err: null, logs: [], slot: this.slot, time, airdrop: true });
    return signature;
  }

  /** A program as if its loader had loaded it; `authority` may replace it. */
  load(address, program, authority) {
    const loader = decode(LOADER, 32);
    const data = derive([decode(address, 32)], LOADER).address;
    const slot = Buffer.alloc(8);
    slot.writeBigUInt64LE(BigInt(this.slot));
    const named = authority ? [Buffer.from([1]), decode(authority, 32)] : [Buffer.alloc(33)];
    const put = (key, bytes, executable) => {
      this.#remember([key]);
      const rent = this.svm.minimumBalanceForRentExemption(BigInt(bytes.length));
      this.svm.setAccount(decode(key, 32), new Account(rent, bytes, loader, executable, 0n));
      this.#note([key]);
    };
    put(data, Buffer.concat([u32(3), slot, ...named, program]), false);
    put(address, Buffer.concat([u32(2), decode(data, 32)]), true);
  }

  /** Takes everything after `slot` back, as a fork that lost; what is finalized stays. */
  rollback(slot) {
    const finalized = this.blockAt("finalized").slot;
    if (!Number.isInteger(slot) || slot < finalized || slot >= this.slot) {
      throw new Error(`slots from ${finalized} on and below ${this.slot} can be gone back to`);
    }
    for (const [address, versions] of this.versions) {
      if (versions.at(-1).slot <= slot) continue;
      const kept = versions.filter((version) => version.slot <= slot);
      this.versions.set(address, kept);
      this.#restore(address, kept.at(-1)?.account ?? null);
    }
    for (const [signature, record] of this.transactions) {
      if (record.slot <= slot) continue;
      this.transactions.delete(signature);
      for (const key of new Set(record.keys ?? [])) {
        this.byAddress.set(key, this.byAddress.get(key).filter((other) => other !== signature));
      }
    }
    for (const [number, block] of this.blocks) {
      if (number <= slot) continue;
      this.blocks.delete(number);
      this.blockhashes.delete(block.blockhash);
    }
    this.height = this.blockAt("processed").height;
    this.forks += 1;
    this.advance();
  }

  #restore(address, account) {
    const value = account
      ? new Account(account.lamports, account.data, decode(account.owner, 32), account.executable, 0n)
      : emptyAccount();
    this.svm.setAccount(decode(address, 32), value);
  }
}

/** Most slots that a provider may be late. */
export const MAX_LAG = 512;

function outcomeOf(result) {
  const failed = result instanceof FailedTransactionMetadata;
  const meta = result instanceof TransactionMetadata ? result : result.meta();
  const { err, ran } = failed ? describe(result.err()) : { err: null, ran: true };
  const returned = meta.returnData();
  const data = Buffer.from(returned.data());
  return {
    err,
    ran,
    logs: meta.logs(),
    unitsConsumed: Number(meta.computeUnitsConsumed()),
    returnData: data.length > 0 ? { programId: encode(returned.programId()), data } : null,
    innerInstructions: meta.innerInstructions().map((list) =>
      list.map((inner) => ({
        programIdIndex: inner.instruction().programIdIndex(),
        accounts: [...inner.instruction().accounts()],
        data: Buffer.from(inner.instruction().data()),
        stackHeight: inner.stackHeight(),
      })),
    ),
  };
}
