// Alerts: one bridge at a time looks at what all of them measure and at the log, and tells what begins and what ends.

import type { AlertRule } from '../../core/alerts/alert-rule.ts'
import { type AlertConfig, type EventPattern, resolveAlerts } from '../../core/alerts/resolve-alerts.ts'
import { toError } from '../../core/errors.ts'
import type { HandlerLog } from '../../handle/handler.ts'
import { listAlerts } from '../../store/alerts.ts'
import {
  readCountedPosition,
  readLastOfTypes,
  readTypeTraffic,
  readUsualPerMinute,
  type TypeTraffic,
} from '../../store/analytics.ts'
import type { Store } from '../../store/connection.ts'
import { createLogReader, type LogReader } from '../../store/log.ts'
import { holdTask, leaveTask, type WatchTask } from '../../store/watch-tasks.ts'
import { readPressure } from '../metrics/read-pressure.ts'
import { readSnapshot } from '../read-snapshot.ts'
import { startTask } from '../run-task.ts'
import type { Snapshot } from '../snapshot.ts'
import type { Baseline } from './baseline.ts'
import { createPatternWatch, type PatternMemory, type PatternWatch } from './event-patterns.ts'
import { expectedActive } from './expected.ts'
import { factsOf, latenciesWith, type MeasuredFacts } from './facts.ts'
import { measuredActive, mostKeys } from './measured.ts'
import { readSeen } from './read-seen.ts'
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
}

/** JSON of the task's row. */
interface Memory {
  readonly latencies?: Readonly<Record<string, Baseline>>
  /** By rule: what its pattern says, since when it is looked at, and what it has seen. */
  readonly rules?: Readonly<
    Record<string, { readonly text: string; readonly sinceMs: number; readonly seen?: PatternMemory }>
  >
}

interface Held {
  position: bigint
  latencies: ReadonlyMap<string, Baseline>
  readonly snapshots: Snapshot[]
  readonly since: Map<string, number>
  readonly watches: ReadonlyMap<string, PatternWatch>
  headBefore: bigint
}

const isPattern = ({ when }: AlertConfig) =>
  when.kind === 'count' || when.kind === 'sequence' || when.kind === 'absence'

/** Throws EvtError('config') for a rule that cannot be used. */
export function startAlerts(options: AlertsOptions): { stop(): Promise<void> } {
  const { store, log, calm, everyMs = 5_000, minuteMs = 60_000 } = options
  const rules = resolveAlerts(options.rules, Date.now())
  const task: WatchTask = { task: 'alerts', holder: options.instance, leaseMs: Math.max(10_000, 3 * everyMs) }
  const ending = new AbortController()
  const webhooks = createWebhooks({ sql: store, log: calm, signal: ending.signal })
  let held: Held | undefined
  let reader: LogReader | undefined

  async function step(): Promise<void> {
    const now = await holdTask(store, task)
    if (!now) {
      held = undefined
      return
    }
    held ??= heldOf(rules, now)
    const [snapshot, pressure] = await Promise.all([readSnapshot(store), readPressure(store)])
    remember(held.snapshots, snapshot, minuteMs)
    const earlier = held.snapshots[0] ?? snapshot
    const isWhole = snapshot.clockMs - earlier.clockMs >= minuteMs * 0.9
    const usualPerMinute = await readUsualPerMinute(store)
    const facts = factsOf({ earlier, later: snapshot, isWhole, pressure, usualPerMinute, latencies: held.latencies })
    await followLog(held, now.head)
    const traffic = await trafficOf(held.headBefore)
    held.headBefore = now.head
    await judge(held, { facts, traffic, isWhole, nowMs: now.nowMs })
    held.latencies = latenciesWith(held.latencies, facts.handler)
    await webhooks.send()
  }

  async function followLog(own: Held, head: bigint): Promise<void> {
    if (own.watches.size === 0) own.position = head
    else {
      reader ??= createLogReader(store)
      const patterns = rules.filter(isPattern).map(({ when }) => when as EventPattern)
      const watches = [...own.watches.values()]
      own.position = await readSeen(
        { reader, patterns, from: own.position, to: head, signal: ending.signal },
        (seen) => {
          for (const watch of watches) watch.see(seen)
        },
      )
    }
  }

  /** Undefined while analytics is behind: then nobody knows what did not come. */
  async function trafficOf(head: bigint): Promise<Traffic | undefined> {
    if (!rules.some(({ when }) => when.kind === 'expected') || (await readCountedPosition(store)) < head)
      return undefined
    return { recent: await readTypeTraffic(store), ever: await readLastOfTypes(store) }
  }

  async function judge(own: Held, seen: Seen): Promise<void> {
    const rows = await listAlerts(store)
    const all = rules.map((rule) => {
      const active = activeOf(rule, own, seen)
      const isSure = active !== undefined && (rule.when.kind !== 'metric' || seen.isWhole)
      const mine = rows.filter(({ alert }) => alert === rule.name)
      return transitionsOf({ rule, rows: mine, active: active ?? new Map(), isSure, nowMs: seen.nowMs })
    })
    const gone = rows.filter(({ alert }) => !rules.some(({ name }) => name === alert))
    const state = { position: own.position, memory: memoryOf(rules, own) }
    await tell({ store, log, task, state }, [...all, ...withoutRule(gone, seen.nowMs)])
  }

  const running = startTask({
    everyMs,
    signal: ending.signal,
    step,
    onError(error) {
      // What was remembered may be older than what is stored.
      held = undefined
      calm.warn('cannot look for alerts', { error: toError(error).message })
    },
  })
  return {
    async stop() {
      ending.abort()
      await running
      await webhooks.idle()
      await leaveTask(store, task).catch(() => {})
      await reader?.close()
    },
  }
}

interface Traffic {
  readonly recent: readonly TypeTraffic[]
  readonly ever: readonly TypeTraffic[]
}

interface Seen {
  readonly facts: MeasuredFacts
  readonly traffic: Traffic | undefined
  readonly isWhole: boolean
  readonly nowMs: number
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
  const matches = own.watches.get(rule.name)?.holding(nowMs) ?? []
  return new Map(matches.slice(0, mostKeys).map(({ key, value, text }) => [key, { value, says: text }]))
}

function heldOf(
  rules: readonly AlertConfig[],
  now: { position: bigint; memory: unknown; nowMs: number; head: bigint },
): Held {
  const memory = (now.memory ?? {}) as Memory
  const known = (rule: AlertConfig) => {
    const own = memory.rules?.[rule.name]
    return own?.text === rule.text ? own : undefined
  }
  return {
    position: now.position,
    latencies: new Map(Object.entries(memory.latencies ?? {})),
    snapshots: [],
    since: new Map(rules.map((rule) => [rule.name, known(rule)?.sinceMs ?? now.nowMs])),
    watches: new Map(
      rules
        .filter(isPattern)
        .map((rule) => [rule.name, createPatternWatch(rule.when as EventPattern, known(rule)?.seen)]),
    ),
    headBefore: now.head,
  }
}

function memoryOf(rules: readonly AlertConfig[], own: Held): Memory {
  return {
    latencies: Object.fromEntries(own.latencies),
    rules: Object.fromEntries(
      rules.map(({ name, text }) => {
        const watch = own.watches.get(name)
        return [name, { text, sinceMs: own.since.get(name) ?? 0, ...(watch ? { seen: watch.memory() } : {}) }]
      }),
    ),
  }
}

/** Keeps those of the last minute, and one that is older. */
function remember(snapshots: Snapshot[], snapshot: Snapshot, minuteMs: number): void {
  snapshots.push(snapshot)
  while ((snapshots[1]?.clockMs ?? Number.POSITIVE_INFINITY) <= snapshot.clockMs - minuteMs) snapshots.shift()
}

/** Whose rule is gone from the configuration is over. */
const withoutRule = (rows: Awaited<ReturnType<typeof listAlerts>>, nowMs: number): readonly Transitions[] =>
  rows.map((row) => {
    const resolved = { ...row, state: 'resolved', resolvedMs: nowMs, toldMs: nowMs } as const
    if (row.state === 'pending') return { put: [], dropped: [row], told: [] }
    return { put: [resolved], dropped: [], told: [{ kind: 'resolved', row: resolved, rule: { to: ['log', 'event'] } }] }
  })
