// The JSON-RPC methods, as one provider answers them: late, wrong or not at all where it is told so.
import { encode, decode } from "./base58.mjs";
import { BLOCKHASH_LIFE, MAX_LAG } from "./chain.mjs";
import { fee, parse, parseMessage } from "./transaction.mjs";

const MAX_SIGNATURES = 1000;
const MAX_STATUSES = 256;
const MAX_ACCOUNTS = 100;
/** Slots for which a status is known without a look into the history. */
const RECENT_STATUSES = 150;
const MAX_BASE58_DATA = 128;
const SLOTS_IN_EPOCH = 432_000;

const INVALID_PARAMS = -32602;
const METHOD_NOT_FOUND = -32601;
const PREFLIGHT_FAILED = -32002;
const SIGNATURE_FAILED = -32003;
const BLOCK_NOT_AVAILABLE = -32004;
const SLOT_SKIPPED = -32007;
const VERSION_UNSUPPORTED = -32015;
const SLOT_NOT_REACHED = -32016;

export class RpcError extends Error {
  constructor(code, message, data) {
    super(message);
    Object.assign(this, { code, data });
  }
}

const invalid = (message) => new RpcError(INVALID_PARAMS, message);

/** Faults of a provider, all of them off. */
export const NO_FAULTS = { drop: 0, hang: false, lag: 0, forge: {}, fail: {}, genesisHash: null };

export class Provider {
  constructor(chain) {
    this.chain = chain;
    this.faults = { ...NO_FAULTS };
  }

  /** Any of `NO_FAULTS`; what is not named stays. Null turns all off. */
  setFaults(faults) {
    if (faults === null) {
      this.faults = { ...NO_FAULTS };
      return;
    }
    for (const name of Object.keys(faults)) {
      if (!(name in NO_FAULTS)) throw invalid(`there is no fault ${name}`);
    }
    if (faults.lag > MAX_LAG) throw invalid(`a provider is at most ${MAX_LAG} slots late`);
    Object.assign(this.faults, faults);
  }

  /** Whether it keeps silent about this method: `hang` is true or a list of methods. */
  hangs(method) {
    const { hang } = this.faults;
    return hang === true || (Array.isArray(hang) && hang.includes(method));
  }

  call(method, params) {
    if (Object.hasOwn(this.faults.fail, method)) throw new RpcError(-32005, this.faults.fail[method]);
    if (Object.hasOwn(this.faults.forge, method)) return this.faults.forge[method];
    if (!Object.hasOwn(methods, method)) throw new RpcError(METHOD_NOT_FOUND, "Method not found");
    return methods[method](this, ...params.map((param) => param ?? undefined));
  }

  /** The last block that this provider shows for a commitment. */
  block(options = {}) {
    const commitment = options?.commitment ?? "finalized";
    if (!Object.hasOwn(this.chain.lag, commitment)) throw invalid(`there is no commitment ${commitment}`);
    const block = this.chain.blockAt(commitment, this.faults.lag);
    if (options?.minContextSlot > block.slot) {
      throw new RpcError(SLOT_NOT_REACHED, "Minimum context slot has not been reached", { contextSlot: block.slot });
    }
    return block;
  }

  /** The transaction, where this provider has seen it at that commitment. */
  record(signature, commitment) {
    const record = this.chain.transactions.get(signature);
    return record && record.slot <= this.block({ commitment }).slot ? record : null;
  }

  confirmationOf(slot) {
    const at = (commitment) => slot <= this.block({ commitment }).slot;
    if (at("finalized")) return "finalized";
    return at("confirmed") ? "confirmed" : "processed";
  }
}

const within = (block, value) => ({ context: { slot: block.slot, apiVersion: "3.0.0" }, value });

function addressOf(text) {
  if (!decode(text, 32)) throw invalid("Invalid param: not a base58 key of 32 bytes");
  return text;
}

function signatureOf(text) {
  if (!decode(text, 64)) throw invalid("Invalid param: not a base58 signature of 64 bytes");
  return text;
}

function encodedData(data, encoding, slice) {
  const { offset = 0, length = data.length } = slice ?? {};
  const part = data.subarray(offset, offset + length);
  if (encoding === "base64" || encoding === "jsonParsed") return [part.toString("base64"), "base64"];
  if (encoding !== "base58" && encoding !== undefined) throw invalid(`the encoding ${encoding} is not supported here`);
  if (part.length > MAX_BASE58_DATA) throw invalid("base58 is for 128 bytes at most; use base64");
  return encoding ? [encode(part), "base58"] : encode(part);
}

function shownAccount(account, { encoding, dataSlice } = {}) {
  if (!account) return null;
  return {
    data: encodedData(account.data, encoding, dataSlice),
    executable: account.executable,
    lamports: Number(account.lamports),
    owner: account.owner,
    rentEpoch: 18446744073709551615,
    space: account.data.length,
  };
}

function transactionBytes(text, encoding = "base58") {
  if (typeof text !== "string") throw invalid("the transaction is a string");
  if (encoding === "base64") return Buffer.from(text, "base64");
  if (encoding !== "base58") throw invalid(`the encoding ${encoding} is not supported here`);
  // base58 has no length of its own: find it.
  for (let length = Math.floor(text.length * 0.73); length <= text.length; length += 1) {
    const bytes = decode(text, length);
    if (bytes) return bytes;
  }
  throw invalid("the transaction is no base58");
}

function checked(bytes) {
  try {
    return parse(bytes);
  } catch (error) {
    throw invalid(`failed to deserialize the transaction: ${error.message}`);
  }
}

function inWords(err) {
  if (typeof err === "string") return SENTENCES[err] ?? err;
  const [index, inner] = err.InstructionError ?? [];
  if (inner === undefined) return JSON.stringify(err);
  const what = inner.Custom === undefined ? JSON.stringify(inner) : `custom program error: 0x${inner.Custom.toString(16)}`;
  return `Error processing Instruction ${index}: ${what}`;
}

const SENTENCES = {
  AlreadyProcessed: "This transaction has already been processed",
  BlockhashNotFound: "Blockhash not found",
  InsufficientFundsForFee: "Insufficient funds for fee",
  AccountNotFound: "Attempt to debit an account but found no record of a prior credit.",
};

const simulated = ({ err, logs, unitsConsumed, returnData }, accounts = null) => ({
  err,
  logs,
  accounts,
  unitsConsumed,
  innerInstructions: null,
  returnData: returnData && { programId: returnData.programId, data: [returnData.data.toString("base64"), "base64"] },
});

function shownInstruction({ programIdIndex, accounts, data, stackHeight = null }) {
  return { programIdIndex, accounts: [...accounts], data: encode(data), stackHeight };
}

function shownTransaction({ transaction }, encoding = "json") {
  if (encoding === "base64" || encoding === "base58") {
    return [encoding === "base64" ? transaction.bytes.toString("base64") : encode(transaction.bytes), encoding];
  }
  if (encoding !== "json") throw invalid(`the encoding ${encoding} is not supported here`);
  const [numRequiredSignatures, numReadonlySignedAccounts, numReadonlyUnsignedAccounts] = transaction.header;
  return {
    signatures: transaction.signatures.map(encode),
    message: {
      header: { numRequiredSignatures, numReadonlySignedAccounts, numReadonlyUnsignedAccounts },
      accountKeys: transaction.keys,
      recentBlockhash: transaction.blockhash,
      instructions: transaction.instructions.map(shownInstruction),
      ...(transaction.version === 0 && { addressTableLookups: transaction.lookups }),
    },
  };
}

const shownMeta = (record) => ({
  err: record.err,
  status: record.err ? { Err: record.err } : { Ok: null },
  fee: record.fee,
  preBalances: record.preBalances,
  postBalances: record.postBalances,
  preTokenBalances: [],
  postTokenBalances: [],
  innerInstructions: record.innerInstructions
    .map((list, index) => ({ index, instructions: list.map(shownInstruction) }))
    .filter(({ instructions }) => instructions.length > 0),
  logMessages: record.logs,
  rewards: [],
  loadedAddresses: record.loadedAddresses,
  computeUnitsConsumed: record.unitsConsumed,
  ...(record.returnData && simulated(record).returnData && { returnData: simulated(record).returnData }),
});

const methods = {
  getHealth: () => "ok",
  getVersion: () => ({ "solana-core": "3.0.0", "feature-set": 0 }),
  getGenesisHash: ({ chain, faults }) => faults.genesisHash ?? chain.genesisHash,
  getSlot: (provider, options) => provider.block(options).slot,
  getBlockHeight: (provider, options) => provider.block(options).height,

  getEpochInfo(provider, options) {
    const { slot, height } = provider.block(options);
    const epoch = Math.floor(slot / SLOTS_IN_EPOCH);
    const slotIndex = slot % SLOTS_IN_EPOCH;
    const transactionCount = provider.chain.transactions.size;
    return { absoluteSlot: slot, blockHeight: height, epoch, slotIndex, slotsInEpoch: SLOTS_IN_EPOCH, transactionCount };
  },

  getLatestBlockhash(provider, options) {
    const block = provider.block(options);
    return within(block, { blockhash: block.blockhash, lastValidBlockHeight: block.height + BLOCKHASH_LIFE });
  },

  isBlockhashValid(provider, blockhash, options) {
    return within(provider.block(options), provider.chain.isBlockhashValid(addressOf(blockhash)));
  },

  getBlockTime(provider, slot) {
    const block = provider.chain.blocks.get(slot);
    if (block && slot <= provider.block({ commitment: "processed" }).slot) return block.time;
    throw new RpcError(SLOT_SKIPPED, `Slot ${slot} was skipped, or missing due to ledger jump to recent snapshot`);
  },

  /** Without its transactions. */
  getBlock(provider, slot, { transactionDetails = "full", ...options } = {}) {
    if (transactionDetails !== "none") throw invalid(`transactionDetails ${transactionDetails} is not supported here`);
    if (!(slot <= provider.block(options).slot)) throw new RpcError(BLOCK_NOT_AVAILABLE, `Block not available for slot ${slot}`);
    const { blocks, genesisHash } = provider.chain;
    const block = blocks.get(slot);
    if (!block) throw new RpcError(SLOT_SKIPPED, `Slot ${slot} was skipped, or missing due to ledger jump to recent snapshot`);
    let parentSlot = slot - 1;
    while (parentSlot > 0 && !blocks.has(parentSlot)) parentSlot -= 1;
    const previousBlockhash = blocks.get(parentSlot)?.blockhash ?? genesisHash;
    return { blockHeight: block.height, blockTime: block.time, blockhash: block.blockhash, parentSlot, previousBlockhash };
  },

  getBalance(provider, address, options) {
    const block = provider.block(options);
    return within(block, Number(provider.chain.account(addressOf(address), block.slot)?.lamports ?? 0n));
  },

  getAccountInfo(provider, address, options) {
    const block = provider.block(options);
    return within(block, shownAccount(provider.chain.account(addressOf(address), block.slot), options));
  },

  getMultipleAccounts(provider, addresses, options) {
    if (!Array.isArray(addresses) || addresses.length > MAX_ACCOUNTS) throw invalid(`${MAX_ACCOUNTS} accounts at most`);
    const block = provider.block(options);
    const show = (address) =>
      shownAccount(provider.chain.account(addressOf(address), block.slot), { encoding: "base64", ...options });
    return within(block, addresses.map(show));
  },

  /** Nobody pays for priority here. */
  getRecentPrioritizationFees: (provider) => [{ slot: provider.block().slot, prioritizationFee: 0 }],

  getTokenAccountBalance(provider, address, options) {
    const block = provider.block(options);
    const data = provider.chain.account(addressOf(address), block.slot)?.data;
    if (data?.length !== 165) throw invalid("Invalid param: could not find account");
    const mint = provider.chain.account(encode(data.subarray(0, 32)), block.slot);
    const [amount, decimals] = [data.readBigUInt64LE(64), mint.data[44]];
    const digits = amount.toString().padStart(decimals + 1, "0");
    const whole = digits.slice(0, digits.length - decimals);
    const part = digits.slice(digits.length - decimals).replace(/0+$/, "");
    const uiAmountString = part ? `${whole}.${part}` : whole;
    return within(block, { amount: amount.toString(), decimals, uiAmount: Number(uiAmountString), uiAmountString });
  },

  getMinimumBalanceForRentExemption: ({ chain }, size) => Number(chain.svm.minimumBalanceForRentExemption(BigInt(size))),

  getFeeForMessage(provider, message, options) {
    const parsed = parseMessage(Buffer.from(message, "base64"));
    const isValid = provider.chain.isBlockhashValid(parsed.blockhash);
    return within(provider.block(options), isValid ? Number(fee(parsed)) : null);
  },

  requestAirdrop: ({ chain }, address, lamports) => chain.airdrop(addressOf(address), BigInt(lamports)),

  simulateTransaction(provider, text, options = {}) {
    const bytes = transactionBytes(text, options.encoding);
    checked(bytes);
    const ignoreBlockhash = options.replaceRecentBlockhash === true;
    const outcome = provider.chain.simulate(bytes, { sigVerify: options.sigVerify === true, ignoreBlockhash });
    const wanted = options.accounts?.addresses?.map((address) => {
      const account = outcome.accounts.get(addressOf(address));
      if (!account) return shownAccount(provider.chain.account(address), { encoding: "base64" });
      const [lamports, data, owner] = [account.lamports(), Buffer.from(account.data()), encode(account.owner())];
      return shownAccount({ lamports, data, owner, executable: account.executable() }, { encoding: "base64" });
    });
    return within(provider.block(options), simulated(outcome, wanted));
  },

  sendTransaction(provider, text, options = {}) {
    const bytes = transactionBytes(text, options.encoding);
    const { signature } = checked(bytes);
    if (options.skipPreflight !== true) {
      const outcome = provider.chain.simulate(bytes);
      if (outcome.err === "SignatureFailure") {
        throw new RpcError(SIGNATURE_FAILED, "Transaction signature verification failure");
      }
      if (outcome.err) {
        const message = `Transaction simulation failed: ${inWords(outcome.err)}`;
        throw new RpcError(PREFLIGHT_FAILED, message, simulated(outcome));
      }
    }
    if (provider.faults.drop > 0) provider.faults.drop -= 1;
    else provider.chain.execute(bytes);
    return signature;
  },

  getSignatureStatuses(provider, signatures, options = {}) {
    if (!Array.isArray(signatures) || signatures.length > MAX_STATUSES) throw invalid(`${MAX_STATUSES} signatures at most`);
    const block = provider.block({ commitment: "processed" });
    const status = (signature) => {
      const record = provider.record(signatureOf(signature), "processed");
      if (!record) return null;
      if (!options.searchTransactionHistory && record.slot + RECENT_STATUSES < block.slot) return null;
      const confirmationStatus = provider.confirmationOf(record.slot);
      const confirmations = confirmationStatus === "finalized" ? null : block.slot - record.slot;
      const { slot, err } = record;
      return { slot, confirmations, err, status: err ? { Err: err } : { Ok: null }, confirmationStatus };
    };
    return within(block, signatures.map(status));
  },

  getSignaturesForAddress(provider, address, { limit = MAX_SIGNATURES, before, until, ...options } = {}) {
    if (!(limit >= 1 && limit <= MAX_SIGNATURES)) throw invalid(`limit is from 1 to ${MAX_SIGNATURES}`);
    const block = provider.block(options);
    const newestFirst = (provider.chain.byAddress.get(addressOf(address)) ?? []).toReversed();
    const start = before ? newestFirst.indexOf(signatureOf(before)) + 1 : 0;
    // An unknown end is no error and no end, as in the wild; an unknown beginning has nothing before it.
    if (before && start === 0) return [];
    const end = until ? newestFirst.indexOf(signatureOf(until)) : -1;
    return newestFirst
      .slice(start, end < 0 ? undefined : Math.max(end, start))
      .map((signature) => ({ signature, ...provider.chain.transactions.get(signature) }))
      .filter(({ slot }) => slot <= block.slot)
      .slice(0, limit)
      .map(({ signature, slot, err, time }) => {
        const confirmationStatus = provider.confirmationOf(slot);
        return { signature, slot, err, memo: null, blockTime: time, confirmationStatus };
      });
  },

  getTransaction(provider, signature, options) {
    const { encoding, commitment = "finalized", maxSupportedTransactionVersion: most } =
      typeof options === "string" ? { encoding: options } : (options ?? {});
    if (commitment === "processed") throw invalid("Method does not support commitment below `confirmed`");
    const record = provider.record(signatureOf(signature), commitment);
    if (!record || record.airdrop) return null;
    const { version } = record.transaction;
    if (version !== "legacy" && most === undefined) {
      throw new RpcError(
        VERSION_UNSUPPORTED,
        `Transaction version (${version}) is not supported by the requesting client. Please try the request again with the following configuration parameter: "maxSupportedTransactionVersion": ${version}`,
      );
    }
    return {
      slot: record.slot,
      blockTime: record.time,
      transaction: shownTransaction(record, encoding),
      meta: shownMeta(record),
      ...(most !== undefined && { version }),
    };
  },
};
