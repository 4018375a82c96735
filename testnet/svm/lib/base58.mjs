// Base58 as SVM chains write keys, hashes and signatures.
const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const VALUES = new Map([...ALPHABET].map((character, value) => [character, BigInt(value)]));

export function encode(bytes) {
  let number = BigInt(`0x0${Buffer.from(bytes).toString("hex")}`);
  let text = "";
  for (; number > 0n; number /= 58n) text = ALPHABET[Number(number % 58n)] + text;
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return "1".repeat(zeros < 0 ? bytes.length : zeros) + text;
}

/** Of `length` bytes, or null. */
export function decode(text, length) {
  if (typeof text !== "string" || text.length === 0 || text.length > 2 * length) return null;
  let number = 0n;
  for (const character of text) {
    const value = VALUES.get(character);
    if (value === undefined) return null;
    number = number * 58n + value;
  }
  const digits = number.toString(16);
  const bytes = Buffer.from(number === 0n ? "" : digits.padStart(digits.length + (digits.length % 2), "0"), "hex");
  const zeros = [...text].findIndex((character) => character !== "1");
  const size = (zeros < 0 ? text.length : zeros) + bytes.length;
  return size === length ? Buffer.concat([Buffer.alloc(length - bytes.length), bytes]) : null;
}
