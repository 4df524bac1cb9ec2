import { formatDuration } from '../core/duration.ts'
import { EvtError } from '../core/errors.ts'
import { type PublishOptions, resolvePublish } from '../core/publish-options.ts'
import { atLeastOne, millisecondsOf } from './read-value.ts'

export interface PublishValues {
  /** How a bus publishes. */
  readonly publish: PublishOptions | undefined
  readonly publishBatch: number
  readonly publishTimeoutMs: number
}

export const publishKeys = {
  publish: {
    name: 'publish',
    says: 'how the bus publishes, as JSON',
    default: undefined,
    parse: parsePublish,
    show: (options: PublishOptions | undefined) => (options === undefined ? '' : JSON.stringify(options)),
  },
  publishBatch: {
    name: 'publishBatch',
    says: 'most events of one batch',
    default: 500,
    parse: atLeastOne,
    alias: 'EVENT_PUBLISHER_MAX_BATCH_SIZE',
  },
  publishTimeoutMs: {
    name: 'publishTimeout',
    says: 'time an event is tried to publish',
    default: 30_000,
    parse: millisecondsOf,
    alias: 'EVENT_PUBLISHER_PUBLISH_TIMEOUT',
    show: formatDuration,
  },
} as const

/** `{"rate":"1000/s","compress":"16kB"}`, as a file has it. */
function parsePublish(text: string): PublishOptions {
  const options = objectOf(text)
  resolvePublish(options)
  return options
}

function objectOf(text: string): PublishOptions {
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed
  } catch {
    // Said below.
  }
  throw new EvtError('usage', `cannot read '${text.slice(0, 100)}': it is no JSON object`, {
    hint: 'such as {"rate":"1000/s","compress":"16kB"}',
  })
}
