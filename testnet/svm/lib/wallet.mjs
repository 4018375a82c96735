// Keys, derived addresses, transactions and the programs that every SVM chain has, as far as tests need them.
import { createHash, createPrivateKey, createPublicKey, sign as signBytes } from "node:crypto";
import { decode, encode } from "./base58.mjs";

export const SYSTEM = "11111111111111111111111111111111";
export const TOKEN = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
export const ASSOCIATED = "ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL";
export const LOADER = "BPFLoaderUpgradeab1e11111111111111111111111";
export const COMPUTE_BUDGET = "ComputeBudget111111111111111111111111111111";
export const MEMO = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr";
const RENT = "SysvarRent111111111111111111111111111111111";
const CLOCK = "SysvarC1ock11111111111111111111111111111111";

export const key = (address) => decode(address, 32);
const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();

/** A wallet whose key follows from a name. */
export function wallet(name) {
  const seed = sha256(Buffer.from(name));
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
  const secret = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const bytes = createPublicKey(secret).export({ format: "der", type: "spki" }).subarray(-32);
  return { address: encode(bytes), sign: (message) => signBytes(null, message, secret) };
}

const FIELD = (1n << 255n) - 19n;
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;

function power(base, exponent) {
  let result = 1n;
  for (let rest = exponent, square = base; rest; rest >>= 1n, square = (square * square) % FIELD) {
    if (rest & 1n) result = (result * square) % FIELD;
  }
  return result;
}

function isOnCurve(bytes) {
  const y = BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`) & ((1n << 255n) - 1n);
  const yy = (y * y) % FIELD;
  // x² = (y² - 1) / (d y² + 1) has a root.
  const square = ((yy - 1n + FIELD) * power((D * yy + 1n) % FIELD, FIELD - 2n)) % FIELD;
  return square === 0n || power(square, (FIELD - 1n) / 2n) === 1n;
}

/** `{ address, bump }` of a program's account. */
export function derive(seeds, program) {
  for (let bump = 255; bump >= 0; bump -= 1) {
    const hash = sha256(...seeds, Buffer.from([bump]), key(program), Buffer.from("ProgramDerivedAddress"));
    if (!isOnCurve(hash)) return { address: encode(hash), bump };
  }
  throw new Error("no address follows from these seeds");
}

export const associated = (owner, mint) => derive([key(owner), key(TOKEN), key(mint)], ASSOCIATED).address;

export const u32 = (number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(number);
  return bytes;
};
export const u64 = (number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(number));
  return bytes;
};

/** "ws" after an address: writable, signs. */
export const account = (address, flags = "") => ({
  address,
  writable: flags.includes("w"),
  signer: flags.includes("s"),
});

function shortLength(length) {
  return length < 0x80 ? [length] : [(length & 0x7f) | 0x80, length >> 7];
}

/** A signed legacy transaction; the first of the wallets pays. */
export function transaction(instructions, wallets, blockhash) {
  const [payer] = wallets;
  const flags = new Map([[payer.address, { signer: true, writable: true }]]);
  for (const { program, accounts } of instructions) {
    for (const { address, signer, writable } of [...accounts, account(program)]) {
      const known = flags.get(address) ?? { signer: false, writable: false };
      flags.set(address, { signer: known.signer || signer, writable: known.writable || writable });
    }
  }
  const rank = ({ signer, writable }) => (signer ? 0 : 2) + (writable ? 0 : 1);
  const keys = [...flags.keys()].sort((a, b) => rank(flags.get(a)) - rank(flags.get(b)));
  keys.splice(keys.indexOf(payer.address), 1);
  keys.unshift(payer.address);
  const count = (test) => keys.filter((address) => test(flags.get(address))).length;
  const message = Buffer.concat([
    Buffer.from([
      count(({ signer }) => signer),
      count(({ signer, writable }) => signer && !writable),
      count(({ signer, writable }) => !signer && !writable),
      ...shortLength(keys.length),
    ]),
    ...keys.map(key),
    key(blockhash),
    Buffer.from(shortLength(instructions.length)),
    ...instructions.flatMap(({ program, accounts, data }) => [
      Buffer.from([keys.indexOf(program), ...shortLength(accounts.length)]),
      Buffer.from(accounts.map(({ address }) => keys.indexOf(address))),
      Buffer.from(shortLength(data.length)),
      data,
    ]),
  ]);
  const signers = keys.filter((address) => flags.get(address).signer);
  const signatures = signers.map((address) => {
    const signer = wallets.find((candidate) => candidate.address === address);
    if (!signer) throw new Error(`${address} has to sign`);
    return signer.sign(message);
  });
  return Buffer.concat([Buffer.from(shortLength(signatures.length)), ...signatures, message]);
}

export const computeLimit = (units) => ({
  program: COMPUTE_BUDGET,
  accounts: [],
  data: Buffer.concat([Buffer.from([2]), u32(units)]),
});

export const system = {
  create: (payer, address, lamports, space, owner) => ({
    program: SYSTEM,
    accounts: [account(payer, "ws"), account(address, "ws")],
    data: Buffer.concat([u32(0), u64(lamports), u64(space), key(owner)]),
  }),
  transfer: (from, to, lamports) => ({
    program: SYSTEM,
    accounts: [account(from, "ws"), account(to, "w")],
    data: Buffer.concat([u32(2), u64(lamports)]),
  }),
};

export const token = {
  MINT_SIZE: 82,
  initializeMint: (mint, decimals, authority) => ({
    program: TOKEN,
    accounts: [account(mint, "w")],
    data: Buffer.concat([Buffer.from([20, decimals]), key(authority), Buffer.from([0])]),
  }),
  ACCOUNT_SIZE: 165,
  initializeAccount: (address, mint, owner) => ({
    program: TOKEN,
    accounts: [account(address, "w"), account(mint)],
    data: Buffer.concat([Buffer.from([18]), key(owner)]),
  }),
  mintTo: (mint, to, authority, amount) => ({
    program: TOKEN,
    accounts: [account(mint, "w"), account(to, "w"), account(authority, "s")],
    data: Buffer.concat([Buffer.from([7]), u64(amount)]),
  }),
  /** Kind 0: who mints; kind 2: who owns. */
  setAuthority: (address, authority, kind, next) => ({
    program: TOKEN,
    accounts: [account(address, "w"), account(authority, "s")],
    data: Buffer.concat([Buffer.from([6, kind, 1]), key(next)]),
  }),
  createAssociated: (payer, owner, mint) => ({
    program: ASSOCIATED,
    accounts: [
      account(payer, "ws"),
      account(associated(owner, mint), "w"),
      account(owner),
      account(mint),
      account(SYSTEM),
      account(TOKEN),
    ],
    data: Buffer.from([1]),
  }),
};

const BUFFER_HEAD = 37;
const CHUNK = 900;

/** Instructions, each for a transaction of its own, that load a program; `payer` may replace it afterwards. */
export function deployment(payer, buffer, program, bytes, rent) {
  const programData = derive([key(program)], LOADER).address;
  const steps = [
    [
      system.create(payer, buffer, rent(BUFFER_HEAD + bytes.length), BUFFER_HEAD + bytes.length, LOADER),
      { program: LOADER, accounts: [account(buffer, "w"), account(payer)], data: u32(0) },
    ],
  ];
  for (let at = 0; at < bytes.length; at += CHUNK) {
    const chunk = bytes.subarray(at, at + CHUNK);
    const data = Buffer.concat([u32(1), u32(at), u64(chunk.length), chunk]);
    steps.push([{ program: LOADER, accounts: [account(buffer, "w"), account(payer, "s")], data }]);
  }
  const accounts = [
    account(payer, "ws"),
    account(programData, "w"),
    account(program, "w"),
    account(buffer, "w"),
    account(RENT),
    account(CLOCK),
    account(SYSTEM),
    account(payer, "s"),
  ];
  steps.push([
    system.create(payer, program, rent(36), 36, LOADER),
    { program: LOADER, accounts, data: Buffer.concat([u32(2), u64(bytes.length)]) },
  ]);
  return { steps, programData };
}
