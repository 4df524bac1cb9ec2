import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createPublisher, createRegistry, defineEvent, defineSaga, sensitive } from '../../src/index.ts'
import { unsealedNames } from '../../src/sagas/guard-state.ts'
import type { SagaConfig } from '../../src/sagas/saga-config.ts'
import { createAudit } from '../../src/store/audit.ts'
import type { Store } from '../../src/store/connection.ts'
import { forgetSubject } from '../../src/store/subject-keys.ts'
import { runHere } from '../commands/evt.ts'
import { tablesWith } from '../privacy/planted.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { historyOf, publish, sagaOf, startBridge, untilSaga } from './running.ts'

const email = 'ada@lovelace.org'
const phone = '+44 20 7946 0000'
const began = defineEvent('user.registered', { 1: z.object({ email: sensitive(z.email(), { encrypt: true }) }) })
const called = defineEvent('user.called', { 1: z.object({}) })
const done = defineEvent('user.done', { 1: z.object({}) })
const registry = createRegistry([began, called, done])
const masterKey = randomBytes(32).toString('base64')

/** Its first step fails once, with what it should not say. */
function registration(seen: unknown[], state: z.ZodType<object>, more: object = {}) {
  let tries = 0
  return defineSaga({
    name: 'accounts.private',
    startsOn: began,
    state: state as z.ZodType<{ email: string | null; phone?: string | null }>,
    start: 'earliest',
    steps: ({ step }) => [
      step('call', {
        run: (mine) => {
          tries += 1
          if (tries === 1) throw new TypeError(`cannot call ${mine.email}`)
        },
        awaits: called,
        retry: { initial: '1ms', max: '1ms' },
        on: (mine) => {
          seen.push({ ...mine })
          if (mine.email !== null) mine.phone = phone
        },
      }),
      step('end', { awaits: done, on: (mine) => void seen.push({ ...mine }) }),
    ],
    ...more,
  })
}

async function begin(store: Store, url: string, saga: ReturnType<typeof defineSaga>, subject = 'user/1') {
  const bridge = await startBridge(url, { registry, sagas: [saga], privacy: { masterKey, detect: 'off' } })
  const publisher = createPublisher({ store, registry, source: 'test', privacy: { masterKey } })
  await publisher.publishAll([{ type: 'user.registered', subject, data: { email } }])
  await until(async () => (await sagaOf(store, saga.name, subject))?.steps.call?.status === 'waiting')
  return bridge
}

const forget = (store: Store, subject: string) =>
  forgetSubject(store, { subject }, createAudit({ who: 'test', verb: 'privacy forget', target: subject }))

const nullable = z.object({
  email: sensitive(z.email(), { encrypt: true }),
  phone: sensitive(z.string(), { encrypt: true }).optional(),
})

describe('the state of a saga', () => {
  it('is sealed where its schema says so: code has it in plain text, no table has', async () => {
    const { store, url } = await createTestDatabase()
    const seen: unknown[] = []
    await begin(store, url, registration(seen, nullable))
    const saga = await sagaOf(store, 'accounts.private', 'user/1')
    expect(JSON.stringify(saga?.state)).toMatch(/evt:sealed:1:/)
    expect(await historyOf(store, saga?.id ?? '')).toContain('run-failed call')
    await publish(store, 'user.called', {}, { subject: 'user/1' })
    await until(async () => (await sagaOf(store, 'accounts.private', 'user/1'))?.steps.end?.status === 'waiting')
    expect(await tablesWith(store, [email, phone])).toEqual([])
    await publish(store, 'user.done', {}, { subject: 'user/1' })
    await untilSaga(store, 'accounts.private', 'user/1', 'completed')
    expect(seen).toEqual([{ email }, { email, phone }])
    expect(await tablesWith(store, [email, phone])).toEqual([])
  })

  it('is null once its subject is forgotten, and the saga says so', async () => {
    const { store, url } = await createTestDatabase()
    const seen: unknown[] = []
    const bridge = await begin(store, url, registration(seen, nullable))
    await forget(store, 'user/1')
    const show = async () => (await runHere(['saga', 'show', 'user/1'], { store: url })).stdout
    expect(await show()).toMatch(/erased +email: the key was deleted[\s\S]*"email": null/)
    // A process that had the key notices within ten seconds; another one at once.
    await bridge.stop()
    await startBridge(url, { registry, sagas: [registration(seen, nullable)], privacy: { masterKey, detect: 'off' } })
    for (const type of ['user.called', 'user.done']) await publish(store, type, {}, { subject: 'user/1' })
    const { id } = await untilSaga(store, 'accounts.private', 'user/1', 'completed')
    expect(seen).toEqual([{ email: null }, { email: null }])
    expect((await historyOf(store, id)).filter((what) => what === 'erased')).toHaveLength(1)
    expect(await show()).toContain('erased · email')
  })

  it('that begins as the data of an event is sealed where the event is; it sticks when it cannot be without', async () => {
    const { store, url } = await createTestDatabase()
    const saga = () => registration([], z.object({ email: z.email() }))
    const bridge = await begin(store, url, saga())
    expect(await tablesWith(store, [email])).toEqual([])
    await forget(store, 'user/1')
    await bridge.stop()
    await startBridge(url, { registry, sagas: [saga()], privacy: { masterKey, detect: 'off' } })
    await publish(store, 'user.called', {}, { subject: 'user/1' })
    const { stuck } = await untilSaga(store, 'accounts.private', 'user/1', 'stuck')
    expect(stuck).toMatch(
      /^its email was erased with its key: cannot keep the state of saga accounts\.private: state\.email/,
    )
  })

  it('is not begun without a key, and without somebody whose key it is', async () => {
    const { store, url } = await createTestDatabase()
    const sealed = registration([], nullable)
    const plain = createRegistry([called, done, defineEvent('user.registered', { 1: z.object({ email: z.email() }) })])
    await expect(startBridge(url, { registry: plain, sagas: [sealed] })).rejects.toMatchObject({
      code: 'config',
      message: 'cannot use saga accounts.private: its state encrypts email, and no master key is configured',
    })
    const state = z.object({ email: sensitive(z.email(), { encrypt: 'user/{userId}' }) })
    await startBridge(url, { registry: plain, sagas: [registration([], state)], privacy: { masterKey, detect: 'off' } })
    await publish(store, 'user.registered', { email }, { subject: 'user/1' })
    const dead = async () => (await store.query('select error_message from evt.dead_letters')).rows
    await until(async () => (await dead()).length === 1)
    expect((await dead())[0]?.error_message).toContain('its email is encrypted, and nobody is named whose key that is')
  })
  it('is warned of where it has the name of what an event encrypts', () => {
    const plain = z.object({ contact: z.object({ email: z.string() }), phone: z.string() })
    const begin = () => ({ contact: { email }, phone })
    const saga = registration([], plain, { begin })
    expect(unsealedNames(saga as SagaConfig)).toEqual(['contact.email'])
    expect(unsealedNames(registration([], nullable, { begin: () => ({ email }) }) as SagaConfig)).toEqual([])
  })
})
