import { EvtError } from '../core/errors.ts'
import { originNames, originOf } from '../core/origin.ts'
import type { LogEntry } from '../store/log.ts'
import type { Capabilities, Message } from '../transports/transport.ts'

/** When the event was committed and when it was sequenced, ms since the epoch, `1763712000000.5/1763712000002.1`. */
export const timesHeader = 'evt-times'

export interface EncoderOptions {
  readonly dialect: string | undefined
  readonly storeId: string
  readonly content: Capabilities['content']
}

export type EncodeForSink = (entry: LogEntry) => Message

/** The bytes of the log as they are, with what keeps bridges from sending an event round. Throws `config` for an unknown dialect. */
export function createEncoder({ dialect, storeId, content }: EncoderOptions): EncodeForSink {
  if (dialect !== undefined && dialect !== 'cloudevents')
    throw new EvtError('config', `cannot encode in dialect ${dialect}: it is unknown`, { hint: 'known: cloudevents' })
  return (entry) => {
    const { via } = entry.headers[`ce-${originNames.via}`] ? originOf(entry.headers, 'ce-') : none
    const headers: Record<string, string> = { ...entry.headers }
    headers[`ce-${originNames.via}`] = via.length === 0 ? storeId : `${via.join('.')}.${storeId}`
    if (content === 'bytes') headers[timesHeader] = `${entry.recordedMs}/${entry.sequencedMs}`
    return {
      id: entry.id,
      key: entry.subject,
      headers,
      body: Buffer.from(entry.dataText),
      log: entry.position,
    }
  }
}

const none = originOf({})
