// request.mjs against an operator that answers from the vectors, truly or not.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import '../lib/node20.mjs'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify } from '@libp2p/identify'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import { fromHex } from '../lib/bytes.mjs'
import { Reply, Request, frame, frames } from '../lib/wire.mjs'

const here = join(import.meta.dirname, '..')
const golden = join(here, '..', '..', '..', 'proto', 'tests', 'golden', 'vectors.json')
const vectors = JSON.parse(readFileSync(golden, 'utf8'))
const question = ['--chain', '1', '--user', '0x1234567890123456789012345678901234567890', '--key', '1']

const message = async (name) => {
  const { frame } = vectors.exchange.find((entry) => entry.name === name)
  for await (const bytes of frames([fromHex(frame)])) return Reply.decode(bytes)
}

let node
/** Changes a reply before it is sent. */
let change

before(async () => {
  node = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() }
  })
  await node.handle(vectors.network.request_protocol, async (stream) => {
    for await (const bytes of frames(stream)) {
      const request = Request.decode(bytes)
      const replies = { state: ['reply_progress', 'reply_certificate'], timeline: ['reply_timeline'] }
      const names = replies[request.kind] ?? ['reply_operators']
      for (const name of names) {
        const reply = change(name, await message(name))
        reply.id = request.id
        stream.send(frame(Reply.encode(reply).finish()))
      }
    }
  })
})

after(() => node.stop())

function ask (alter = () => {}, more = ['--block', '12345']) {
  change = (name, reply) => alter(reply, name) ?? reply
  const to = node.getMultiaddrs()[0].toString()
  return new Promise((resolve) => {
    execFile(process.execPath, [join(here, 'request.mjs'), '--to', to, ...question, ...more], (error, stdout, stderr) => {
      const events = stdout.trim().split('\n').filter((line) => line !== '').map((line) => JSON.parse(line))
      resolve({ code: error?.code ?? 0, events, stderr })
    })
  })
}

test('a true answer is checked and printed', async () => {
  const { code, events, stderr } = await ask()
  assert.equal(stderr, '')
  assert.equal(code, 0)
  assert.deepEqual(events.map(({ event }) => event), ['connected', 'progress', 'certificate'])
  const { task_id, digest, statement, signed_weight } = events[2]
  assert.equal(task_id, vectors.statements[0].task_id)
  assert.equal(digest, vectors.statements[0].digest)
  assert.equal(statement.value, '100')
  assert.equal(signed_weight, '70')
})

test('a timeline is fetched and read', async () => {
  const { code, events, stderr } = await ask(() => {}, ['--block', '12345', '--timeline'])
  assert.equal(stderr, '')
  assert.equal(code, 0)
  const { event, state, events: told, operators } = events.at(-1)
  assert.equal(event, 'timeline')
  assert.equal(state, 'TASK_STATE_EXPIRED')
  assert.deepEqual(told.slice(0, 3).map(({ kind }) => kind), ['opened', 'interrupted', 'asked'])
  assert.equal(told[2].after_micros, 500)
  assert.deepEqual(operators.map(({ answered }) => answered), [true, false, true, true])
})

test('the timeline of another task is refused', async () => {
  const other = ({ timeline }) => { if (timeline) timeline.task_id[0] ^= 1 }
  const { code, stderr } = await ask(other, ['--block', '12345', '--timeline'])
  assert.equal(code, 2)
  assert.match(stderr, /another task/)
})

const lies = [
  ['another value', ({ certificate }) => { if (certificate) certificate.certificate.statement.state_proof.value[31] ^= 1 }, /task id: computed/],
  ['another digest', ({ certificate }) => { if (certificate) certificate.digest[0] ^= 1 }, /digest: computed/],
  ['a signature of somebody else', ({ certificate }) => {
    if (certificate) certificate.certificate.signatures[0].signature[64] ^= 7
  }, /signature_data/],
  ['a signer with another key', ({ operators }) => { if (operators) operators.operators[0].signing_key[0] ^= 1 }, /signed by 0x1a64/],
  ['too little weight', ({ operators }) => { if (operators) operators.operators[3].weight[31] = 200 }, /add up/],
  ['a task that changes', ({ progress }) => { if (progress) progress.task_id[0] ^= 1 }, /progress was about/]
]

for (const [name, alter, expected] of lies) {
  test(`${name} is noticed`, async () => {
    const { code, events, stderr } = await ask((reply) => { alter(reply) })
    assert.equal(code, 2, stderr)
    assert.match(stderr, expected)
    assert.ok(events.every(({ event }) => event !== 'certificate'))
  })
}

test('an answer to another question is noticed', async () => {
  const { code, stderr } = await ask(undefined, ['--block', '12346'])
  assert.equal(code, 2)
  assert.match(stderr, /about block 12345/)
})

test('an error is told with its code', async () => {
  const error = await message('reply_error')
  const { code, events, stderr } = await ask((_, name) => name === 'reply_certificate' ? error : undefined)
  assert.equal(code, 1)
  assert.equal(events.at(-1).code, 'ERROR_CODE_UNKNOWN_TASK')
  assert.match(stderr, /no such task/)
})

test('a network that is not served is named', async () => {
  const { code, stderr } = await ask(undefined, ['--block', '1', '--network', '1-5fbdb2315678afecb367f032d93f642f64180aa3'])
  assert.equal(code, 1)
  assert.match(stderr, /the peer serves the networks 31337-/)
})
