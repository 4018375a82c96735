// docs/wire.md: "Asking". Frames: an unsigned varint length and a protobuf message.
import { join } from 'node:path'
import protobuf from 'protobufjs'
import { concat } from './bytes.mjs'

export const MAX_REPLY_FRAME = 262_144

const folder = join(import.meta.dirname, '..', '..', '..', '..', 'proto', 'proto')
const root = new protobuf.Root()
root.resolvePath = (_, path) => join(folder, path)
root.loadSync('quorate/v1/request.proto', { keepCase: true })

export const Request = root.lookupType('quorate.v1.Request')
export const Reply = root.lookupType('quorate.v1.Reply')
export const Certificate = root.lookupType('quorate.v1.Certificate')
export const Statement = root.lookupType('quorate.v1.Statement')

/** A message as plain values: enums by name, numbers of 64 bits as text, what is not set as its default. */
export function plain (type, bytes) {
  return type.toObject(type.decode(bytes), { enums: String, longs: String, defaults: true, oneofs: true })
}

export function encode (type, value) {
  return type.encode(type.fromObject(value)).finish()
}

export function frame (bytes) {
  return concat(varint(bytes.length), bytes)
}

function varint (number) {
  const bytes = []
  for (; number > 127; number = Math.floor(number / 128)) bytes.push(number % 128 + 128)
  return [...bytes, number]
}

/** The messages in a stream of chunks. */
export async function * frames (chunks, limit = MAX_REPLY_FRAME) {
  let buffer = new Uint8Array(0)
  for await (const chunk of chunks) {
    buffer = concat(buffer, chunk instanceof Uint8Array ? chunk : chunk.subarray())
    for (let next; (next = first(buffer, limit)) !== null;) {
      yield next.message
      buffer = next.rest
    }
  }
  if (buffer.length > 0) throw new Error('the stream ended within a frame')
}

/** The first whole frame of a buffer, and what follows it; null where it is not whole yet. */
function first (buffer, limit) {
  let length = 0
  for (let at = 0; at < buffer.length; at += 1) {
    if (at > 8) throw new Error('the length of a frame is no varint')
    length += (buffer[at] & 127) * 128 ** at
    if (buffer[at] > 127) continue
    if (length > limit) throw new Error(`a frame of ${length} bytes is longer than the ${limit} that are allowed`)
    const begin = at + 1
    if (buffer.length < begin + length) return null
    return { message: buffer.subarray(begin, begin + length), rest: buffer.subarray(begin + length) }
  }
  return null
}
