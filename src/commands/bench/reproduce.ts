import type { HandlerKind } from '../../bench/bridge/handler-kind.ts'
import { formatDuration } from '../../core/duration.ts'
import { redactUrl } from '../../core/mask.ts'
import type { RateShape } from '../../core/rate.ts'
import type { BenchFlags, PlannedBench } from './plan.ts'

/** The command line that repeats the run, with what was left to defaults written out. */
export function reproduceLine(
  { plan, kinds, gates, drainTimeoutMs }: PlannedBench,
  flags: BenchFlags & { readonly target?: string | undefined; readonly lanes?: number | undefined },
): string {
  const words = [
    ...(flags.target === undefined ? [] : [['--target', redactUrl(flags.target)]]),
    ...(flags.lanes === undefined ? [] : [['--lanes', String(flags.lanes)]]),
    ['--rate', rateText(plan.shape)],
    ['--duration', formatDuration(plan.durationMs)],
    ['--warmup', formatDuration(plan.warmupMs)],
    ['--arrival', plan.arrival.kind === 'burst' ? `burst:${plan.arrival.size}` : plan.arrival.kind],
    ['--seed', String(plan.seed)],
    ['--size', plan.sizesBytes.join(',')],
    ['--keys', String(plan.keys)],
    ...(plan.skew.kind === 'zipf' ? [['--skew', `zipf:${plan.skew.exponent}`]] : []),
    ...kinds.map((kind) => ['--handler', handlerText(kind)]),
    ...gates.map((gate) => ['--gate', `'${gate.text.replaceAll("'", "'\\''")}'`]),
    ['--max-inflight', formatDuration(flags.maxInflight)],
    ['--drain-timeout', formatDuration(drainTimeoutMs)],
    ['--pacing', plan.pacing],
  ]
  return ['evt bench', ...words.flat()].join(' ')
}

/** What `parseRate` reads back. */
function rateText(shape: RateShape): string {
  if (shape === 'max') return 'max'
  return shape
    .map(({ from, to, durationMs }) => {
      if (from !== to) return `${from}..${to}/${formatDuration(durationMs)}`
      return durationMs === Infinity ? String(from) : `${from}:${formatDuration(durationMs)}`
    })
    .join(',')
}

function handlerText(kind: HandlerKind): string {
  if (kind.kind === 'cpu') return `cpu:${formatDuration(kind.ms)}`
  if (kind.kind !== 'sleep') return kind.kind
  return `sleep:${formatDuration(kind.ms)}${kind.spreadMs > 0 ? `±${formatDuration(kind.spreadMs)}` : ''}`
}
