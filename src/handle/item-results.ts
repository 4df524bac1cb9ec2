import { typeIn } from '../core/codec.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import type { Entry, Item } from './item.ts'
import type { ProcessingResult } from './results.ts'
import type { ChunkOutcome } from './run-chunk.ts'

export function noteCommitted(
  runtime: HandlerRuntime,
  { runs, skipped }: Extract<ChunkOutcome, { kind: 'committed' }>,
): void {
  for (const { item, times } of runs) note(runtime, item, { state: 'handled', durationMs: times.runUs / 1000 })
  for (const item of skipped) note(runtime, item, { state: 'skipped', durationMs: 0 })
}

/** To be called when that is written down and committed. */
export function noteFailed(
  runtime: HandlerRuntime,
  { item, failure }: Extract<Entry, { kind: 'failed' }>,
  state: 'retried' | 'dead',
): void {
  const { attempt, durationMs, class: name, message, code } = failure.record
  const error = { class: name, message, ...(code === undefined ? {} : { code }) }
  note(runtime, item, { state, attempt, durationMs, error })
}

function note(
  { config, results }: HandlerRuntime,
  item: Item,
  known: Pick<ProcessingResult, 'state' | 'durationMs' | 'error'> & { readonly attempt?: number },
): void {
  const { id: eventId, headers, key: subject } = item.message
  const type = 'ce-type' in headers ? typeIn(headers) : ''
  const { name: handler, service: group } = config
  results?.note({ handler, group, eventId, type, subject, attempt: item.attempt, ...known })
}
