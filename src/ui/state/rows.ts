import { createHistogram } from '../../core/histogram.ts'
import { compileWhere } from '../../core/where.ts'
import type { DeadLetterCause, HandlerBacklog, StoppedHandler } from '../../watch/snapshot.ts'
import type { HandlerWindow } from '../../watch/window.ts'
import type { Model, Opened, Panel, SortKey, TailLine } from './model.ts'

/** A handler with everything that its row shows. */
export interface HandlerRow extends HandlerWindow {
  readonly perSecond: number
  /** Share of attempts that failed, 0..1. */
  readonly errorRate: number
  readonly backlog: HandlerBacklog | undefined
  readonly recent: readonly number[]
  /** Why it does not run; undefined when it does. */
  readonly stopped: StoppedHandler | undefined
}

/** A plain word is looked for anywhere; anything with an operator is a `where` expression. Throws EvtError('usage'). */
export function compileFilter(text: string): (subject: Readonly<Record<string, unknown>>) => boolean {
  const trimmed = text.trim()
  if (trimmed === '') return () => true
  if (/^[\w.*/:@-]+$/.test(trimmed)) {
    const word = trimmed.toLowerCase()
    return (subject) => Object.values(subject).some((value) => String(value).toLowerCase().includes(word))
  }
  const where = compileWhere(trimmed, { nowMs: 0 })
  return (subject) => where.test(subject)
}

const sorters: Record<SortKey, (a: HandlerRow, b: HandlerRow) => number> = {
  name: () => 0,
  rate: (a, b) => b.perSecond - a.perSecond,
  p99: (a, b) => (b.endToEnd.percentile(0.99) ?? -1) - (a.endToEnd.percentile(0.99) ?? -1),
  errors: (a, b) => b.errorRate - a.errorRate,
  lag: (a, b) => (b.backlog?.lagEvents ?? 0) - (a.backlog?.lagEvents ?? 0),
}

export function handlerRows(model: Model): readonly HandlerRow[] {
  const { window } = model
  if (!window) return []
  const matches = compileFilter(model.filter)
  const backlog = new Map(model.snapshots.at(-1)?.backlog.map((one) => [one.handler, one]))
  const stopped = new Map(model.snapshots.at(-1)?.stopped.map((one) => [one.handler, one]))
  const unheard = [...stopped.keys()].filter((name) => !window.handlers.some(({ handler }) => handler === name))
  return [...window.handlers, ...unheard.map(nothingOf)]
    .filter((one) =>
      matches({
        handler: one.handler,
        group: one.group,
        health: one.health,
        state: stopped.get(one.handler)?.state ?? 'runs',
      }),
    )
    .map((one) => ({
      ...one,
      perSecond: one.handled / window.seconds,
      errorRate: one.failed === 0 ? 0 : one.failed / (one.failed + one.handled),
      backlog: backlog.get(one.handler),
      recent: model.history.byHandler.get(one.handler) ?? [],
      stopped: stopped.get(one.handler),
    }))
    .sort((a, b) => sorters[model.sort](a, b) || (a.handler < b.handler ? -1 : 1))
}

/** No bridge says anything about it. */
const nothingOf = (handler: string): HandlerWindow => ({
  ...{ handler, group: '', handled: 0, failed: 0, dead: 0, skipped: 0, inFlight: 0, queued: 0 },
  ...{ paused: false, broken: false, health: 'healthy', lastError: undefined },
  runTime: createHistogram(),
  endToEnd: createHistogram(),
})

export function backlogRows(model: Model): readonly HandlerBacklog[] {
  const matches = compileFilter(model.filter)
  return (model.snapshots.at(-1)?.backlog ?? [])
    .filter((one) => matches({ handler: one.handler, lag: one.lagEvents }))
    .toSorted((a, b) => b.lagEvents - a.lagEvents || (a.handler < b.handler ? -1 : 1))
}

export function deadRows(model: Model): readonly DeadLetterCause[] {
  const matches = compileFilter(model.filter)
  return (model.snapshots.at(-1)?.dead.causes ?? []).filter((one) =>
    matches({ cause: one.cause, handler: one.handler, type: one.type, error: one.error, count: one.count }),
  )
}

/** Newest last. */
export function tailRows(model: Model): readonly TailLine[] {
  const matches = compileFilter(model.filter)
  return model.tail.filter((one) => matches({ type: one.type, subject: one.subject, id: one.id, data: one.data }))
}

export function rowCount(model: Model, panel: Panel): number {
  if (panel === 'handlers') return handlerRows(model).length
  if (panel === 'backlog') return backlogRows(model).length
  return panel === 'dead' ? deadRows(model).length : tailRows(model).length
}

/** What the selected row of the focused panel stands for. */
export function selectedOf(model: Model): Opened | undefined {
  const at = model.selected[model.focus]
  if (model.focus === 'tail') {
    const line = tailRows(model).at(at)
    return line && { line }
  }
  const key = keysOf[model.focus](model)[at]
  return key === undefined ? undefined : { key }
}

const keysOf: Readonly<Record<Exclude<Panel, 'tail'>, (model: Model) => readonly string[]>> = {
  handlers: (model) => handlerRows(model).map((row) => row.handler),
  backlog: (model) => backlogRows(model).map((row) => row.handler),
  dead: (model) => deadRows(model).map((row) => row.cause),
}
