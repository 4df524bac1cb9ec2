import type { Message } from '../transport.ts'
import { createWriter } from './bytes.ts'
import { type RawHeader, writeContent } from './records.ts'
import { writeMessage } from './wire.ts'

/** A record byte for byte: what was read and is to be written again. */
export interface RawMessage {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly RawHeader[]
}

export interface Outgoing {
  readonly message: Message | RawMessage
  /** Instead of the one that its key chooses. */
  readonly partition?: number
  readonly headers?: readonly RawHeader[]
}

/** The contents of the records, in one buffer. */
export function encodeOutgoing(batch: readonly Outgoing[]): Uint8Array[] {
  const size = batch.reduce(
    (sum, { message }) => sum + ('body' in message ? message.body.length : (message.value?.length ?? 0)) + 512,
    0,
  )
  const writer = createWriter(size)
  const ends = batch.map(({ message, headers }) => {
    if ('body' in message) writeMessage(writer, message, headers)
    else writeContent(writer, message.key, message.value, message.headers)
    return writer.length
  })
  const { bytes } = writer
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end))
}
