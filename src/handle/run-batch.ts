import { type AttemptResult, runAttempt } from './attempt.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import type { Entry, Item } from './item.ts'
import type { EntriesRun, EntriesToRun } from './run-entries.ts'

type RunEntry = Extract<Entry, { kind: 'run' }>

export interface BatchRun extends EntriesRun {
  /** Events of the call. */
  readonly size: number
}

/** One call of a batch handler for all that is to run, in its order. Never rejects. */
export async function runBatch(
  runtime: HandlerRuntime,
  { entries, fresh, session, place }: Omit<EntriesToRun, 'width'>,
): Promise<BatchRun> {
  const skipped = new Set<Item>()
  const chosen: RunEntry[] = []
  for (const entry of entries) {
    if (entry.kind !== 'run') continue
    if (fresh.delete(entry.item.message.id)) chosen.push(entry)
    else skipped.add(entry.item)
  }
  const [first] = chosen
  if (!first) return { runs: [], skipped, size: 0 }
  const at = entries.indexOf(first)
  try {
    await session.keepAlive()
  } catch (thrown) {
    return { runs: [], skipped, size: chosen.length, lost: { thrown, at } }
  }
  const result = await callBatch(runtime, chosen, { session, place })
  const size = chosen.length
  if (!result.ok) return { runs: [], skipped, size, unsuccessful: { entry: first, at, result, among: false } }
  return { runs: chosen.map(({ item }) => ({ item, times: result })), skipped, size }
}

export function callBatch(
  runtime: HandlerRuntime,
  chosen: readonly RunEntry[],
  at: Pick<Parameters<typeof runAttempt>[2], 'session' | 'place'>,
): Promise<AttemptResult> {
  const [first] = chosen as [RunEntry]
  const batch = { items: chosen.map(({ item }) => item), events: chosen.map(({ event }) => event) }
  return runAttempt(runtime, first.item, { ...at, event: first.event, abreast: false, batch })
}
