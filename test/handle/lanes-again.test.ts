import { randomUUID } from 'node:crypto'
import { it, onTestFinished } from 'vitest'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { placeTransport } from '../../src/handle/placed-transport.ts'
import { openMemory } from '../../src/transports/memory/index.ts'
import type { Transport } from '../../src/transports/transport.ts'
import { until } from '../setup/until.ts'
import { eventOf, messageOf, run, silent } from './running.ts'

const handler = defineHandler({
  name: 'test.lanes',
  on: ['thing.*'],
  start: 'earliest',
  async handle(event, { sql }) {
    await sql`insert into effects (id) values (${event.id})`
  },
})

const someEvents = () => Array.from({ length: 40 }, (_, n) => ({ type: 'thing.done', subject: `s${n}` }))

it('a handler goes on in the lanes that it has when asking for more of them fails', async () => {
  const memory = openMemory(`memory://lanes-again-${randomUUID()}`)
  const failing = Promise.withResolvers<never>()
  failing.promise.catch(() => {})
  let asked = 0
  async function* lanes(...given: Parameters<NonNullable<Transport['lanes']>>) {
    const isFirst = asked++ === 0
    const found = memory.lanes?.(...given)[Symbol.asyncIterator]()
    while (found) {
      const next = await Promise.race([found.next(), ...(isFirst ? [failing.promise] : [])])
      if (next.done) return
      yield next.value
    }
  }
  const transport = { ...memory, lanes }
  const running = await run([handler], { transport })
  const handled = async () => (await running.rows('select from effects')).length
  await running.publish(...someEvents())
  await until(async () => (await handled()) === 40)
  failing.reject(new Error('one of its topics may not be read any more'))
  await until(() => asked > 1)
  await running.publish(...someEvents())
  await until(async () => (await handled()) === 80)
})

it('a handler on its way from the log to a sink goes on when the store was away for a step', async () => {
  const running = await run([])
  const log = openMemory(`memory://lanes-again-${randomUUID()}`)
  onTestFinished(() => log.close())
  await log.ensure([{ name: 'log', lanes: 4 }], 'create')
  const placed = (name: string, transport: Transport, said: string[] = []) => {
    const warn = (message: string) => void said.push(message)
    const intake = { name, target: name }
    const place = placeTransport({
      ...{ store: running.store, instance: name, log: { ...silent, warn }, intake, transport },
      openLog: async () => log,
    })
    onTestFinished(() => place.stop())
    return place
  }
  const handled = async () => (await running.rows('select from effects')).length
  const send = () => log.publish('log', someEvents().map(eventOf).map(messageOf), AbortSignal.timeout(5_000))

  const before = placed('log', log)
  const first = await running.another([handler], { transport: before.transport, topics: ['log'], instance: 'log' })
  await send()
  await until(async () => (await handled()) === 40)
  await first.stop({ graceMs: 2_000 })
  await before.stop()

  const said: string[] = []
  await running.another([handler], { transport: placed('sink', running.transport, said).transport, instance: 'sink' })
  await send()
  await until(async () => (await handled()) === 80)
  await running.store.transaction(async (sql) => {
    await sql.query(`select pg_advisory_xact_lock(hashtextextended('evt.place test.lanes', 0))`)
    const ended = `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and wait_event = 'advisory'`
    await until(async () => (await running.rows(ended)).length > 0)
  })
  await until(() => said.length > 0)
  await send()
  await until(async () => (await handled()) === 120)
})
