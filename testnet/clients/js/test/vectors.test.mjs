// The vectors of proto/tests/golden/vectors.json, computed by this client.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { big, fromHex, hex, keccak } from '../lib/bytes.mjs'
import { recover, signatureData, threshold, verify } from '../lib/certificate.mjs'
import * as epochs from '../lib/epoch.mjs'
import { attestation, digest, domainSeparator, hashStruct, networkOf, parseNetwork, requestProtocol, taskId } from '../lib/statement.mjs'
import { Certificate, Reply, Request, Statement, encode, frame, frames, plain } from '../lib/wire.mjs'

const golden = join(import.meta.dirname, '..', '..', '..', '..', 'proto', 'tests', 'golden', 'vectors.json')
const vectors = JSON.parse(readFileSync(golden, 'utf8'))
const network = parseNetwork(vectors.network.name)

const proofOf = (vector) => ({ ...vector, user: fromHex(vector.user), key: fromHex(vector.key), value: fromHex(vector.value) })

const set = {
  epoch: 1,
  operators: vectors.operators.map(({ operator, signing_key, weight }) => ({
    operator: fromHex(operator), signing_key: fromHex(signing_key), weight: big(weight, 32)
  }))
}

test('the network has its name and its domain', () => {
  assert.equal(network.homeChainId.toString(), vectors.network.home_chain_id)
  assert.equal(hex(network.registry), vectors.network.registry)
  assert.equal(hex(domainSeparator(network)), vectors.network.domain_separator)
  assert.equal(requestProtocol(network.name), vectors.network.request_protocol)
  assert.equal(networkOf(vectors.network.request_protocol), network.name)
  assert.equal(networkOf(vectors.network.topics[0]), null)
})

test('statements have their ids, digests and bytes', () => {
  for (const vector of vectors.statements) {
    const proof = proofOf(vector)
    assert.equal(hex(taskId(proof)), vector.task_id)
    checkSigned(attestation(proof), vector)
    assert.equal(hex(encode(Statement, { state_proof: proof })), vector.protobuf)
  }
})

/** Slot, fact and digest, and that operator 1 signed it. */
function checkSigned (signed, vector) {
  assert.equal(hex(signed.slot), vector.slot)
  assert.equal(hex(signed.fact), vector.fact)
  assert.equal(hex(hashStruct(signed)), vector.hash_struct)
  assert.equal(hex(digest(network, signed)), vector.digest)
  assert.equal(hex(recover(fromHex(vector.digest), fromHex(vector.signature))), vectors.operators[0].signing_key)
}

test('sets have their hashes, and epoch updates name them', () => {
  for (const vector of vectors.operator_sets) {
    const operators = vector.operators.map((operator, i) => ({
      operator: fromHex(operator), signing_key: fromHex(vector.signing_keys[i]), weight: big(vector.weights[i], 32)
    }))
    assert.equal(hex(epochs.setHash({ operators })), vector.hash)
    assert.equal(threshold(BigInt(vector.total_weight)).toString(), vector.threshold)
  }
  for (const vector of vectors.epoch_updates) {
    const update = { ...vector, set_hash: fromHex(vector.set_hash) }
    assert.equal(hex(epochs.taskId(update)), vector.task_id)
    checkSigned(epochs.attestation(update), vector)
    assert.equal(hex(encode(Statement, { epoch_update: update })), vector.protobuf)
  }
  const [, next] = vectors.operator_sets
  assert.equal(vectors.epoch_updates[0].set_hash, next.hash)
  assert.equal(vectors.epoch_updates[0].time, next.fixed_at)
})

test('evidence holds whatever it is about', () => {
  for (const { operator, slot, id, first, second } of vectors.equivocations) {
    assert.equal(hex(keccak(fromHex(slot), fromHex(operator))), id)
    assert.ok(first.fact < second.fact)
    for (const signed of [first, second]) {
      const told = { epoch: signed.epoch, slot: fromHex(slot), fact: fromHex(signed.fact) }
      assert.equal(hex(digest(network, told)), signed.digest)
      assert.equal(hex(recover(fromHex(signed.digest), fromHex(signed.signature))), signed.signing_key)
    }
  }
})

test('certificates hold where they should, and only there', () => {
  assert.equal(threshold(BigInt(vectors.total_weight)).toString(), vectors.threshold)
  for (const vector of vectors.certificates) {
    const signers = vector.operators.map((operator, i) => ({ operator: fromHex(operator), signature: fromHex(vector.signatures[i]) }))
    assert.equal(hex(signatureData(signers, vector.epoch)), vector.signature_data)
    const read = plain(Certificate, fromHex(vector.protobuf))
    assert.deepEqual(read.signatures.map(({ operator }) => hex(operator)), vector.operators)
    const check = () => verify(fromHex(vector.digest), signers, set).toString()
    if (vector.certifies) assert.equal(check(), vector.weight)
    else assert.throws(check, /is needed/)
    assert.throws(() => verify(fromHex(vector.digest), [...signers, signers[0]], set), /ascend/)
  }
})

test('malformed signatures are refused before anybody asks who signed', () => {
  const message = fromHex(vectors.statements[0].digest)
  for (const { why, signature } of vectors.malformed_signatures) {
    assert.throws(() => recover(message, fromHex(signature)), undefined, why)
  }
})

test('frames are read and written as they are', async () => {
  const all = vectors.exchange.map((entry) => fromHex(entry.frame))
  // In pieces of seven bytes: no frame comes alone or whole.
  const bytes = Buffer.concat(all)
  const pieces = Array.from({ length: Math.ceil(bytes.length / 7) }, (_, i) => Uint8Array.from(bytes.subarray(7 * i, 7 * i + 7)))
  let count = 0
  for await (const message of frames(pieces)) {
    const { name, from } = vectors.exchange[count]
    const type = from === 'client' ? Request : Reply
    assert.equal(hex(frame(encode(type, type.toObject(type.decode(message), { longs: String })))), vectors.exchange[count].frame, name)
    count += 1
  }
  assert.equal(count, all.length)
  const read = async (...chunks) => { for await (const message of frames(chunks)) assert.ok(message) }
  await assert.rejects(read(bytes.subarray(0, 20)), /within a frame/)
  await assert.rejects(read(Uint8Array.of(0x81, 0x80, 0x10)), /262145 bytes is longer/)
  await assert.rejects(read(new Uint8Array(12).fill(0xff)), /no varint/)
})
