import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { until } from '../setup/until.ts'
import { eventOf, messageOf, type Running, run } from './running.ts'

const long = () => randomBytes(2_250).toString('base64')
const retry = { attempts: 2, initial: '1ms', max: '2ms' }

/** As one that was written before fields were bounded, or that comes from a broker. */
const oddMessage = (given: { readonly id?: string; readonly subject?: string; readonly data?: unknown }) => {
  const { id = 'odd', subject, data = {} } = given
  const message = messageOf(eventOf({ type: 'thing.happened', data }))
  const headers = { ...message.headers, 'ce-id': id, ...(subject === undefined ? {} : { 'ce-subject': subject }) }
  return { ...message, id, key: subject ?? null, headers }
}

const send = ({ transport }: Running, ...messages: ReturnType<typeof oddMessage>[]) =>
  transport.publish('events', messages, AbortSignal.timeout(5_000))

test('an event with a subject that no index holds fails, waits and dies by itself; those behind it keep their order', async () => {
  const seen: string[] = []
  const handler = defineHandler({
    name: 'test.long',
    on: ['thing.*'],
    retry,
    start: 'earliest',
    handle({ id, data }) {
      seen.push(id)
      if ((data as { bad?: true }).bad) throw new Error('bad')
    },
  })
  const running = await run([handler])
  const subject = long()
  await send(running, oddMessage({ id: 'bad', subject, data: { bad: true } }), oddMessage({ id: 'behind', subject }))
  await running.publish({ id: 'good', type: 'thing.happened', subject: 'other' })
  await until(() => ['good', 'behind'].every((id) => seen.includes(id)))
  expect(seen.indexOf('behind')).toBeGreaterThan(seen.lastIndexOf('bad'))
  const letters = () =>
    running.rows('select event_id, octet_length(subject) < 1024 as short, headers from evt.dead_letters')
  await until(async () => (await letters()).length === 1)
  expect(await letters()).toMatchObject([{ event_id: 'bad', short: true, headers: { 'ce-subject': subject } }])
})

test('an event with an id that no index holds is one dead letter, alone as well as behind another; the rest is handled once', async () => {
  const seen: string[] = []
  const handler = defineHandler({
    name: 'test.long',
    on: ['thing.*'],
    retry: { attempts: 2, initial: '50ms', max: '60ms' },
    start: 'earliest',
    handle({ id, data }) {
      seen.push(id)
      if ((data as { bad?: true }).bad) throw new Error('bad')
    },
  })
  const running = await run([handler])
  const [alone, behind] = [long(), long()]
  await send(running, oddMessage({ id: alone }), oddMessage({ id: 'bad', subject: 's', data: { bad: true } }))
  await send(running, oddMessage({ id: behind, subject: 's' }))
  await running.publish(...['a', 'b', 'c'].map((id) => ({ id, type: 'thing.happened', subject: id })))
  const letters = () => running.rows("select headers->>'ce-id' as id from evt.dead_letters")
  await until(async () => (await letters()).length === 3)
  expect((await letters()).map(({ id }) => id).sort()).toEqual([alone, behind, 'bad'].sort())
  await until(() => ['a', 'b', 'c'].every((id) => seen.includes(id)))
  expect(seen.filter((id) => id !== 'bad').sort()).toEqual(['a', 'b', 'c'])
})

test("a row of the handler's own that is too long for an index is not tried again", async () => {
  let tries = 0
  const handler = defineHandler({
    name: 'test.long',
    on: ['thing.*'],
    retry: { attempts: 5, initial: '1ms', max: '2ms' },
    start: 'earliest',
    async handle(_, { sql }) {
      tries += 1
      await sql`insert into named values (${long()})`
    },
  })
  const running = await run([handler])
  await running.store.query('create table named (name text primary key)')
  await running.publish({ type: 'thing.happened' })
  await until(async () => (await running.rows('select from evt.dead_letters')).length === 1)
  expect(tries).toBe(1)
})

test('while the store refuses to note what became of an event, its handler says since when', async () => {
  const handler = defineHandler({
    name: 'test.stuck',
    on: ['thing.*'],
    start: 'earliest',
    handle: () => Promise.reject(new Error('bad')),
  })
  const running = await run([handler])
  await running.store.query(
    `create function refuse() returns trigger language plpgsql as $$ begin raise 'no room'; end $$`,
  )
  await running.store.query(
    'create trigger refuse before insert on evt.deliveries for each row execute function refuse()',
  )
  await running.publish({ type: 'thing.happened' })
  const stuckMs = () => running.recorder.sample().handlers[0]?.stuckMs
  await until(() => (stuckMs() ?? 0) > 0)
  await running.store.query('drop trigger refuse on evt.deliveries')
  await until(() => stuckMs() === undefined)
})
