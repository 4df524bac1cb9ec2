import { EvtError } from '../../core/errors.ts'
import { isPosition, nameOf, type Range } from '../../core/instant-range.ts'
import type { Output } from '../../output/output.ts'
import type { TailOptions } from './run.ts'
import type { TailSource } from './source.ts'

/** Flags that contradict each other; known before anything connects. Throws `usage`. */
export function checkTogether(options: TailOptions, follow: boolean, output: Output): void {
  if (options.raw && output.isTTY) {
    throw new EvtError('usage', 'cannot use --raw on a terminal: events may hold control sequences', {
      hint: 'send it into a file or a pipe',
    })
  }
  if (options.stages && options.report) {
    throw new EvtError('usage', 'cannot use --stages with --report: a table of types has no single events', {
      hint: 'leave out one of them; `evt dash --once` shows the stages of all events together',
    })
  }
  if (options.explain && options.report) {
    throw new EvtError('usage', 'cannot use --explain with --report: a table of types has no single events', {
      hint: 'leave out one of them',
    })
  }
  const endless = follow && options.limit === undefined && options.idleTimeout === undefined
  if (output.format === 'json' && endless) {
    throw new EvtError('usage', 'cannot print a stream without end as one JSON document', {
      hint: 'use -o ndjson, or bound it with --limit or --no-follow',
    })
  }
  const { since, until } = options
  const byPosition = [since, until].find((one) => one !== undefined && isPosition(one))
  if (byPosition !== undefined && options.source.length > 1) {
    const flag = byPosition === since ? '--since' : '--until'
    throw new EvtError('usage', `cannot use ${flag} position:… with several sources: a position is of one source`, {
      hint: 'give one --source, or a time',
    })
  }
  if (until !== undefined && isPosition(until) && !/^\d{1,19}$/.test(until.position)) {
    throw new EvtError(
      'usage',
      `cannot end at position ${until.position}: only positions that are numbers have an order`,
      {
        hint: 'give --until a time, or bound it with --limit',
      },
    )
  }
}

interface Wish extends Range {
  readonly follow: boolean
  readonly nowMs: number
}

/** Each source can start where it is asked to. Throws `usage` that names the first that cannot, and what would work there. */
export function checkSeeks(sources: readonly TailSource[], { since, until, follow, nowMs }: Wish): void {
  const from = since ?? (follow ? 'now' : 'start')
  const needed =
    from === 'now'
      ? follow
        ? undefined
        : 'start'
      : isPosition(from)
        ? 'position'
        : from === 'start'
          ? 'start'
          : 'time'
  if (needed === undefined) return
  for (const { name, seeks } of sources) {
    if (seeks.includes(needed)) continue
    const asked =
      since === undefined
        ? until === undefined
          ? 'without following'
          : `until ${nameOf(until, nowMs)}`
        : `since ${nameOf(since, nowMs)}`
    const why =
      seeks.length === 0 ? 'it keeps no history' : `it cannot start at a ${needed === 'start' ? 'first event' : needed}`
    throw new EvtError('usage', `cannot tail ${name} ${asked}: ${why}`, {
      hint:
        seeks.length === 0
          ? 'follow it from now on, without --since and --no-follow; what is gone from there may be in a store or a stream'
          : `--since ${seeks.map((seek) => words[seek]).join(', or --since ')} works there`,
    })
  }
}

const words = { start: 'start', time: '15m', position: 'position:…' } as const
