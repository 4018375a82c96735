// docs/wire.md: "Names", "Hashes", "EIP-712". Everything about a state proof that can be computed.
import { big, fromHex, hex, keccak, utf8, word } from './bytes.mjs'

const DOMAIN_TYPE = 'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)'
const ATTESTATION_TYPE = 'Attestation(uint32 epoch,bytes32 slot,bytes32 fact)'

/** `<home chain id>-<registry>`, taken apart. */
export function parseNetwork (name) {
  const match = /^([1-9][0-9]*)-([0-9a-f]{40})$/.exec(name)
  if (match === null) throw new TypeError(`${name} is no network name`)
  return { name, homeChainId: BigInt(match[1]), registry: fromHex(match[2], 20) }
}

export const requestProtocol = (network) => `/quorate/${network}/request/1`

/** The network that a protocol serves the requests of, or null. */
export function networkOf (protocol) {
  const match = /^\/quorate\/([0-9]+-[0-9a-f]{40})\/request\/1$/.exec(protocol)
  return match === null ? null : match[1]
}

export function domainSeparator ({ homeChainId, registry }) {
  return keccak(keccak(utf8(DOMAIN_TYPE)), keccak(utf8('Quorate')), keccak(utf8('1')), word(homeChainId), word(registry))
}

export function taskId (proof) {
  return keccak(
    proof.user, big(proof.chain_id, 4), big(proof.block_number, 8), big(proof.timestamp, 6), big(proof.epoch, 4),
    proof.key, proof.value
  )
}

export function slot (proof) {
  return keccak([1], big(proof.chain_id, 4), proof.user, proof.key, big(proof.block_number, 8))
}

export function fact (proof) {
  return keccak(slot(proof), big(proof.timestamp, 8), proof.value)
}

/** What is signed of a statement of any kind. */
export const attestation = (proof) => ({ epoch: proof.epoch, slot: slot(proof), fact: fact(proof) })

export function hashStruct ({ epoch, slot, fact }) {
  return keccak(keccak(utf8(ATTESTATION_TYPE)), word(epoch), slot, fact)
}

export function digest (network, attestation) {
  return keccak([0x19, 0x01], domainSeparator(network), hashStruct(attestation))
}

/** Numbers as decimal text, bytes as hexadecimal. */
export function show (proof) {
  return {
    chain_id: proof.chain_id,
    user: hex(proof.user),
    key: BigInt(hex(proof.key)).toString(),
    value: BigInt(hex(proof.value)).toString(),
    block_number: String(proof.block_number),
    timestamp: String(proof.timestamp),
    epoch: proof.epoch
  }
}

/** A proof whose fields have the lengths that they must have. */
export function checked (proof) {
  for (const [field, length] of [['user', 20], ['key', 32], ['value', 32]]) {
    if (proof[field]?.length !== length) throw new TypeError(`${field} of the statement has not ${length} bytes`)
  }
  return proof
}

