// Alerts: one bridge at a time looks at what all of them measure and at the log, and tells what begins and what ends.

import type { AlertRule } from '../../core/alerts/alert-rule.ts'
import { type AlertConfig, resolveAlerts } from '../../core/alerts/resolve-alerts.ts'
import { toError } from '../../core/errors.ts'
import type { HandlerLog } from '../../handle/handler.ts'
import { type AlertRow, listAlerts } from '../../store/alerts.ts'
import {
  type Published,
  readLastOfTypes,
  readPublished,
  readTypeTraffic,
  readUsualPerMinute,
  type TypeTraffic,
} from '../../store/analytics.ts'
import type { Store } from '../../store/connection.ts'
import { readPlacedHandlers } from '../../store/handler-states.ts'
import { holdTask, leaveTask, saveTask, type WatchTask } from '../../store/watch-tasks.ts'
import { readPressure } from '../metrics/read-pressure.ts'
import { readSnapshot } from '../read-snapshot.ts'
import { startTask } from '../run-task.ts'
import type { Snapshot } from '../snapshot.ts'
import type { Baseline } from './baseline.ts'
import { expectedActive } from './expected.ts'
import { factsOf, latenciesWith, type MeasuredFacts } from './facts.ts'
import { followPatterns, isPattern, type Patterns, type PatternsMemory } from './follow-patterns.ts'
import { measuredActive, mostOf } from './measured.ts'
import { tell } from './tell.ts'
import { type Active, type Transitions, transitionsOf } from './transitions.ts'
import { createWebhooks } from './webhooks.ts'

export interface AlertsOptions {
  readonly store: Store
  readonly instance: string
  readonly rules: readonly AlertRule[]
  /** Is told of alerts. */
  readonly log: HandlerLog
  /** Is told of what goes wrong meanwhile. */
  readonly calm: HandlerLog
  /** Between two looks; default 5,000 ms. */
  readonly everyMs?: number | undefined
  /** What "per minute" means; for tests. */
  readonly minuteMs?: number | undefined
  /** How long one look reads the log at most; for tests. */
  readonly readMs?: number | undefined
}

/** JSON of the task's row. */
interface Memory {
  readonly latencies?: Readonly<Record<string, Baseline>>
  /** By rule: what its condition says, and since when it is looked at. */
  readonly rules?: Readonly<Record<string, { readonly text: string; readonly sinceMs: number }>>
  readonly patterns?: PatternsMemory
}

interface Looked {
  readonly snapshot: Snapshot
  readonly published: Published
  /** Since the beginning. */
  readonly refused: number
}

interface Held {
  latencies: ReadonlyMap<string, Baseline>
  /** Of the last minute, and one that is older. */
  readonly looks: Looked[]
  readonly since: ReadonlyMap<string, number>
  /** Undefined: no rule is about events. */
  readonly patterns: Patterns | undefined
  headBefore: bigint
  /** What is remembered is what was told; in between it is not to be written. */
  isSettled: boolean
  /** By `performance.now()`. */
  writtenMs: number
}

/** What is remembered is written so often; who takes over before reads on from there. */
const writeEveryMs = 60_000
/** Throws EvtError('config') for a rule that cannot be used. */
export function startAlerts(options: AlertsOptions): { stop(): Promise<void> } {
  // What is measured is looked at while the log is read.
  const { store, log, calm, everyMs = 5_000, minuteMs = 60_000, readMs = 2_000 } = options
  const rules = resolveAlerts(options.rules, Date.now())
  const task: WatchTask = { task: 'alerts', holder: options.instance, leaseMs: Math.max(10_000, 3 * everyMs) }
  const ending = new AbortController()
  const webhooks = createWebhooks({ sql: store, log: calm, signal: ending.signal })
  let held: Held | undefined

  async function step(): Promise<void> {
    while (await look());
  }

  /** True when there is more to read. */
  async function look(): Promise<boolean> {
    const now = await holdTask(store, task)
    if (!now) {
      await forget()
      return false
    }
    held ??= heldOf(store, rules, now)
    held.isSettled = false
    const rows = await listAlerts(store, { limit: 'none' })
    const [snapshot, pressure] = await Promise.all([readSnapshot(store), readPressure(store)])
    const published = await readPublished(store)
    const { refused } = pressure
    remember(held.looks, { snapshot, published, refused }, minuteMs)
    const earlier = held.looks[0] ?? { snapshot, published, refused }
    const isWhole = snapshot.clockMs - earlier.snapshot.clockMs >= minuteMs * 0.9
    const events = {
      perMinute: isWhole ? Math.max(0, published.events - earlier.published.events) : null,
      usualPerMinute: await readUsualPerMinute(store),
      refusedPerMinute: Math.max(0, refused - earlier.refused),
    }
    const facts = factsOf({
      ...{ earlier: earlier.snapshot, later: snapshot, pressure, events },
      ...{ latencies: held.latencies, placed: await readPlacedHandlers(store) },
    })
    await followLog(held, rows, now.nowMs)
    const traffic = published.counted < held.headBefore ? undefined : await trafficOf()
    held.headBefore = now.head
    held.latencies = latenciesWith(held.latencies, facts.handler)
    await judge(held, { rows, facts, traffic, isWhole, nowMs: now.nowMs, head: now.head })
    await webhooks.send()
    return held.patterns?.isBehind === true && !ending.signal.aborted
  }

  async function followLog({ patterns }: Held, rows: readonly AlertRow[], nowMs: number): Promise<void> {
    if (!patterns) return
    for (const { name } of rules)
      patterns.keep(
        name,
        rows.filter(({ alert }) => alert === name).map(({ key }) => key),
      )
    await patterns.follow({ nowMs, mostMs: readMs, signal: ending.signal })
    if (patterns.isBehind && nowMs - patterns.judgedMs > 2 * everyMs && !ending.signal.aborted)
      calm.warn('alerts over events are behind the log; they are judged by the time of what was read')
    for (const [alert, keys] of patterns.takeForgotten())
      if (keys > 0) calm.warn('an alert has more keys than are remembered; it may miss some', { alert })
  }

  async function trafficOf(): Promise<Traffic | undefined> {
    if (!rules.some(({ when }) => when.kind === 'expected')) return undefined
    return { recent: await readTypeTraffic(store), ever: await readLastOfTypes(store) }
  }

  async function judge(own: Held, seen: Seen): Promise<void> {
    const { rows, nowMs } = seen
    const all = rules.map((rule) => {
      const mine = rows.filter(({ alert }) => alert === rule.name)
      const active = activeOf(rule, own, seen)
      const isSure = active !== undefined && (rule.when.kind !== 'metric' || seen.isWhole)
      const byMs = isPattern(rule) ? (own.patterns?.judgedMs ?? nowMs) : nowMs
      return transitionsOf({ rule, rows: mine, active: mostOf(active ?? new Map(), mine), isSure, nowMs: byMs })
    })
    const gone = rows.filter(({ alert }) => !rules.some(({ name }) => name === alert))
    const isDue = performance.now() - own.writtenMs >= writeEveryMs
    const state = { position: own.patterns?.position ?? seen.head, memory: isDue ? memoryOf(rules, own) : undefined }
    await tell({ store, log, task, state }, [...all, ...withoutRule(gone, nowMs)])
    if (isDue) own.writtenMs = performance.now()
    own.isSettled = true
  }

  async function forget(): Promise<void> {
    const before = held
    held = undefined
    await before?.patterns?.close()
  }

  /** Whoever goes on need not read again. */
  async function leave(): Promise<void> {
    if (held?.isSettled) {
      const position = held.patterns?.position ?? held.headBefore
      await saveTask(store, task, { position, memory: memoryOf(rules, held) })
    }
    await leaveTask(store, task)
  }

  const running = startTask({
    everyMs,
    signal: ending.signal,
    step,
    onError(error) {
      // What was remembered may be older than what is stored.
      forget().catch(() => {})
      calm.warn('cannot look for alerts', { error: toError(error).message })
    },
  })
  return {
    async stop() {
      ending.abort()
      await running
      await webhooks.idle()
      await leave().catch(() => {})
      await forget()
    },
  }
}

interface Traffic {
  readonly recent: readonly TypeTraffic[]
  readonly ever: readonly TypeTraffic[]
}

interface Seen {
  readonly rows: readonly AlertRow[]
  readonly facts: MeasuredFacts
  /** Undefined while analytics is behind: then nobody knows what did not come. */
  readonly traffic: Traffic | undefined
  readonly isWhole: boolean
  readonly nowMs: number
  readonly head: bigint
}

/** Undefined: not known at this moment. */
function activeOf(
  rule: AlertConfig,
  own: Held,
  { facts, traffic, nowMs }: Seen,
): ReadonlyMap<string, Active> | undefined {
  const { when } = rule
  if (when.kind === 'metric') return measuredActive(when, facts)
  if (when.kind === 'expected') {
    if (!traffic) return undefined
    const known = when.withinMs === undefined ? traffic.recent : traffic.ever
    return expectedActive({ rule: when, traffic: known, sinceMs: own.since.get(rule.name) ?? nowMs, nowMs })
  }
  const matches = own.patterns?.holding(rule.name)
  return matches && new Map(matches.map(({ key, value, text }) => [key, { value, says: text }]))
}

function heldOf(
  store: Store,
  rules: readonly AlertConfig[],
  now: { position: bigint; memory: unknown; nowMs: number; head: bigint },
): Held {
  const memory = (now.memory ?? {}) as Memory
  const sinceOf = ({ name, text }: AlertConfig) => {
    const known = memory.rules?.[name]
    return known?.text === text ? known.sinceMs : now.nowMs
  }
  return {
    latencies: new Map(Object.entries(memory.latencies ?? {})),
    looks: [],
    since: new Map(rules.map((rule) => [rule.name, sinceOf(rule)])),
    patterns: rules.some(isPattern)
      ? followPatterns({ store, rules, memory: memory.patterns, told: now.position })
      : undefined,
    headBefore: now.head,
    isSettled: false,
    writtenMs: Number.NEGATIVE_INFINITY,
  }
}

const memoryOf = (rules: readonly AlertConfig[], own: Held): Memory => ({
  latencies: Object.fromEntries(own.latencies),
  rules: Object.fromEntries(rules.map(({ name, text }) => [name, { text, sinceMs: own.since.get(name) ?? 0 }])),
  ...(own.patterns ? { patterns: own.patterns.memory() } : {}),
})

/** Keeps those of the last minute, and one that is older. */
function remember(looks: Looked[], look: Looked, minuteMs: number): void {
  looks.push(look)
  while ((looks[1]?.snapshot.clockMs ?? Number.POSITIVE_INFINITY) <= look.snapshot.clockMs - minuteMs) looks.shift()
}

/** Whose rule is gone from the configuration is over. */
const withoutRule = (rows: readonly AlertRow[], nowMs: number): readonly Transitions[] =>
  rows.map((row) => {
    const resolved = { ...row, state: 'resolved', resolvedMs: nowMs, toldMs: nowMs } as const
    if (row.state === 'pending') return { put: [], dropped: [row], told: [] }
    return { put: [resolved], dropped: [], told: [{ kind: 'resolved', row: resolved, rule: { to: ['log', 'event'] } }] }
  })
