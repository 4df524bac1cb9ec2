import { headerText } from '../core/codec/headers.ts'
import { decodeAll, formatCloudEvent } from '../core/codec.ts'
import { isForGood } from '../core/errors.ts'
import { originNames } from '../core/origin.ts'
import type { RelayDeadLetter } from '../store/relay-dead-letters.ts'
import type { Headers, Received } from '../transports/transport.ts'
import type { SealTaken } from './seal-taken.ts'
import type { SourceConfig } from './source-config.ts'

/**
 * A dead letter of a source without what contracts encrypt: its message as CloudEvents, where something had to be sealed. As it came where
 * nobody can read it, or say whose key it needs. Throws `connect`.
 */
export async function sealedLetter(
  dead: RelayDeadLetter,
  { seal, config }: { readonly seal?: SealTaken | undefined; readonly config: SourceConfig },
): Promise<RelayDeadLetter> {
  if (!seal) return dead
  const { topic, headers, id, body, isTombstone } = dead.message
  const events = decodeAll(isTombstone ? null : body, { topic, headers, id }).map(({ event, dataText }) => ({
    event: { ...event, type: config.renames.here(event.type) ?? event.type },
    dataText,
    there: event.type,
  }))
  try {
    const sealed = await seal.texts(events)
    if (!sealed) return dead
    const lines = sealed.map(({ event, dataText }, at) =>
      formatCloudEvent({ ...event, type: events[at]?.there ?? event.type }, { dataText }),
    )
    return { ...dead, message: asCloudEvents(dead.message, lines) }
  } catch (error) {
    if (isForGood(error)) return dead
    throw error
  }
}

function asCloudEvents(message: Received, lines: readonly string[]): Received {
  const { headers, id } = message
  const [only] = lines
  const isOne = lines.length === 1 && only !== undefined
  const kept: Record<string, string> = {}
  // What loops are known by is read from the headers.
  for (const name of ['ce-type', ...Object.values(originNames).map((origin) => `ce-${origin}`)]) {
    const value = headers[name]
    if (value !== undefined) kept[name] = value
  }
  const contentType = `application/cloudevents${isOne ? '' : '-batch'}+json`
  const own: Headers = { ...kept, 'ce-id': headerText(id), 'content-type': contentType }
  return { ...message, headers: own, body: Buffer.from(isOne ? only : `[${lines.join(',')}]`) }
}
