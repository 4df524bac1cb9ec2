import { EvtError } from '../../core/errors.ts'
import type { Instant } from '../../core/instant.ts'
import { isReversed } from '../../core/instant-range.ts'
import { formatCount } from '../../core/quantity.ts'
import type { Where } from '../../core/where.ts'
import type { AnyHandlerDefinition } from '../../handle/handler.ts'
import { createProgress } from '../../output/progress.ts'
import type { Scanned } from '../../replay/history.ts'
import type { Store } from '../../store/connection.ts'
import type { ReplaySelection } from '../../store/replays.ts'
import type { Runtime } from '../runtime.ts'
import { spanOf } from './choose.ts'

export interface Asked {
  readonly type: readonly string[]
  readonly subject?: string | undefined
  readonly correlation?: string | undefined
  readonly where?: Where | undefined
  readonly since?: Instant | undefined
  readonly until?: Instant | undefined
  readonly limit?: number | undefined
  readonly rate?: number | undefined
  /** Of the handlers that it is for; undefined: all. */
  readonly patterns: readonly string[] | undefined
}

export interface Found {
  readonly selection: ReplaySelection
  readonly after: bigint
  readonly scanned: Scanned
}

/** Types that these handlers want; undefined without handlers. */
export const patternsOf = (handlers: readonly AnyHandlerDefinition[]): readonly string[] | undefined =>
  handlers.length === 0
    ? undefined
    : handlers.flatMap(({ on }) => on.map((one) => (typeof one === 'string' ? one : one.type)))

/** Reads the part of the log that was asked for: how many match, and what of it is gone; the operator hears of the latter. */
export async function lookUp(store: Store, runtime: Runtime, asked: Asked): Promise<Found> {
  const { compileSelection, scanHistory } = await import('../../replay/history.ts')
  const { createLogReader } = await import('../../store/log.ts')
  const { output, now, terminal, signal } = runtime
  if (isReversed(asked, now()))
    throw new EvtError('usage', 'cannot replay: --since is after --until', {
      hint: '--since 2h --until 1h is from two hours ago to one hour ago',
    })
  const reader = createLogReader(store)
  const progress = createProgress({ stderr: terminal.stderr, verb: 'counting', now })
  try {
    const { after, upto, sinceMs, untilMs, beginsLater } = await spanOf(reader, asked)
    const selection = selectionOf(asked, { sinceMs, untilMs, nowMs: now() })
    const wants = compileSelection(selection, asked.patterns)
    const onScanned = progress.update
    const scanned = await scanHistory(reader, { after, upto, wants, limit: asked.limit, signal, onScanned })
    signal.throwIfAborted()
    if (beginsLater) output.warn(`the log begins at position ${after + 1n}: what was before is gone`, remedy)
    noteGone(scanned, runtime)
    output.notice(
      `scanned ${formatCount(scanned.scanned)} · matched ${formatCount(scanned.matched)} · stopped: ${scanned.limited ? '--limit' : 'the end'}`,
    )
    return { selection, after, scanned }
  } finally {
    progress.end()
    await reader.close()
  }
}

const remedy = 'evt retention restore brings archives back'

function noteGone({ gone }: Scanned, { output }: Runtime): void {
  if (!gone) return
  const where = `between positions ${gone.from} and ${gone.to}`
  output.warn(`${formatCount(gone.events)} events ${where} are gone by retention and are not replayed`, remedy)
}

function selectionOf(
  { type, subject, correlation, where, rate }: Asked,
  times: { readonly sinceMs: number | undefined; readonly untilMs: number | undefined; readonly nowMs: number },
): ReplaySelection {
  const { sinceMs, untilMs, nowMs } = times
  return {
    types: type,
    nowMs,
    ...(subject === undefined ? {} : { subject }),
    ...(correlation === undefined ? {} : { correlation }),
    ...(where ? { where: where.text } : {}),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(untilMs === undefined ? {} : { untilMs }),
    ...(rate === undefined ? {} : { ratePerSecond: rate }),
  }
}
