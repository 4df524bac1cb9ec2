// The columns of evt.outbox that a capture fills, and the session settings that they come from.
import { maxDataBytes } from '../../core/event.ts'
import type { CaptureConfig } from './config.ts'
import { ident, literal } from './document.ts'

/** Column → setting that a writer may give with `set local evt.tenant = …`; empty and absent are both NULL. */
const settings = ['tenant', 'correlation_id', 'causation_id', 'traceparent', 'user_id', 'session_id'] as const

export const dataLimit = String(maxDataBytes)

export const outboxColumns = `class, id, type, source, subject, ${settings.join(', ')}, data, checksum`

export const settingValues = settings.map((name) => `nullif(current_setting('evt.${name}', true), '')`)

export const settingColumns = (alias: string): string => settings.map((name) => `${alias}.${name}`).join(', ')

/** One row of all settings: read once a statement, not once a row. */
export const settingsRow = `(select ${settings.map((name, i) => `${settingValues[i]} as ${name}`).join(', ')} offset 0)`

export const sourceOf = (config: CaptureConfig): string =>
  literal(`capture/${config.shape.schema}.${config.shape.table}`)

export const returning = 'returning id, type, data, "time", correlation_id'

export const notifyOf = (config: CaptureConfig, event: string): string =>
  `perform evt.capture_notify(${literal(config.channel ?? '')}, ${event}.id, ${event}.type, ${event}.data, ${event}."time", ${event}.correlation_id);`

/** What `evt.checksum_of` computes, over the text that is stored. */
export const checksumOf = (text: string): string => `encode(sha256(convert_to(${text}, 'UTF8')), 'hex')`

/** The partition of the class: inserting there spares a writer one step of routing and the trigger on evt.outbox. */
export const outboxOf = ({ retentionClass }: CaptureConfig): string =>
  retentionClass === undefined ? 'evt.outbox' : `evt.${ident(`outbox_${retentionClass}`)}`

/** Of an event whose type is this expression. */
export const classOf = ({ retentionClass }: CaptureConfig, type: string): string =>
  retentionClass === undefined ? `evt.class_of(${type})` : literal(retentionClass)

/** Instead of that trigger; has to stand after the insert. */
export const wakeRelay =
  "if pg_sequence_last_value('evt.parked'::regclass) = 2 then perform evt.capture_wake(); end if;"
