// Bytes, numbers and hexadecimal.
import { keccak_256 } from '@noble/hashes/sha3.js'

export const keccak = (...parts) => keccak_256(concat(...parts))

export const utf8 = (text) => new TextEncoder().encode(text)

export function concat (...parts) {
  return Uint8Array.from(Buffer.concat(parts.map((part) => Buffer.from(part))))
}

export function hex (bytes) {
  return `0x${Buffer.from(bytes).toString('hex')}`
}

export function equal (a, b) {
  return Buffer.from(a).equals(Buffer.from(b))
}

/** Bytes of hexadecimal text, with or without 0x; `length` bytes where that is given. */
export function fromHex (text, length) {
  const digits = text.startsWith('0x') ? text.slice(2) : text
  if (!/^([0-9a-fA-F]{2})*$/.test(digits)) throw new TypeError(`${text} is not hexadecimal`)
  const bytes = Uint8Array.from(Buffer.from(digits, 'hex'))
  if (length !== undefined && bytes.length !== length) {
    throw new TypeError(`${text} has ${bytes.length} bytes, not ${length}`)
  }
  return bytes
}

/** A number as `length` bytes, big endian. */
export function big (number, length) {
  const value = BigInt(number)
  if (value < 0n || value >> BigInt(8 * length) !== 0n) throw new RangeError(`${value} does not fit ${length} bytes`)
  return fromHex(value.toString(16).padStart(2 * length, '0'))
}

export function toBig (bytes) {
  return bytes.length === 0 ? 0n : BigInt(hex(bytes))
}

/** One word of the ABI: a number, or bytes that are right-aligned. */
export function word (value) {
  return big(value instanceof Uint8Array ? toBig(value) : value, 32)
}
