// Asks an operator for a certified value and checks the answer; prints one JSON object per line.
//
// Exit code: 0 certified and checked, 1 no answer, 2 an answer that does not hold, 64 wrong use.
import { parseArgs } from 'node:util'
import { big, equal, fromHex, hex, toBig } from './lib/bytes.mjs'
import { signatureData, verify, verifyOnChain } from './lib/certificate.mjs'
import { Client } from './lib/client.mjs'
import { attestation, checked, digest, show, taskId } from './lib/statement.mjs'

const USAGE = `node request.mjs --to MULTIADDR --chain ID --user ADDRESS --key NUMBER (--block NUMBER | --timestamp SECONDS)
  --network NAME   where the operator serves several networks
  --rpc URL        asks the stake registry, too; without it the set is that which the operator names
  --timeout S      seconds to wait, 30 unless given
  --timeline       asks what became of the task at the operator, too`

class Mismatch extends Error {}

const say = (event, facts) => console.log(JSON.stringify({ event, ...facts }))
const must = (holds, what) => { if (!holds) throw new Mismatch(what) }

function options () {
  const text = { type: 'string' }
  const names = ['to', 'chain', 'user', 'key', 'block', 'timestamp', 'network', 'rpc', 'timeout']
  const flags = { timeline: { type: 'boolean' } }
  const { values } = parseArgs({ options: { ...Object.fromEntries(names.map((name) => [name, text])), ...flags } })
  for (const name of ['to', 'chain', 'user', 'key']) {
    if (values[name] === undefined) throw new TypeError(`--${name} is missing`)
  }
  if ((values.block === undefined) === (values.timestamp === undefined)) {
    throw new TypeError('give either --block or --timestamp')
  }
  const question = { chain_id: Number(values.chain), user: fromHex(values.user, 20), key: big(values.key, 32) }
  const at = values.block !== undefined ? { block_number: values.block } : { timestamp: values.timestamp }
  return { ...values, question: { ...question, ...at } }
}

async function last (replies, kind, onProgress = () => {}) {
  for await (const reply of replies) {
    if (reply.kind === 'progress') onProgress(reply.progress)
    else {
      must(reply.kind === kind, `the operator answers with ${reply.kind} instead of ${kind}`)
      return reply[kind]
    }
  }
}

function sayProgress (progress) {
  say('progress', {
    task_id: hex(progress.task_id),
    attempt: progress.attempt,
    signed: progress.signed,
    refused: progress.refused,
    signed_weight: toBig(progress.signed_weight).toString(),
    threshold: toBig(progress.threshold).toString(),
    total_weight: toBig(progress.total_weight).toString()
  })
}

/** The first check: the statement answers the question. */
function checkAnswer (question, proof) {
  must(proof.chain_id === question.chain_id, `the statement is about chain ${proof.chain_id}`)
  must(equal(proof.user, question.user), `the statement is about user ${hex(proof.user)}`)
  must(equal(proof.key, question.key), `the statement is about key ${toBig(proof.key)}`)
  if (question.block_number !== undefined) {
    must(BigInt(proof.block_number) === BigInt(question.block_number), `the statement is about block ${proof.block_number}`)
  } else {
    must(BigInt(proof.timestamp) <= BigInt(question.timestamp), `the statement's block is of ${proof.timestamp}, too late`)
  }
}

/** The second: what can be computed is what the reply says. */
function checkHashes (network, reply, proof, tasks) {
  const id = taskId(proof)
  const computed = digest(network, attestation(proof))
  const data = signatureData(reply.certificate.signatures, proof.epoch)
  must(equal(id, reply.task_id), `task id: computed ${hex(id)}, received ${hex(reply.task_id)}`)
  must(equal(computed, reply.digest), `digest: computed ${hex(computed)}, received ${hex(reply.digest)}`)
  must(equal(data, reply.signature_data), 'signature_data is not the ABI form of the signatures')
  for (const task of tasks) must(task === hex(id), `progress was about task ${task}`)
  return { id, computed, data }
}

/** The third: the certificate holds. */
async function checkCertificate (client, options, reply, proof, { computed, data }) {
  let set = await last(client.ask('operators', {}), 'operators')
  const facts = {}
  if (set.epoch === proof.epoch) {
    const total = set.operators.reduce((sum, entry) => sum + toBig(entry.weight), 0n)
    must(toBig(set.total_weight) === total, `the weights of the set add up to ${total}, not to its total`)
    facts.signed_weight = verify(computed, reply.certificate.signatures, set).toString()
    facts.checked_against = 'the set that the operator names'
  } else {
    must(options.rpc !== undefined, `epoch ${proof.epoch} is over, so that its set cannot be asked for; give --rpc`)
  }
  if (options.rpc !== undefined) {
    await verifyOnChain(options.rpc, client.network.registry, computed, data)
    facts.checked_against = 'the registry'
  }
  return facts
}

/** What became of the task at the operator: its own view, which nobody signed. */
async function sayTimeline (client, id) {
  const record = await last(client.ask('timeline', { task_id: id }), 'timeline')
  must(equal(record.task_id, id), 'the timeline is that of another task')
  const began = BigInt(record.events[0]?.at_micros ?? 0)
  say('timeline', {
    state: record.state,
    events: record.events.map(({ at_micros: at, kind }) => ({ after_micros: Number(BigInt(at) - began), kind })),
    operators: record.operators.map(({ operator, answered }) => ({ operator: hex(operator), answered }))
  })
}

async function run (options) {
  const client = await Client.connect(options.to, options.network)
  try {
    say('connected', { peer: client.peer, network: client.network.name })
    const began = performance.now()
    const tasks = new Set()
    const reply = await last(client.ask('state', options.question), 'certificate', (progress) => {
      tasks.add(hex(progress.task_id))
      sayProgress(progress)
    })
    const elapsed = performance.now() - began
    const proof = checked(reply.certificate?.statement?.state_proof ?? {})
    checkAnswer(options.question, proof)
    const hashes = checkHashes(client.network, reply, proof, tasks)
    const facts = await checkCertificate(client, options, reply, proof, hashes).catch((error) => {
      throw new Mismatch(`the certificate does not hold: ${error.message}`)
    })
    say('certificate', {
      task_id: hex(hashes.id),
      digest: hex(hashes.computed),
      statement: show(proof),
      signers: reply.certificate.signatures.map(({ operator }) => hex(operator)),
      signature_data: hex(hashes.data),
      stored: reply.stored,
      elapsed_ms: Math.round(elapsed * 10) / 10,
      ...facts
    })
    if (options.timeline) await sayTimeline(client, hashes.id)
  } finally {
    await client.close()
  }
}

function end (code, message) {
  console.error(`error: ${message}`)
  process.exit(code)
}

let given
try {
  given = options()
} catch (error) {
  end(64, `${error.message}\n\n${USAGE}`)
}
const seconds = Number(given.timeout ?? 30)
const timer = setTimeout(() => end(1, `no answer within ${seconds} s`), 1_000 * seconds)
try {
  await run(given)
} catch (error) {
  if (error.error !== undefined) say('error', { code: error.error.code, message: error.error.message, retryable: error.error.retryable })
  end(error instanceof Mismatch ? 2 : 1, error.message)
}
clearTimeout(timer)
