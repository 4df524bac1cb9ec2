import { afterAll, beforeAll, expect, it } from 'vitest'
import { z } from 'zod'
import { createRegistry, defineEvent } from '../../src/index.ts'
import { until } from '../setup/until.ts'
import { connectRaw } from './raw.ts'
import { readStream } from './read-stream.ts'
import { type Served, serve } from './served.ts'

const tried = defineEvent('user.tried', { 1: z.object({}) }, { draft: true })
const created = defineEvent('user.created', { 1: z.object({ name: z.string() }) })
let served: Served
beforeAll(async () => {
  served = await serve({}, { registry: createRegistry([tried, created]) })
})
afterAll(async () => {
  await served.stop()
  await served.database[Symbol.asyncDispose]()
})

const user = { type: 'user.created', data: { name: 'Ada' } }
const problemOf = async (path: string, init: RequestInit = {}) => {
  const answer = await fetch(`${served.url}${path}`, { ...init, signal: AbortSignal.timeout(5_000) })
  return { status: answer.status, allow: answer.headers.get('allow'), ...((await answer.json()) as { title: string }) }
}

it('a draft is refused as what it is, and nobody was denied access', async () => {
  const { status, body } = await served.post({ type: 'user.tried', data: {} })
  expect({ status, body }).toMatchObject({
    status: 422,
    body: { events: [{ code: 'contract', reason: expect.stringContaining('is a draft') }] },
  })
  await served.post([{ type: 'user.tried', data: {} }, user])
})

it('a version that nobody knows is refused, and not said to wait', async () => {
  const { status, body } = await served.post({ ...user, version: 3 })
  expect(status).toBe(422)
  expect(body.events[0]?.reason).toContain('knows it up to v1')
  expect(body.events[0]?.hint).not.toContain('wait')
})

it('an empty pattern asks for nothing, and is refused', async () => {
  for (const pattern of ['', 'user.*&pattern='])
    expect(await problemOf(`/events?pattern=${pattern}`)).toMatchObject({
      status: 400,
      title: expect.stringContaining('pattern'),
    })
})

it('a batch that is no list is refused', async () => {
  const event = { specversion: '1.0', id: 'one', source: 'shop', type: 'user.created', data: { name: 'Ada' } }
  const headers = { 'content-type': 'application/cloudevents-batch+json' }
  const init = { method: 'POST', headers, body: JSON.stringify(event) }
  expect(await problemOf('/events', init)).toMatchObject({ status: 400, title: expect.stringContaining('list') })
})

it('another method of a place that is there is 405, and says which there are', async () => {
  for (const method of ['DELETE', 'PUT'])
    expect(await problemOf('/events', { method })).toMatchObject({ status: 405, allow: 'GET, POST' })
  expect(await problemOf('/stats', { method: 'POST' })).toMatchObject({ status: 405, allow: 'GET' })
  expect(await problemOf('/nowhere', { method: 'POST' })).toMatchObject({ status: 404 })
})

it('a client that goes away while it sends is no failure of this one', async () => {
  const client = await connectRaw(served.url)
  client.write(
    'POST /events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{',
  )
  await fetch(`${served.url}/healthz`)
  client.socket.destroy()
  await client.closed
  await until(async () => (await served.post(user)).status === 202)
  expect(served.lines.filter((line) => line.startsWith('a request failed'))).toEqual([])
})

// The last one: it stops what the others ask.
it('a stream ends with the word that the bridge stops, and nothing of all this is in the audit log', async () => {
  const stream = await readStream(`${served.url}/events`)
  await served.stop()
  await stream.ended
  expect(stream.messages.at(-1)).toMatchObject({ event: 'end', data: expect.stringContaining('this bridge stops') })
  expect((await served.store.query('select verb, reason from evt.audit')).rows).toEqual([])
})
