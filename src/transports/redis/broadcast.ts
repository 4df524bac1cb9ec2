import { formatCloudEvent, fromHeaders, typeIn } from '../../core/codec.ts'
import type { Message } from '../transport.ts'
import { bytesOf } from './batch.ts'

/** How many arguments of a script a message takes besides its own. */
export const broadcastWidth = 2

/**
 * Channel and payload for PUBLISH: `<prefix><type>`, and one structured CloudEvent, because a channel has no headers. What is no
 * event in binary mode travels as it is.
 */
export function broadcastOf(message: Message, prefix: string): readonly [string, string | Buffer] {
  const channel = prefix + typeIn(message.headers)
  if (message.headers['ce-specversion'] === undefined) return [channel, bytesOf(message)]
  try {
    const event = fromHeaders(message.headers, message.body)
    // Parses it: a body that is no JSON cannot stand in one.
    void event.data
    return [channel, formatCloudEvent(event, { dataText: bytesOf(message).toString() })]
  } catch {
    return [channel, bytesOf(message)]
  }
}
