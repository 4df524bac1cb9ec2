import { expect, it, onTestFinished, test } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { placeOf, type Store } from '../../src/store/connection.ts'
import { translateError } from '../../src/store/errors.ts'
import type { LogEntry, LogReader } from '../../src/store/log.ts'
import { createLogProblems } from '../../src/transports/postgres/problems.ts'
import { readAround } from '../../src/transports/postgres/read-around.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const place = placeOf('postgres://u:p@h/db')

async function startBridge(): Promise<{ store: Store; handled: string[]; errors: string[] }> {
  const { store, url } = await createTestDatabase()
  const handled: string[] = []
  const errors: string[] = []
  const handler = defineHandler({
    name: 'test.all',
    on: ['*'],
    start: 'earliest',
    handle: async (event) => void handled.push(event.id),
  })
  const bridge = createBridge({
    store: url,
    handlers: [handler],
    registry: createRegistry([]),
    log: { debug() {}, info() {}, warn() {}, error: (_, fields) => void errors.push(JSON.stringify(fields)) },
  })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  return { store, handled, errors }
}

const publish = (store: Store, events: readonly object[]) =>
  store.query('select evt.publish_many($1)', [JSON.stringify(events)])

it('an event that SQL wrote wrongly is a dead letter of its own, and the others are handled', async () => {
  const { store, handled } = await startBridge()
  const event = { type: 'user.created', data: {} }
  await publish(store, [{ ...event, id: 'a', metadata: null }])
  await store.query(
    `insert into evt.outbox (id, type, source, data, metadata) values ('odd', 'a.b', 'sql', '{}', '[1]')`,
  )
  await publish(store, [{ ...event, id: 'b' }])
  await until(() => handled.length === 2)
  expect(handled.toSorted()).toEqual(['a', 'b'])
  const dead = await until(async () => {
    const { rows } = await store.query('select event_id, reason from evt.dead_letters')
    return rows.length > 0 && rows
  })
  expect(dead).toEqual([{ event_id: 'odd', reason: 'undecodable' }])
})

it('what stalls the lanes and is no outage is logged, once, and they go on when it is mended', async () => {
  const { store, handled, errors } = await startBridge()
  await publish(store, [{ type: 'user.created', data: {}, id: 'before' }])
  await until(() => handled.length === 1)
  await store.query('alter table evt.lane_starts rename to hidden')
  await publish(store, [{ type: 'user.created', data: {}, id: 'behind' }])
  const told = () => errors.filter((error) => error.includes('lane_starts'))
  await until(() => told().length > 0)
  await store.query('alter table evt.hidden rename to lane_starts')
  await until(() => handled.length === 2)
  expect(new Set(told()).size).toBe(told().length)
})

test('a problem is told once for each message, an outage never, nothing after the end', () => {
  const told: string[] = []
  const end = new AbortController()
  const onProblem = (error: Error) => void told.push(error.message)
  const problems = createLogProblems({ place, signal: end.signal, onProblem })
  const failed = (code: string) => Object.assign(new Error(`failed: ${code}`), { code })
  for (const code of ['ECONNREFUSED', '57P01', '08006', '53300', '55P03']) {
    expect(problems.report(failed(code), 7)).toBe(7)
  }
  expect(told).toEqual([])
  for (const code of ['42501', '28P01', 'XX000', '42501']) expect(problems.report(failed(code), 7)).toBeGreaterThan(7)
  expect(told).toEqual([
    'cannot use postgres://u:***@h/db: u may not: failed: 42501',
    'cannot use postgres://u:***@h/db: the server at h refuses user u',
    'failed: XX000',
  ])
  end.abort()
  problems.report(failed('XX001'), 7)
  expect(told).toHaveLength(3)
})

function readerOf(positions: readonly number[], fails: (position: number) => unknown): LogReader {
  const read: LogReader['read'] = async (after, max) => {
    const page = positions.filter((position) => position > after && position <= after + BigInt(max))
    for (const position of page) if (fails(position)) throw fails(position)
    return page.map((position) => ({ position: BigInt(position) }) as LogEntry)
  }
  return { read } as LogReader
}

const salvaged = async (after: bigint) => ({ position: after + 1n, type: 'found' }) as LogEntry

test('each damaged row is found and named; all around it are read', async () => {
  const told: string[] = []
  const onProblem = (error: Error) => void told.push(error.message)
  const problems = createLogProblems({ place, signal: new AbortController().signal, onProblem })
  const positions = Array.from({ length: 1000 }, (_, at) => at + 1)
  const damaged = new Set([3, 500, 501, 1000])
  const damage = Object.assign(new Error('missing chunk'), { code: 'XX001' })
  const reader = readAround(
    readerOf(positions, (position) => damaged.has(position) && damage),
    problems,
    salvaged,
  )
  const read = await reader.read(0n, 1000)
  expect(read.map(({ position }) => Number(position))).toEqual(positions)
  expect(read.filter(({ type }) => type === 'found').map(({ position }) => Number(position))).toEqual([...damaged])
  expect(told).toEqual(
    [3, 500, 501, 1000].map((at) => `cannot read the event at position ${at}: missing chunk; it is a dead letter`),
  )
})

test.each(['57P01', '42501', '53200'])('what says nothing of a row passes over none: %s', async (code) => {
  const error = translateError(Object.assign(new Error('failed'), { code }), place)
  const problems = createLogProblems({ place, signal: new AbortController().signal, onProblem: undefined })
  const reader = readAround(
    readerOf([1, 2], (position) => position === 2 && error),
    problems,
    salvaged,
  )
  await expect(reader.read(0n, 10)).rejects.toBe(error)
})

test('what is found of a damaged row stands in its place; where there is no row, the error is thrown', async () => {
  const told: string[] = []
  const onProblem = (error: Error) => void told.push(error.message)
  const problems = createLogProblems({ place, signal: new AbortController().signal, onProblem })
  const damage = Object.assign(new Error('missing chunk'), { code: 'XX001' })
  const damaged = readerOf([1, 2, 3], (position) => position === 2 && damage)
  const found = readAround(damaged, problems, salvaged)
  expect((await found.read(0n, 10)).map(({ position }) => position)).toEqual([1n, 2n, 3n])
  expect(told).toEqual(['cannot read the event at position 2: missing chunk; it is a dead letter'])
  const nothing = readAround(damaged, problems, async () => undefined)
  await expect(nothing.read(0n, 10)).rejects.toBe(damage)
})
