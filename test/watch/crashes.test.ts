import { expect, it } from 'vitest'
import { defaultAlerts } from '../../src/core/alerts/defaults.ts'
import { resolveAlerts } from '../../src/core/alerts/resolve-alerts.ts'
import { createHistogram } from '../../src/core/histogram.ts'
import type { Store } from '../../src/store/connection.ts'
import { factsOf } from '../../src/watch/alerts/facts.ts'
import { measuredActive } from '../../src/watch/alerts/measured.ts'
import { readSnapshot } from '../../src/watch/read-snapshot.ts'
import { createTestDatabase } from '../setup/database.ts'

interface Bridge {
  /** In seconds before now. */
  readonly from: number
  readonly to: number
  readonly isStopped?: boolean
  readonly handlers?: readonly string[]
  readonly roles?: readonly string[]
}

const empty = createHistogram().encode()
const sample = { group: 'a', priority: 'normal', concurrency: 1, handled: 0, runTime: empty, endToEnd: empty }
const stages = { relay: empty, deliver: empty, queue: empty, handle: empty }

async function addBridges(store: Store, bridges: Readonly<Record<string, Bridge>>): Promise<void> {
  await store.query('delete from evt.instances')
  for (const [
    name,
    { from, to, isStopped = false, handlers = ['a.one', 'a.two'], roles = ['handlers'] },
  ] of Object.entries(bridges))
    await store.query(
      `insert into evt.instances (instance, host, pid, version, roles, leader, started_at, beat_at, stopped_at, sample)
       select $1, 'h', 1, '0', $2, false, t - $3 * interval '1 s', t - $4 * interval '1 s',
         case when $5 then t - $4 * interval '1 s' end, $6 from clock_timestamp() t`,
      [
        name,
        roles,
        from,
        to,
        isStopped,
        JSON.stringify({ handlers: handlers.map((handler) => ({ ...sample, handler })), stages }),
      ],
    )
}

const rule = defaultAlerts.find(({ name }) => name === 'handler-crashed')
/** What the built-in rule says, by what it is about. */
async function crashes(store: Store, placed = ['a.one', 'a.two']): Promise<object> {
  const later = await readSnapshot(store)
  const facts = factsOf({
    ...{ earlier: later, later, latencies: new Map(), placed: new Set(placed) },
    events: { perMinute: null, usualPerMinute: null, refusedPerMinute: 0 },
    pressure: { horizon: undefined, notifyQueue: 0, sagas: [] },
  })
  const resolved = resolveAlerts([], 0).find(({ name }) => name === rule?.name)
  if (resolved?.when.kind !== 'metric') throw new Error('it looks at what is measured')
  return Object.fromEntries([...measuredActive(resolved.when, facts)].map(([key, { says }]) => [key, says]))
}

it('a bridge that ends without a word is one alert, until others have run its handlers for a while', async () => {
  const { store } = await createTestDatabase({ max: 6 })
  const dead = { from: 900, to: 300 }
  const says = { dead: expect.stringContaining('a.one, a.two') }
  const cases: readonly (readonly [string, Readonly<Record<string, Bridge>>, object])[] = [
    ['nobody runs them', { dead }, says],
    ['somebody has begun a moment ago', { dead, next: { from: 10, to: 0 } }, says],
    ['somebody has for a while', { dead, next: { from: 60, to: 0 } }, {}],
    ['somebody beside it goes on', { dead, beside: { from: 900, to: 0 } }, {}],
    [
      'somebody had, stopped, and the next begins',
      { dead, between: { from: 290, to: 20, isStopped: true }, next: { from: 5, to: 0 } },
      {},
    ],
    ['each of several died at once', { dead, next: { from: 290, to: 280 } }, { ...says, next: says.dead }],
    [
      'somebody runs one of them',
      { dead, next: { from: 60, to: 0, handlers: ['a.one'] } },
      { dead: expect.not.stringContaining('a.one') },
    ],
    ['it stopped in order', { dead: { ...dead, isStopped: true } }, {}],
    [
      'it relayed, and another does',
      { dead: { ...dead, handlers: [], roles: ['relay'] }, next: { from: 60, to: 0, roles: ['relay'] } },
      {},
    ],
    [
      'it relayed, and nobody does',
      { dead: { ...dead, handlers: [], roles: ['relay'] } },
      { dead: expect.stringContaining('relay') },
    ],
  ]
  for (const [name, bridges, expected] of cases) {
    await addBridges(store, bridges)
    expect(await crashes(store), name).toEqual(expected)
  }
  await addBridges(store, { dead })
  expect(await crashes(store, ['a.two'])).toEqual({ dead: expect.not.stringContaining('a.one') })
  expect(await crashes(store, [])).toEqual({})
})
