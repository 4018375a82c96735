// docs/wire.md: "Epoch updates". Sets, and the statements by which one names the next.
import { big, keccak, toBig } from './bytes.mjs'

/** The hash of a set whose operators ascend. */
export function setHash ({ operators }) {
  const leaf = ({ operator, signing_key: key, weight }) => keccak([0], operator, key, weight)
  const total = operators.reduce((sum, { weight }) => sum + toBig(weight), 0n)
  return keccak(big(operators.length, 4), big(total, 32), root(operators.map(leaf)))
}

/** RFC 6962: the left of two trees has the largest power of two of leaves that leaves some for the right one. */
function root (leaves) {
  if (leaves.length === 1) return leaves[0]
  let left = 1
  while (2 * left < leaves.length) left *= 2
  return keccak([1], root(leaves.slice(0, left)), root(leaves.slice(left)))
}

export function taskId (update) {
  return keccak([3], big(update.epoch, 4), big(update.next_epoch, 4), update.set_hash, big(update.time, 8))
}

export function attestation (update) {
  const slot = keccak([3], big(update.next_epoch, 4))
  return { epoch: update.epoch, slot, fact: keccak(slot, update.set_hash, big(update.time, 8)) }
}
