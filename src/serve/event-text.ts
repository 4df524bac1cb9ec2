import { attributesOf, formatAttributes, formatCloudEvent, fromHeaders } from '../core/codec.ts'
import { toError } from '../core/errors.ts'
import type { LogEntry } from '../store/log.ts'
import type { HttpPorts } from './ports.ts'
import type { StreamQuery } from './stream-query.ts'

/**
 * The event as one line of JSON, a structured CloudEvent with `evt` as `evt tail -o ndjson` prints it; undefined when `where` leaves it out. What
 * the masker hides is hidden from `where` as well: asking often enough would spell it.
 */
export function eventText(
  { headers, dataText, position }: LogEntry,
  { where }: Pick<StreamQuery, 'where'>,
  masker: HttpPorts['masker'],
): string | undefined {
  const evt = { transport: 'postgres', topic: 'log', position: String(position) }
  try {
    const event = fromHeaders(headers, dataText)
    if (where && !where.test({ ...event, data: masker.data(event, event.data), evt })) return undefined
    const shown = masker.text(event, dataText)
    // Of what is hidden, a few values could be tried until the checksum fits.
    const { checksum: _, ...unchecked } = event
    return formatCloudEvent(shown === dataText ? event : unchecked, { dataText: shown, evt })
  } catch (thrown) {
    // What SQL wrote wrongly ends no stream. Nobody knows which of its fields are sensitive.
    if (where) return undefined
    return formatAttributes(attributesOf(headers), {
      dataText: 'null',
      evt: { ...evt, error: toError(thrown).message },
    })
  }
}
