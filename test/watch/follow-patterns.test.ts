import { expect, it, onTestFinished } from 'vitest'
import type { EventCondition } from '../../src/core/alerts/alert-rule.ts'
import { resolveAlerts } from '../../src/core/alerts/resolve-alerts.ts'
import type { Store } from '../../src/store/connection.ts'
import { followPatterns, type PatternsMemory } from '../../src/watch/alerts/follow-patterns.ts'
import { sequence } from '../commands/sequence.ts'
import { createTestDatabase } from '../setup/database.ts'

const hourMs = 3_600_000
const { signal } = new AbortController()

function open(store: Store, when: EventCondition, from: { memory?: PatternsMemory; told?: bigint } = {}) {
  const rules = resolveAlerts([{ name: 'rule', when }], 0)
  const patterns = followPatterns({ store, rules, memory: undefined, told: 0n, ...from })
  onTestFinished(() => patterns.close())
  return {
    ...{ patterns, keys: () => patterns.holding('rule')?.map(({ key }) => key) },
    follow: (mostMs: number, nowMs = Date.now() + hourMs) => patterns.follow({ nowMs, mostMs, signal }),
  }
}

/** More than one page of the reader lies between the two. */
async function placed(store: Store, subjects: readonly string[]): Promise<void> {
  for (const subject of subjects) await store.query(`select evt.publish('order.placed', '{"total": 3}', $1)`, [subject])
  await store.query(`select evt.publish('noise.made', '{}') from generate_series(1, 6000)`)
  await store.query(`select evt.publish('order.paid', '{}', 'order/1')`)
  await sequence(store)
}

const unpaid = { after: 'order.placed', missing: 'order.paid', within: '10m', by: 'subject' } as const

it('patterns are judged by the time of what was read, while the log is read behind', async () => {
  const { store } = await createTestDatabase()
  await placed(store, ['order/1', 'order/2'])
  const { patterns, keys, follow } = open(store, unpaid)
  await follow(0)
  expect([patterns.isBehind, patterns.position, keys()]).toEqual([true, 5_000n, []])
  expect(patterns.judgedMs).toBeLessThan(Date.now())
  await follow(60_000)
  expect([patterns.isBehind, patterns.position, keys()]).toEqual([false, 6_003n, ['order/2']])

  // What is committed and not in the log yet may be what is missing.
  await store.query(`select evt.publish('order.placed', '{}', 'order/3')`)
  await sequence(store)
  await store.query(`select evt.publish('order.paid', '{}', 'order/3')`)
  const other = open(store, unpaid)
  await other.follow(60_000)
  expect([other.patterns.isBehind, other.keys()]).toEqual([false, []])
  expect(other.patterns.judgedMs).toBeLessThan(Date.now())
})

it('a burst is told of however late it is read', async () => {
  const { store } = await createTestDatabase()
  await placed(store, ['order/1', 'order/2'])
  const { keys, follow } = open(store, { count: 'order.placed', atLeast: 2, within: '1m' })
  await follow(60_000)
  expect([keys(), keys()]).toEqual([[''], []])
})

it('an expression looks into the events that it is about', async () => {
  const { store } = await createTestDatabase()
  await placed(store, ['order/1'])
  const total = (where: string) =>
    open(store, { count: { type: ['order.*', 'never.*'], where }, atLeast: 1, within: '2h', by: 'subject' })
  const [three, four] = [total('data.total == 3'), total('data.total == 4')]
  await Promise.all([three.follow(60_000), four.follow(60_000)])
  expect([three.keys(), four.keys()]).toEqual([['order/1'], []])
})

it('who takes over reads again from what was written down, and tells nothing of it twice', async () => {
  const { store } = await createTestDatabase()
  await placed(store, ['order/1', 'order/2'])
  const rule = { count: 'order.*', atLeast: 2, within: '2h' } as const
  const first = open(store, rule)
  const memory = JSON.parse(JSON.stringify(first.patterns.memory())) as PatternsMemory
  await first.follow(0)
  expect(first.keys()).toEqual([''])
  const second = open(store, { ...rule, within: '1m' }, { memory, told: 6_002n })
  await second.follow(0)
  expect([second.patterns.isBehind, second.patterns.position, second.keys()]).toEqual([true, 6_002n, undefined])
  await second.follow(60_000)
  expect([second.patterns.isBehind, second.patterns.position, second.keys()]).toEqual([false, 6_003n, ['']])
})
