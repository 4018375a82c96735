// docs/wire.md: "Certificates". What a verifier checks, off chain.
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { big, concat, fromHex, hex, keccak, toBig, word } from './bytes.mjs'

const HALF_ORDER = BigInt('0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0')

export const threshold = (total) => 2n * total / 3n + 1n

/** The address whose key signed. Only r ‖ s ‖ v with v 27 or 28 and a low s is a signature. */
export function recover (digest, signature) {
  if (signature.length !== 65) throw new TypeError(`a signature has 65 bytes, not ${signature.length}`)
  const v = signature[64]
  if (v !== 27 && v !== 28) throw new TypeError(`v is ${v}, not 27 or 28`)
  const s = toBig(signature.subarray(32, 64))
  if (s > HALF_ORDER) throw new TypeError('s is in the upper half of the order')
  const parsed = secp256k1.Signature.fromBytes(signature.subarray(0, 64), 'compact').addRecoveryBit(v - 27)
  const point = parsed.recoverPublicKey(digest).toBytes(false)
  return keccak(point.subarray(1)).subarray(12)
}

/** abi.encode(address[] operators, bytes[] signatures, uint32 epoch). */
export function signatureData (signers, epoch) {
  const operators = concat(word(signers.length), ...signers.map(({ operator }) => word(operator)))
  const items = signers.map(({ signature }) => concat(word(signature.length), padded(signature)))
  let offset = 32 * items.length
  const offsets = items.map((item) => {
    const here = word(offset)
    offset += item.length
    return here
  })
  const signatures = concat(word(items.length), ...offsets, ...items)
  return concat(word(96), word(96 + operators.length), word(epoch), operators, signatures)
}

function padded (bytes) {
  return concat(bytes, new Uint8Array((32 - bytes.length % 32) % 32))
}

/** The weight that signed; throws where the certificate does not hold against this set. */
export function verify (digest, signers, set) {
  if (signers.length === 0) throw new Error('nobody signed')
  const members = new Map(set.operators.map((entry) => [hex(entry.operator), entry]))
  const total = set.operators.reduce((sum, entry) => sum + toBig(entry.weight), 0n)
  let previous = -1n
  let weight = 0n
  for (const { operator, signature } of signers) {
    const address = toBig(operator)
    if (address <= previous) throw new Error('operators do not strictly ascend')
    previous = address
    const member = members.get(hex(operator))
    if (member === undefined) throw new Error(`${hex(operator)} is no operator of epoch ${set.epoch}`)
    const key = hex(recover(digest, signature))
    if (key !== hex(member.signing_key)) throw new Error(`${hex(operator)}: signed by ${key}, not ${hex(member.signing_key)}`)
    weight += toBig(member.weight)
  }
  if (weight < threshold(total)) throw new Error(`a weight of ${weight} signed where ${threshold(total)} is needed`)
  return weight
}

/** Asks the registry over JSON-RPC: isValidSignature(digest, signatureData). */
export async function verifyOnChain (url, registry, digest, data) {
  const call = concat(fromHex('1626ba7e'), digest, big(64, 32), word(data.length), padded(data))
  const params = [{ to: hex(registry), data: hex(call) }, 'latest']
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_call', params })
  })
  const { result, error } = await response.json()
  if (error !== undefined) throw new Error(`the registry refuses: ${error.message}`)
  if (result.slice(0, 10) !== '0x1626ba7e') throw new Error(`the registry answers ${result}`)
}
