import { checksumOf } from '../../core/checksum.ts'
import { type EncodedEvent, fromHeaders } from '../../core/codec.ts'
import { EvtError, toError } from '../../core/errors.ts'
import type { Store } from '../../store/connection.ts'
import { publishEncoded } from '../../store/outbox.ts'
import type { Message, Published } from '../transport.ts'

/** An event in binary mode, its bytes as they are. Throws `decode` for what is no event, `too-large` never: the store says that. */
export function toEncoded({ headers, body }: Message): EncodedEvent {
  const event = fromHeaders(headers, body)
  // Reading it parses the body: what is no JSON must not reach the table.
  void event.data
  const dataText = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString()
  return { ...event, dataText, checksum: checksumOf(body) }
}

/** Into the outbox, keyed by event id, in one transaction; the log gives positions later. What follows a refused one is not tried. */
export async function publishToLog(
  store: Store,
  batch: readonly Message[],
  signal: AbortSignal,
): Promise<readonly Published[]> {
  if (signal.aborted) return batch.map(() => unknown(new EvtError('interrupted', 'cannot publish to the log: aborted')))
  const events: EncodedEvent[] = []
  let refusal: EvtError | undefined
  for (const message of batch) {
    try {
      events.push(toEncoded(message))
    } catch (error) {
      refusal = error instanceof EvtError ? error : new EvtError('decode', toError(error).message, { cause: error })
      break
    }
  }
  const stored = await insert(store, events, signal)
  return batch.map((_, i): Published => {
    if (i < events.length) return stored
    return { state: 'refused', error: i === events.length && refusal ? refusal : notTried() }
  })
}

async function insert(store: Store, events: readonly EncodedEvent[], signal: AbortSignal): Promise<Published> {
  const { promise: aborted, resolve } = Promise.withResolvers<Published>()
  const onAbort = () => resolve(unknown(new EvtError('interrupted', 'cannot tell whether the log has them: aborted')))
  signal.addEventListener('abort', onAbort, { once: true })
  const inserted = publishEncoded(store, events, { keyed: true }).then(
    (): Published => ({ state: 'stored' }),
    (error): Published => {
      // A lost connection leaves open whether the commit happened; what Postgres refused did not.
      if (error instanceof EvtError && error.code !== 'connect') return { state: 'refused', error }
      return unknown(
        error instanceof EvtError ? error : new EvtError('connect', toError(error).message, { cause: error }),
      )
    },
  )
  const result = await Promise.race([inserted, aborted])
  signal.removeEventListener('abort', onAbort)
  return result
}

const unknown = (error: EvtError): Published => ({ state: 'unknown', error })

function notTried(): EvtError {
  return new EvtError('refused', 'cannot publish: an earlier message of the batch was refused')
}
