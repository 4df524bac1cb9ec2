import type { EvtEvent } from '../../core/event.ts'
import { createHistogram, type Histogram } from '../../core/histogram.ts'

export interface ValidationReport {
  readonly started: number
  readonly completed: number
  readonly failed: number
  /** Began, and neither completed nor failed. */
  readonly running: number
  readonly phases: readonly {
    readonly phase: string
    readonly completed: number
    readonly failed: number
    readonly p95Ms: number | undefined
  }[]
  /** Of `validation.error.*`, the most frequent first. */
  readonly errors: readonly { readonly fieldPath: string; readonly count: number; readonly last: string }[]
}

export interface ValidationMonitor {
  /** What to subscribe to: `validation.*` has the phases too. */
  readonly patterns: readonly string[]
  /** A handler for a bus or a bridge. Never throws: odd data counts without its field. */
  handle(event: Pick<EvtEvent, 'type' | 'subject' | 'correlationId' | 'data'>): void
  report(): ValidationReport
}

/** More fields and phases share one name, and more runs at once are forgotten: all three come from events. */
const most = 500

/** Follows validations by their events: runs, phases, and the fields that fail. */
export function createValidationMonitor(): ValidationMonitor {
  const runs = { started: 0, completed: 0, failed: 0 }
  const running = new Set<string>()
  const phases = new Map<string, { completed: number; failed: number; readonly times: Histogram }>()
  const errors = new Map<string, { count: number; last: string }>()
  const named = <T>(map: Map<string, T>, name: string) => (map.has(name) || map.size < most ? name : 'other')

  function phaseEnded(phase: string, data: Readonly<Record<string, unknown>>, ok: boolean): void {
    const name = named(phases, phase)
    const known = phases.get(name) ?? { completed: 0, failed: 0, times: createHistogram() }
    phases.set(name, known)
    if (ok) known.completed += 1
    else known.failed += 1
    const durationMs = data.durationMs ?? data.duration_ms
    if (typeof durationMs === 'number') known.times.record(durationMs * 1000)
  }

  function runBegan(key: string): void {
    runs.started += 1
    running.add(key)
    if (running.size > most * 20) running.delete(running.values().next().value as string)
  }

  return {
    patterns: ['validation.*'],
    handle({ type, subject, correlationId, data: given }) {
      const data = typeof given === 'object' && given !== null ? (given as Readonly<Record<string, unknown>>) : {}
      const key = correlationId ?? subject ?? ''
      const [, of, what] = type.split('.')
      if (of === 'phase') {
        if (what === 'completed' || what === 'failed')
          phaseEnded(String(data.phase ?? 'unnamed'), data, what === 'completed' && data.status !== 'failed')
      } else if (of === 'error') {
        const name = named(errors, String(data.fieldPath ?? data.field_path ?? 'unknown'))
        const before = errors.get(name)?.count ?? 0
        errors.set(name, { count: before + 1, last: String(data.message ?? data.error ?? '').slice(0, 200) })
      } else if (of === 'started') runBegan(key)
      else if (of === 'completed' || of === 'failed') {
        runs[of] += 1
        running.delete(key)
      }
    },
    report: () => ({
      ...runs,
      running: running.size,
      phases: [...phases].map(([phase, { completed, failed, times }]) => {
        const us = times.percentile(0.95)
        return { phase, completed, failed, p95Ms: us === undefined ? undefined : us / 1000 }
      }),
      errors: [...errors]
        .map(([fieldPath, error]) => ({ fieldPath, ...error }))
        .sort((a, b) => b.count - a.count || (a.fieldPath < b.fieldPath ? -1 : 1)),
    }),
  }
}
