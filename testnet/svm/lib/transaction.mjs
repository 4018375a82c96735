// Reads transactions as they are sent: the legacy form, and version 0 with its lookup tables.
import { encode } from "./base58.mjs";

const COMPUTE_BUDGET = "ComputeBudget111111111111111111111111111111";
const PRECOMPILES = new Set([
  "Ed25519SigVerify111111111111111111111111111",
  "KeccakSecp256k11111111111111111111111111111",
  "Secp256r1SigVerify1111111111111111111111111",
]);
export const MAX_TRANSACTION = 1232;
const FEE_PER_SIGNATURE = 5000n;
const DEFAULT_UNITS = 200_000n;
const MAX_UNITS = 1_400_000n;
/** Bytes of a lookup table before its addresses. */
const TABLE_HEAD = 56;

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  take(length) {
    if (this.at + length > this.bytes.length) throw new Error("the transaction ends too early");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
  u8() {
    return this.take(1)[0];
  }
  // 7 bits a byte, least significant first, 3 bytes at most.
  length() {
    let value = 0;
    for (let shift = 0; shift < 21; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new Error("a length has more than three bytes");
  }
  list(read) {
    return Array.from({ length: this.length() }, () => read());
  }
}

/** Throws an Error that says what is wrong. */
export function parse(bytes) {
  if (bytes.length > MAX_TRANSACTION) throw new Error(`the transaction has ${bytes.length} bytes, ${MAX_TRANSACTION} at most`);
  const reader = new Reader(bytes);
  const signatures = reader.list(() => reader.take(64));
  if (signatures.length === 0) throw new Error("the transaction has no signature");
  const message = parseMessage(bytes.subarray(reader.at));
  if (message.header[0] !== signatures.length) throw new Error("not as many signatures as signers");
  return { bytes, signatures, signature: encode(signatures[0]), ...message };
}

export function parseMessage(bytes) {
  const reader = new Reader(bytes);
  let version = "legacy";
  if (bytes[0] & 0x80) {
    version = reader.u8() & 0x7f;
    if (version !== 0) throw new Error(`there is no version ${version}`);
  }
  const header = [...reader.take(3)];
  const keys = reader.list(() => encode(reader.take(32)));
  const blockhash = encode(reader.take(32));
  const instructions = reader.list(() => ({
    programIdIndex: reader.u8(),
    accounts: reader.list(() => reader.u8()),
    data: Buffer.from(reader.take(reader.length())),
  }));
  const lookups =
    version === 0
      ? reader.list(() => ({
          accountKey: encode(reader.take(32)),
          writableIndexes: reader.list(() => reader.u8()),
          readonlyIndexes: reader.list(() => reader.u8()),
        }))
      : [];
  if (reader.at !== bytes.length) throw new Error("bytes are left after the transaction");
  return { version, header, keys, blockhash, instructions, lookups };
}

/** Addresses that the lookup tables name; `dataOf` gives the bytes of an account, or null. */
export function loaded(transaction, dataOf) {
  const pick = (table, indexes) =>
    indexes.flatMap((index) => {
      const start = TABLE_HEAD + 32 * index;
      return table && table.length >= start + 32 ? [encode(table.subarray(start, start + 32))] : [];
    });
  const tables = transaction.lookups.map((lookup) => ({ lookup, table: dataOf(lookup.accountKey) }));
  return {
    writable: tables.flatMap(({ lookup, table }) => pick(table, lookup.writableIndexes)),
    readonly: tables.flatMap(({ lookup, table }) => pick(table, lookup.readonlyIndexes)),
  };
}

/** Those of the transaction's own keys that it may write. */
export function writableKeys({ header: [signers, readonlySigners, readonlyOthers], keys }) {
  return keys.filter(
    (_, index) =>
      index < signers - readonlySigners || (index >= signers && index < keys.length - readonlyOthers),
  );
}

/** Lamports: per signature, also those that precompiles check, and for priority. */
export function fee({ header, keys, instructions }) {
  let signatures = BigInt(header[0]);
  let [price, limit, others] = [0n, null, 0n];
  for (const { programIdIndex, data } of instructions) {
    const program = keys[programIdIndex];
    if (program === COMPUTE_BUDGET) {
      if (data[0] === 2 && data.length === 5) limit = BigInt(data.readUInt32LE(1));
      if (data[0] === 3 && data.length === 9) price = data.readBigUInt64LE(1);
    } else {
      others += 1n;
      if (PRECOMPILES.has(program) && data.length > 0) signatures += BigInt(data[0]);
    }
  }
  const units = limit ?? others * DEFAULT_UNITS;
  const bounded = units < MAX_UNITS ? units : MAX_UNITS;
  return signatures * FEE_PER_SIGNATURE + (price * bounded + 999_999n) / 1_000_000n;
}
