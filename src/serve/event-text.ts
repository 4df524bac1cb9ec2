import { attributesOf, formatAttributes, formatCloudEvent, fromHeaders } from '../core/codec.ts'
import { toError } from '../core/errors.ts'
import { maskFields } from '../core/mask.ts'
import { withoutSealed } from '../core/sealing.ts'
import type { LogEntry } from '../store/log.ts'
import type { HttpPorts } from './ports.ts'
import type { StreamQuery } from './stream-query.ts'

/**
 * The event as one line of JSON, a structured CloudEvent with `evt` as `evt tail -o ndjson` prints it; undefined when `where` leaves it out. Fields
 * that its contract calls sensitive are `***`, also for `where`: asking often enough would spell them.
 */
export function eventText(
  { headers, dataText, position }: LogEntry,
  { where }: Pick<StreamQuery, 'where'>,
  registry: HttpPorts['registry'],
): string | undefined {
  const evt = { transport: 'postgres', topic: 'log', position: String(position) }
  try {
    const event = fromHeaders(headers, dataText)
    const paths = registry.sensitivePaths(event.type, event.version)
    if (paths.length === 0) {
      if (where && !where.test({ ...event, evt })) return undefined
      return formatCloudEvent(event, { dataText: withoutSealed(dataText), evt })
    }
    const { data } = maskFields({ data: event.data }, paths) as { readonly data: unknown }
    const masked = { ...event, data }
    if (where && !where.test({ ...masked, evt })) return undefined
    return formatCloudEvent(masked, { evt })
  } catch (thrown) {
    // What SQL wrote wrongly ends no stream. Nobody knows which of its fields are sensitive.
    if (where) return undefined
    return formatAttributes(attributesOf(headers), {
      dataText: 'null',
      evt: { ...evt, error: toError(thrown).message },
    })
  }
}
