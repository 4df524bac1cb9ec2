import { EvtError } from '../../core/errors.ts'
import type { EvtEvent } from '../../core/event.ts'
import type { Instant } from '../../core/instant.ts'
import { formatCount } from '../../core/quantity.ts'
import { typeText, visible } from '../../core/visible.ts'
import type { AnyHandlerDefinition } from '../../handle/handler.ts'
import type { Outcome } from '../../output/exit-codes.ts'
import { createLog } from '../../output/log.ts'
import { createProgress } from '../../output/progress.ts'
import type { Difference } from '../../replay/compare-shadows.ts'
import type { ShadowedEvent } from '../../replay/shadow.ts'
import type { Store } from '../../store/connection.ts'
import type { WrittenRow } from '../../store/row-capture.ts'
import { auditAs } from '../line/operator.ts'
import { privacyOf } from '../line/privacy.ts'
import { loadRegistry } from '../line/services.ts'
import type { Runtime } from '../runtime.ts'
import { type Asked, type Found, patternsOf } from './look-up.ts'
import { shadowOtherBuild } from './other-build.ts'

export interface ShadowRun {
  readonly handlers: readonly AnyHandlerDefinition[]
  readonly found: Found
  readonly asked: Asked
  readonly against: string | undefined
  /** Sensitive values are shown. */
  readonly reveal: boolean
  readonly reason: string | undefined
}

/** Exit 1 when a handler failed or reached outside, and with `against` when the builds differ. */
export async function shadow(store: Store, runtime: Runtime, run: ShadowRun): Promise<Outcome | undefined> {
  await note(store, run)
  const fromMs = runtime.now() - 1_000
  const { events, shown } = await shadowHere(store, runtime, run)
  if (run.against === undefined) return report(store, runtime, events.map(shown))
  const { compareShadows } = await import('../../replay/compare-shadows.ts')
  const there = await shadowOtherBuild({
    ref: run.against,
    cwd: runtime.cwd,
    store: store.connectionString,
    words: wordsOf(run),
    signal: runtime.signal,
  })
  // By what was written, not by what may be shown of it.
  const differences = compareShadows(events, there, { fromMs, toMs: runtime.now() + 1_000 })
  const shownDifferences = differences.map((one) => ({
    ...one,
    here: one.here && shown(one.here),
    there: one.there && shown(one.there),
  }))
  return reportDifferences(store, runtime, { events, differences: shownDifferences, against: run.against })
}

/** In the audit log, before anything runs: what handlers do outside of their transaction happens. */
async function note(store: Store, { handlers, found, against, reveal, reason }: ShadowRun): Promise<void> {
  const target = `shadow of ${handlers.map(({ name }) => name).join(', ')}`
  const details = { selection: found.selection, ...(against === undefined ? {} : { against }) }
  const ran = await auditAs('replay', { target, reason, details })
  const revealed = await auditAs('reveal', { target, reason })
  await store.transaction(async (sql) => {
    await ran(sql, found.scanned.matched)
    if (reveal) await revealed(sql, 1)
  })
}

/** The events, and how each may be shown. */
async function shadowHere(store: Store, runtime: Runtime, { handlers, found, reveal }: ShadowRun) {
  const { shadowHandlers } = await import('../../replay/shadow.ts')
  const { createConcealer } = await import('../../replay/conceal.ts')
  const { compileSelection, pagesOf } = await import('../../replay/history.ts')
  const { createLogReader } = await import('../../store/log.ts')
  const { openGuarded } = await import('../../bridge/guarded.ts')
  const { terminal, now, signal, output, config } = runtime
  const options = { privacy: privacyOf(runtime), drafts: config.get('drafts').value }
  const registry = await openGuarded(await loadRegistry(runtime), { options, store })
  const level = output.format === 'text' ? config.get('logLevel').value : 'silent'
  const log = await createLog({ level, stderr: terminal.stderr, paint: output.paintNotice, now })
  const wants = compileSelection(found.selection, patternsOf(handlers))
  const reader = createLogReader(store)
  const progress = createProgress({ stderr: terminal.stderr, verb: 'shadowing', total: found.scanned.matched, now })
  const conceal = createConcealer({ ...options.privacy, registry })
  const events: ShadowedEvent[] = []
  const seenBy = new Map<string, EvtEvent>()
  const keyOf = ({ handler, position }: ShadowedEvent) => `${position} ${handler}`
  const shown = (event: ShadowedEvent) => (reveal ? event : conceal(event, seenBy.get(keyOf(event))))
  async function* history() {
    for await (const page of pagesOf(reader, { after: found.after, upto: found.scanned.upto, signal }))
      yield page.filter(wants)
  }
  const onEvent = (event: ShadowedEvent, seen: EvtEvent | undefined) => {
    events.push(event)
    if (seen && !reveal) seenBy.set(keyOf(event), seen)
    progress.update(events.length)
  }
  try {
    await shadowHandlers({ store, handlers, registry, log, history: history(), signal, onEvent })
    return { events, shown }
  } finally {
    progress.end()
    await reader.close()
  }
}

/** The same history by the same words; the end is pinned, because more happens meanwhile. What is hidden could not be compared. */
function wordsOf({ handlers, found, asked }: ShadowRun): readonly string[] {
  const { subject, correlation, where, since, limit } = asked
  const flag = (name: string, value: string | number | undefined) => (value === undefined ? [] : [name, String(value)])
  return [
    ...['replay', '--shadow', '--reveal', '--json', '--yes', '--max-affected', String(Number.MAX_SAFE_INTEGER)],
    ...handlers.flatMap(({ name }) => ['--handler', name]),
    ...asked.type.flatMap((type) => ['--type', type]),
    ...flag('--subject', subject),
    ...flag('--correlation', correlation),
    ...flag('--where', where?.text),
    ...flag('--since', since && instantText(since)),
    ...['--until', `position:${found.scanned.upto}`],
    ...flag('--limit', limit),
  ]
}

function instantText(instant: Instant): string {
  if (typeof instant === 'string') return instant
  return 'timeMs' in instant ? new Date(instant.timeMs).toISOString() : `position:${instant.position}`
}

const countOf = { insert: 'inserted', update: 'updated', delete: 'deleted' } as const

/** What would have been written, by table. */
function tally(events: readonly ShadowedEvent[]) {
  const tables = new Map<string, { inserted: number; updated: number; deleted: number; events: number }>()
  for (const { rows, unseen } of events) {
    const touched = new Set<string>()
    const of = (table: string) => {
      const known = tables.get(table) ?? { inserted: 0, updated: 0, deleted: 0, events: 0 }
      tables.set(table, known)
      if (!touched.has(table)) known.events += 1
      touched.add(table)
      return known
    }
    for (const { table, op } of rows) of(table)[countOf[op]] += 1
    for (const { table, inserted, updated, deleted } of unseen) {
      const known = of(table)
      known.inserted += inserted
      known.updated += updated
      known.deleted += deleted
    }
  }
  return [...tables].map(([table, counts]) => ({ table, ...counts })).sort((a, b) => a.table.localeCompare(b.table))
}

const shownEvents = 20

function report(store: Store, { output }: Runtime, events: readonly ShadowedEvent[]): Outcome | undefined {
  const tables = tally(events)
  const failed = events.filter(({ error }) => error !== undefined)
  const outside = outsideOf(events)
  const unseen = [...new Set(events.flatMap(({ unseen }) => unseen.map(({ table }) => table)))]
  const published = events.reduce((sum, one) => sum + one.published.length, 0)
  output.result({
    status: failed.length + outside.length === 0 ? 'pass' : 'fail',
    data: { events, tables, published, failed: failed.length, notShadowable: outside, unseen },
    meta: { store: store.url },
    render: () =>
      [
        ...events.slice(0, shownEvents).map(eventLine),
        ...(events.length > shownEvents
          ? [`… and ${formatCount(events.length - shownEvents)} more; --json has all`]
          : []),
        '',
        `${formatCount(events.length)} events · would publish ${formatCount(published)} · failed ${formatCount(failed.length)}`,
        ...tables.map(
          ({ table, inserted, updated, deleted, events: touching }) =>
            `  ${table}: +${inserted} ~${updated} -${deleted}, by ${formatCount(touching)} events`,
        ),
      ].join('\n'),
  })
  noteOutside({ output }, outside)
  if (unseen.length > 0)
    output.warn(
      `rows of ${unseen.join(', ')} could only be counted`,
      'the role needs TRIGGER on them; or somebody was busy with them',
    )
  return failed.length + outside.length === 0 ? undefined : 'failed'
}

function outsideOf(events: readonly ShadowedEvent[]) {
  const places = new Map<string, Set<string>>()
  for (const { handler, outside } of events)
    for (const place of outside) places.set(handler, (places.get(handler) ?? new Set()).add(place))
  return [...places].map(([handler, reached]) => ({ handler, reached: [...reached] }))
}

function noteOutside({ output }: Pick<Runtime, 'output'>, outside: ReturnType<typeof outsideOf>): void {
  for (const { handler, reached } of outside)
    output.warn(
      `${handler} is not shadowable: it reached ${reached.join(', ')}, and that happened`,
      'let it publish an event instead, and do that in a handler of its own',
    )
}

const rowText = ({ table, op, old, new: now }: WrittenRow) =>
  `    ${op} ${table} ${visible(JSON.stringify(op === 'update' ? changesOf(old ?? {}, now ?? {}) : (now ?? old)))}`

const changesOf = (old: Readonly<Record<string, unknown>>, now: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(
    Object.keys(now)
      .filter((name) => JSON.stringify(old[name]) !== JSON.stringify(now[name]))
      .map((name) => [name, [old[name], now[name]]]),
  )

const eventLine = ({ position, type, subject, handler, rows, published, error, unseen }: ShadowedEvent) =>
  [
    `${position}  ${handler}  ${typeText(type)}${subject ? ` ${visible(subject)}` : ''}${error ? `  failed: ${visible(error)}` : ''}`,
    ...rows.map(rowText),
    ...unseen.map(({ table, inserted, updated, deleted }) => `    ${table}: +${inserted} ~${updated} -${deleted}`),
    ...published.map((one) => `    publish ${typeText(one.type)} ${visible(JSON.stringify(one.data))}`),
  ].join('\n')

interface Compared {
  readonly events: readonly ShadowedEvent[]
  readonly differences: readonly Difference[]
  readonly against: string
}

function reportDifferences(
  store: Store,
  { output }: Runtime,
  { events, differences, against }: Compared,
): Outcome | undefined {
  const byPlace = new Map<string, number>()
  for (const { where } of differences) for (const place of where) byPlace.set(place, (byPlace.get(place) ?? 0) + 1)
  const places = [...byPlace].map(([where, count]) => ({ where, events: count }))
  output.result({
    status: differences.length === 0 ? 'pass' : 'fail',
    data: { against, compared: events.length, different: differences.length, places, differences },
    meta: { store: store.url },
    render: () =>
      [
        ...differences
          .slice(0, shownEvents)
          .flatMap((one) => [
            `${one.position}  ${one.handler}  ${typeText(one.type)}: ${one.where.join(', ')}`,
            ...[one.here, one.there].map(
              (event, at) => `  ${at === 0 ? 'here' : against}:${event ? `\n${eventLine(event)}` : ' nothing'}`,
            ),
          ]),
        `compared ${formatCount(events.length)} with ${against} · different ${formatCount(differences.length)}`,
        ...places.map(({ where, events: count }) => `  ${where}: ${formatCount(count)} events`),
      ].join('\n'),
  })
  noteOutside({ output }, outsideOf(events))
  return differences.length === 0 ? undefined : 'failed'
}

/** Throws EvtError('usage') for what makes no sense together. */
export function assertShadow(given: {
  readonly shadow: boolean
  readonly against?: string | undefined
  readonly reveal: boolean
  readonly handlers: number
  readonly rate?: number | undefined
}): void {
  if (given.against !== undefined && !given.shadow)
    throw new EvtError('usage', 'cannot use --against without --shadow', { hint: 'add --shadow' })
  if (given.reveal && !given.shadow)
    throw new EvtError('usage', 'cannot use --reveal without --shadow: a replay shows no data', {
      hint: 'add --shadow',
    })
  if (!given.shadow) return
  if (given.handlers === 0)
    throw new EvtError('usage', 'cannot shadow nothing: it is not said which handler', { hint: 'add --handler NAME' })
  if (given.rate !== undefined)
    throw new EvtError('usage', 'cannot use --rate with --shadow: its events run one by one')
}
