// keccak256 with the padding of before SHA-3, which Node does not have.
const MASK = (1n << 64n) - 1n;
const RATE = 136;

const ROUNDS = (() => {
  const constants = [];
  let state = 1;
  for (let round = 0; round < 24; round += 1) {
    let constant = 0n;
    for (let bit = 0; bit < 7; bit += 1) {
      if (state & 1) constant |= 1n << ((1n << BigInt(bit)) - 1n);
      state = (state << 1) ^ (state & 0x80 ? 0x171 : 0);
    }
    constants.push(constant);
  }
  return constants;
})();

const rotate = (lane, by) => ((lane << BigInt(by)) | (lane >> BigInt(64 - by))) & MASK;

function permute(a) {
  for (const constant of ROUNDS) {
    const c = [0, 1, 2, 3, 4].map((x) => a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20]);
    for (let x = 0; x < 5; x += 1) {
      const d = c[(x + 4) % 5] ^ rotate(c[(x + 1) % 5], 1);
      for (let y = 0; y < 25; y += 5) a[x + y] ^= d;
    }
    let [x, y, lane] = [1, 0, a[1]];
    for (let step = 0; step < 24; step += 1) {
      [x, y] = [y, (2 * x + 3 * y) % 5];
      const by = (((step + 1) * (step + 2)) / 2) % 64;
      [a[x + 5 * y], lane] = [by ? rotate(lane, by) : lane, a[x + 5 * y]];
    }
    for (let row = 0; row < 25; row += 5) {
      const b = a.slice(row, row + 5);
      for (let i = 0; i < 5; i += 1) a[row + i] = b[i] ^ (~b[(i + 1) % 5] & MASK & b[(i + 2) % 5]);
    }
    a[0] ^= constant;
  }
}

/** Of the parts, joined. */
export function keccak256(...parts) {
  const input = Buffer.concat(parts);
  const padded = Buffer.alloc((Math.floor(input.length / RATE) + 1) * RATE);
  input.copy(padded);
  padded[input.length] ^= 0x01;
  padded[padded.length - 1] ^= 0x80;
  const lanes = Array(25).fill(0n);
  for (let at = 0; at < padded.length; at += RATE) {
    for (let i = 0; i < RATE / 8; i += 1) lanes[i] ^= padded.readBigUInt64LE(at + 8 * i);
    permute(lanes);
  }
  const hash = Buffer.alloc(32);
  for (let i = 0; i < 4; i += 1) hash.writeBigUInt64LE(lanes[i], 8 * i);
  return hash;
}
