import { toHeaders } from '../../core/codec/headers.ts'
import { encodeEvent } from '../../core/codec.ts'
import type { EvtEvent } from '../../core/event.ts'
import type { HistoryEntry } from '../../core/history.ts'
import { compilePatterns } from '../../core/pattern.ts'
import type { Registry } from '../../core/registry.ts'
import type { AnyHandlerDefinition } from '../../handle/handler.ts'

/** An event that a handler has to handle, or must never see. */
export interface MadeEvent {
  readonly kind: 'good' | 'corrupt'
  /** What was done to it. */
  readonly corruption?: 'missing-field' | 'bad-checksum'
  readonly entry: HistoryEntry
}

export interface MakeOptions {
  readonly registry: Registry
  readonly seed: number
  readonly nowMs: number
}

/** One good and one corrupt event of each type with a contract that one of the handlers wants. Throws as a generator does. */
export async function makeEvents(
  handlers: readonly AnyHandlerDefinition[],
  options: MakeOptions,
): Promise<readonly MadeEvent[]> {
  const { createGenerator } = await import('../../generators/generator.ts')
  const wanted = compilePatterns(
    handlers.flatMap(({ on }) => on.map((one) => (typeof one === 'string' ? one : one.type))),
  )
  const types = options.registry.types().filter((type) => wanted.matches(type))
  let position = 0n
  const made = (kind: MadeEvent['kind'], event: EvtEvent, corruption?: MadeEvent['corruption']): MadeEvent => ({
    kind,
    ...(corruption === undefined ? {} : { corruption }),
    entry: entryOf(event, ++position, corruption === 'bad-checksum'),
  })
  return types.flatMap((type) => {
    const good = createGenerator({ ...options, types: [type] })
    const corrupt = { kinds: ['missing-field'], ratio: 1 } as const
    const spoilt = createGenerator({ ...options, types: [type], seed: options.seed + 1, corrupt })
    const last = spoilt.next()
    // A contract may ask for nothing.
    const isMissing = spoilt.corrupted['missing-field'] > 0
    return [made('good', good.next()), made('corrupt', last, isMissing ? 'missing-field' : 'bad-checksum')]
  })
}

function entryOf(event: EvtEvent, position: bigint, isWrongSum: boolean): HistoryEntry {
  const encoded = encodeEvent(event)
  const headers = toHeaders(isWrongSum ? { ...encoded, checksum: '0'.repeat(64) } : encoded)
  const { id, type, subject = null, dataText } = encoded
  return { position, id, type, subject, headers, dataText, recordedMs: Date.parse(encoded.time) }
}
