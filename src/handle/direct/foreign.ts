import { type Decoded, decodeAll, encodeWithText, toHeaders, typeIn } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import type { Received } from '../../transports/transport.ts'
import type { Prepared, Preparer } from '../prepare.ts'

/** Events of systems that never heard of evt: their bytes in one of the dialects, without the headers of CloudEvents' binary mode. */
const isForeign = ({ headers }: Received) => headers['ce-specversion'] === undefined

/** As patterns match it; '' for bytes that are no event. Never throws. */
export function typeOfReceived(message: Received): string {
  const named = typeIn(message.headers)
  if (named !== '' || !isForeign(message)) return named
  const decoded = decodeForeign(message)
  return decoded && decoded.dialect !== 'unknown' ? decoded.event.type : ''
}

/** The same preparer, for foreign events too. */
export function withDialects(preparer: Preparer): Preparer {
  return {
    ...preparer,
    prepare: (message) => (isForeign(message) ? prepareForeign(message, preparer) : preparer.prepare(message)),
  }
}

function prepareForeign(message: Received, preparer: Preparer): Prepared {
  const decoded = decodeForeign(message)
  if (!decoded) return bad('it is a batch of several events', 'bring it in through a source of a bridge')
  if (decoded.dialect === 'unknown')
    return decoded.problem ? { kind: 'bad', thrown: decoded.problem } : bad(`no dialect fits (${decoded.because})`)
  try {
    const { dataText, ...event } = encodeWithText(decoded.event, decoded.dataText)
    return preparer.prepare({ ...message, headers: toHeaders(event), body: Buffer.from(dataText) })
  } catch (thrown) {
    return { kind: 'bad', thrown }
  }
}

/** Undefined for a batch: one message is settled as a whole. */
function decodeForeign({ body, headers, topic, at, id, timeMs, isTombstone }: Received): Decoded | undefined {
  const time = timeMs === undefined ? {} : { time: new Date(timeMs).toISOString() }
  const decoded = decodeAll(isTombstone ? null : body, { topic, id: id || `${topic}@${at}`, headers, ...time })
  return decoded.length === 1 ? decoded[0] : undefined
}

const bad = (reason: string, hint?: string): Prepared => ({
  kind: 'bad',
  thrown: new EvtError('decode', `cannot decode event: ${reason}`, hint === undefined ? {} : { hint }),
})
