import { setTimeout as delay } from 'node:timers/promises'
import type { Histogram } from '../../core/histogram.ts'
import { formatCount } from '../../core/quantity.ts'
import { renderTable } from '../../output/table.ts'
import type { Store } from '../../store/connection.ts'
import type { HandlerState } from '../../store/handler-states.ts'
import type { HandlerSample, Snapshot, StoppedHandler } from '../../watch/snapshot.ts'
import { whyStopped } from '../../watch/why-stopped.ts'
import type { HandlerWindow } from '../../watch/window.ts'
import { defineCommand } from '../command.ts'
import { formatOptions, storeOptions } from '../line/options.ts'
import { withStore } from '../line/store.ts'

/** Bridges speak once a second; one that is busy is late. */
const heardWithinMs = 2_500
const lookEveryMs = 250

export default defineCommand({
  name: 'handlers list',
  section: 'watch',
  summary: 'handlers: health, rate, times, errors, who runs them, and who paused them',
  description: [
    'STATE: runs · paused (by an operator) · broken (its circuit breaker is open) · unhealthy (its own check fails) · nobody (its',
    'events wait for a bridge that runs it).',
    'Rates and times are those of the last second or two. BEHIND: positions of the log to pass, wanted or not; what waits for',
    'a retry, its turn or a contract; and while nobody leads, what has no position yet.',
  ].join('\n'),
  examples: [
    { line: 'evt handlers list', says: 'each handler, and what holds it' },
    { line: 'evt handlers list --json', says: 'for a script: with breakers, instances and reasons' },
  ],
  args: {},
  options: { ...storeOptions, ...formatOptions },
  async run(_input, runtime) {
    return withStore(runtime, { command: 'handlers list', max: 4 }, async (store) => {
      const handlers = await look(store)
      const nowMs = runtime.now()
      const render = () =>
        handlers.length === 0 ? 'no handlers\n' : renderTable(handlers, columnsAt(nowMs), runtime.output)
      runtime.output.result({ data: { handlers }, meta: { store: store.url }, render })
      return undefined
    })
  },
})

interface Row {
  readonly handler: string
  readonly state: 'runs' | StoppedHandler['state']
  readonly health: HandlerSample['health'] | null
  readonly priority: string | null
  /** Of one process. */
  readonly concurrency: number | null
  readonly ratePerSecond: number
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly failed: number
  readonly dead: number
  readonly lastError: string | null
  readonly lagEvents: number
  readonly retrying: number
  /** Without a position while nobody leads: it may be for any handler. */
  readonly unsequenced: number
  readonly instances: readonly string[]
  readonly pause: HandlerState['pause']
  readonly breaker: HandlerState['breaker']
  readonly unhealthy: string | null
}

async function look(store: Store): Promise<readonly Row[]> {
  const { readSnapshot } = await import('../../watch/read-snapshot.ts')
  const { heardBetween, windowBetween } = await import('../../watch/window.ts')
  const { readHandlerStates } = await import('../../store/handler-states.ts')
  const first = await readSnapshot(store)
  let last = first
  const endMs = performance.now() + (first.instances.some(({ alive }) => alive) ? heardWithinMs : 0)
  while (performance.now() < endMs && (last === first || !heardBetween(first, last))) {
    await delay(lookEveryMs)
    last = await readSnapshot(store)
  }
  const states = new Map((await readHandlerStates(store)).map((state) => [state.handler, state]))
  const { handlers, seconds } = windowBetween(last === first ? undefined : first, last)
  const windows = new Map(handlers.map((window) => [window.handler, window]))
  const names = new Set([...states.keys(), ...windows.keys()])
  return [...names]
    .sort()
    .map((name) => rowOf(name, { snapshot: last, seconds, window: windows.get(name), state: states.get(name) }))
}

interface Known {
  readonly snapshot: Snapshot
  readonly seconds: number
  readonly window: HandlerWindow | undefined
  readonly state: HandlerState | undefined
}

function rowOf(handler: string, { snapshot, seconds, window, state }: Known): Row {
  const running = snapshot.instances.filter((one) => one.alive && one.handlers.some((own) => own.handler === handler))
  const samples = running.flatMap((one) => one.handlers.filter((own) => own.handler === handler))
  const [sample] = samples
  const backlog = snapshot.backlog.find((one) => one.handler === handler)
  const sum = (of: (one: HandlerSample) => number) => samples.reduce((total, one) => total + of(one), 0)
  return {
    handler,
    state: stateOf(handler, snapshot, running.length),
    health: running.length === 0 ? null : (window?.health ?? null),
    priority: sample?.priority ?? null,
    concurrency: sample?.concurrency ?? null,
    ratePerSecond: running.length === 0 || !window ? 0 : window.handled / seconds,
    p50Ms: msAt(window?.endToEnd, 0.5),
    p99Ms: msAt(window?.endToEnd, 0.99),
    failed: sum((one) => one.failed),
    dead: sum((one) => one.dead),
    lastError: window?.lastError ?? null,
    lagEvents: backlog?.lagEvents ?? 0,
    retrying: backlog?.retrying ?? 0,
    unsequenced: snapshot.instances.some(({ leader }) => leader) ? 0 : snapshot.head.outboxPending,
    instances: running.map(({ instance }) => instance),
    pause: state?.pause ?? null,
    breaker: state?.breaker ?? null,
    unhealthy: samples.flatMap((one) => one.unhealthy ?? [])[0] ?? null,
  }
}

/** A replay runs its own only now and then, and nobody has to see to them. */
const stateOf = (handler: string, { stopped }: Snapshot, bridges: number): Row['state'] =>
  stopped.find((one) => one.handler === handler)?.state ?? (bridges === 0 ? 'nobody' : 'runs')

function msAt(histogram: Histogram | undefined, q: number): number | null {
  const us = histogram?.percentile(q)
  return us === undefined ? null : us / 1000
}

const ms = (value: number | null) =>
  value === null ? undefined : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`
const some = (value: number) => (value === 0 ? undefined : formatCount(Math.round(value)))

const columnsAt = (nowMs: number) => [
  { head: 'HANDLER', cell: ({ handler }: Row) => handler },
  { head: 'STATE', cell: ({ state }: Row) => state },
  { head: 'HEALTH', cell: ({ health }: Row) => health ?? undefined },
  { head: 'PRIORITY', cell: ({ priority }: Row) => priority ?? undefined, expendable: 2 },
  {
    head: 'CONC',
    cell: ({ concurrency }: Row) => (concurrency === null ? undefined : String(concurrency)),
    expendable: 1,
  },
  { head: 'RATE/S', cell: ({ ratePerSecond }: Row) => some(ratePerSecond) },
  { head: 'P50', cell: ({ p50Ms }: Row) => ms(p50Ms), expendable: 3 },
  { head: 'P99', cell: ({ p99Ms }: Row) => ms(p99Ms) },
  { head: 'FAILED', cell: ({ failed }: Row) => some(failed) },
  { head: 'DEAD', cell: ({ dead }: Row) => some(dead) },
  { head: 'BEHIND', cell: ({ lagEvents, retrying, unsequenced }: Row) => some(lagEvents + retrying + unsequenced) },
  { head: 'RUN BY', cell: ({ instances }: Row) => instances.join(' ') || undefined },
  { head: 'WHY', cell: (row: Row) => why(row, nowMs), grows: true as const },
]

function why(row: Row, nowMs: number): string | undefined {
  return whyStopped(row, nowMs) ?? (row.failed > 0 ? (row.lastError ?? undefined) : undefined)
}
