// One connection to one operator, one stream, several questions.
import './node20.mjs'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify } from '@libp2p/identify'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { networkOf, parseNetwork, requestProtocol } from './statement.mjs'
import { Reply, Request, encode, frame, frames, plain } from './wire.mjs'

/** The operator ended a request with an error. */
export class RequestFailed extends Error {
  constructor (error) {
    super(`${error.code}: ${error.message}${error.retryable ? ' (the same request may succeed later)' : ''}`)
    this.error = error
  }
}

export class Client {
  #node
  #stream
  #waiting = new Map()
  #nextId = 1

  /** `network` may be left out where the operator serves one only. */
  static async connect (address, network) {
    const client = new Client()
    client.#node = await createLibp2p({
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      services: { identify: identify({ runOnConnectionOpen: false }) },
      start: true
    })
    try {
      const connection = await client.#node.dial(multiaddr(address), { signal: AbortSignal.timeout(10_000) })
      client.peer = connection.remotePeer.toString()
      const { protocols } = await client.#node.services.identify.identify(connection)
      client.network = parseNetwork(choose(protocols.map(networkOf).filter((name) => name !== null), network))
      client.#stream = await connection.newStream(requestProtocol(client.network.name))
      client.#read()
      return client
    } catch (error) {
      await client.#node.stop()
      throw error
    }
  }

  /** Every reply to one request; ends with its last one. */
  async * ask (kind, value) {
    const id = this.#nextId++
    const inbox = new Inbox()
    this.#waiting.set(id, inbox)
    try {
      this.#stream.send(frame(encode(Request, { id, [kind]: value })))
      for (;;) {
        const reply = await inbox.next()
        if (reply.kind === 'error') throw new RequestFailed(reply.error)
        yield reply
        if (reply.kind !== 'progress') return
      }
    } finally {
      this.#waiting.delete(id)
    }
  }

  async close () {
    await this.#stream?.close().catch(() => {})
    await this.#node.stop()
  }

  async #read () {
    let end = new Error('the operator closed the stream')
    try {
      for await (const bytes of frames(this.#stream)) {
        const reply = plain(Reply, bytes)
        // An error with id 0 is about the stream itself.
        if (reply.id === '0' && reply.kind === 'error') throw new RequestFailed(reply.error)
        this.#waiting.get(Number(reply.id))?.push(reply)
      }
    } catch (error) {
      end = error
    }
    for (const inbox of this.#waiting.values()) inbox.end(end)
    this.#waiting.clear()
  }
}

/** Replies that were not asked for yet, or whoever waits for the next one. */
class Inbox {
  #replies = []
  #waiter = null
  #end = null

  push (reply) {
    this.#replies.push(reply)
    this.#waiter?.()
  }

  end (error) {
    this.#end = error
    this.#waiter?.()
  }

  async next () {
    while (this.#replies.length === 0) {
      if (this.#end !== null) throw this.#end
      await new Promise((resolve) => { this.#waiter = resolve })
    }
    return this.#replies.shift()
  }
}

function choose (served, wanted) {
  if (wanted !== undefined && served.includes(wanted)) return wanted
  if (wanted === undefined && served.length === 1) return served[0]
  const found = served.length === 0 ? "no network's requests" : `the networks ${served.join(', ')}`
  throw new Error(`the peer serves ${found}; ${wanted === undefined ? 'choose one by --network' : `not ${wanted}`}`)
}
