// Signatures of operators, for tests: neither fast nor safe against who measures it.
import { createHash } from "node:crypto";
import { keccak256 } from "./keccak.mjs";

const P = (1n << 256n) - (1n << 32n) - 977n;
export const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const G = {
  x: 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
  y: 0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
};

const mod = (a, m) => ((a % m) + m) % m;

function inverse(a, m) {
  let [old, now, s, t] = [mod(a, m), m, 1n, 0n];
  while (now) [old, now, s, t] = [now, old % now, t, s - (old / now) * t];
  return mod(s, m);
}

// Points as x / z², y / z³; z = 0 is the point at infinity.
function double({ x, y, z }) {
  const yy = mod(y * y, P);
  const s = mod(4n * x * yy, P);
  const m = 3n * x * x;
  const x3 = mod(m * m - 2n * s, P);
  return { x: x3, y: mod(m * (s - x3) - 8n * yy * yy, P), z: mod(2n * y * z, P) };
}

function add(p, q) {
  if (!p.z) return q;
  if (!q.z) return p;
  const [pzz, qzz] = [mod(p.z * p.z, P), mod(q.z * q.z, P)];
  const [u1, u2] = [mod(p.x * qzz, P), mod(q.x * pzz, P)];
  const [s1, s2] = [mod(p.y * qzz * q.z, P), mod(q.y * pzz * p.z, P)];
  if (u1 === u2) return s1 === s2 ? double(p) : { x: 1n, y: 1n, z: 0n };
  const [h, r] = [u2 - u1, s2 - s1];
  const hh = mod(h * h, P);
  const [hhh, v] = [mod(h * hh, P), mod(u1 * hh, P)];
  const x = mod(r * r - hhh - 2n * v, P);
  return { x, y: mod(r * (v - x) - s1 * hhh, P), z: mod(h * p.z * q.z, P) };
}

function times(scalar) {
  let [sum, power] = [{ x: 1n, y: 1n, z: 0n }, { ...G, z: 1n }];
  for (let rest = scalar; rest; rest >>= 1n, power = double(power)) if (rest & 1n) sum = add(sum, power);
  const z = inverse(sum.z, P);
  return { x: mod(sum.x * z * z, P), y: mod(sum.y * z * z * z, P) };
}

export const toBigInt = (bytes) => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
export const toBytes = (number, length = 32) => Buffer.from(number.toString(16).padStart(2 * length, "0"), "hex");

/** The address of a secret key, in 20 bytes. */
export function addressOf(secret) {
  const { x, y } = times(toBigInt(secret));
  return keccak256(toBytes(x), toBytes(y)).subarray(12);
}

/** r, then s with the parity in its upper bit (EIP-2098); with `high`, the s that nobody should take. */
export function sign(secret, digest, { high = false } = {}) {
  const [d, z] = [toBigInt(secret), toBigInt(digest)];
  const k = mod(toBigInt(createHash("sha256").update(secret).update(digest).digest()), ORDER - 1n) + 1n;
  const point = times(k);
  const r = mod(point.x, ORDER);
  let s = mod(inverse(k, ORDER) * (z + r * d), ORDER);
  let parity = point.y & 1n;
  if (s > ORDER / 2n !== high) [s, parity] = [ORDER - s, 1n - parity];
  return { r: toBytes(r), s: toBytes(s), parity: Number(parity) };
}

/** In 64 bytes. An upper s has no room for the parity unless its first bit is clear. */
export function compact({ r, s, parity }) {
  const packed = Buffer.from(s);
  packed[0] |= parity << 7;
  return Buffer.concat([r, packed]);
}
