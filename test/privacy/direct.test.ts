import { randomBytes } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createEventBus, createRegistry, defineEvent, sensitive, withPrivacy } from '../../src/index.ts'
import { createAudit } from '../../src/store/audit.ts'
import { forgetSubject } from '../../src/store/subject-keys.ts'
import { openMemory } from '../../src/transports/memory/index.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

const joined = defineEvent('person.joined', { 1: z.object({ email: sensitive(z.email(), { encrypt: true }) }) })

it('a bus without a store seals with keys of one: plain text is in no message, and a forgotten subject is null', async () => {
  const { store, url } = await createTestDatabase()
  const masterKey = randomBytes(32).toString('base64')
  const place = `memory://sealed-${randomBytes(4).toString('hex')}`
  const start = async () => {
    const { registry, close } = await withPrivacy(createRegistry([joined]), { store: url, privacy: { masterKey } })
    const seen: unknown[] = []
    const bus = createEventBus({ url: place, registry })
    onTestFinished(async () => {
      await bus.stop()
      await close()
    })
    await bus.start()
    await bus.subscribe(joined, (event) => void seen.push(event.data.email), {
      name: `people-${randomBytes(3).toString('hex')}`,
      start: 'earliest',
    })
    return { bus, seen }
  }
  const { bus, seen } = await start()
  const events = ['ada@lovelace.org', 'bob@x.io'].map((email, n) => ({
    type: 'person.joined',
    subject: `user/${n}`,
    data: { email },
  }))
  for (const event of events) expect(await bus.publish(event)).toMatchObject({ state: 'stored' })
  await until(() => seen.length === 2)
  expect([...seen].sort()).toEqual(['ada@lovelace.org', 'bob@x.io'])
  const observed = openMemory(place)
  onTestFinished(() => observed.close())
  const raw: string[] = []
  const options = { from: 'start', follow: false, signal: AbortSignal.timeout(5_000) } as const
  for await (const batch of observed.observe({ topics: ['events'], patterns: ['*'] }, options))
    for (const { body } of batch) raw.push(Buffer.from(body).toString())
  expect(raw).toHaveLength(2)
  expect(raw.join()).not.toMatch(/lovelace|bob@/)
  await forgetSubject(
    store,
    { subject: 'user/0' },
    createAudit({ who: 'test', verb: 'privacy forget', target: 'user/0' }),
  )
  const again = await start()
  await until(() => again.seen.length === 2)
  expect(again.seen).toContain(null)
  expect(again.seen).toContain('bob@x.io')
})
