import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { formatCloudEvent } from '../../src/core/codec/cloudevents.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import { EvtError } from '../../src/core/errors.ts'
import type { EvtEvent } from '../../src/core/event.ts'
import { sensitive } from '../../src/core/json-shape.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createGenerator, type GeneratorOptions } from '../../src/generators/generator.ts'
import { contracts } from '../../src/services/icons/contracts.ts'

const registry = createRegistry(contracts)
const nowMs = Date.UTC(2025, 10, 21, 8)

function generate(count: number, options: Partial<GeneratorOptions> & Pick<GeneratorOptions, 'types'>): EvtEvent[] {
  const generator = createGenerator({ registry, seed: 7, nowMs, ...options })
  return Array.from({ length: count }, () => generator.next())
}

const lines = (events: readonly EvtEvent[]): string => events.map((event) => formatCloudEvent(event)).join('\n')

interface Payload {
  readonly user_id?: string
  readonly document_id?: string
  readonly changes?: readonly string[]
  readonly [field: string]: unknown
}

function caught(work: () => unknown): EvtError {
  try {
    work()
  } catch (error) {
    if (error instanceof EvtError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('what a generator makes', () => {
  it('fits its contract, for every type of the icon service', () => {
    const events = generate(20_000, { types: ['*'] })
    for (const event of events) registry.validate(event)
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(registry.types()))
  })

  it('is the same, byte for byte, for the same seed, and another for another', () => {
    const options = {
      types: ['user.*', 'document.*'],
      corrupt: { kinds: ['poison', 'duplicate'], ratio: 0.1 },
    } as const
    const [once, again, other] = [7, 7, 8].map((seed) => lines(generate(2_000, { ...options, seed })))
    expect(again).toBe(once)
    expect(other).not.toBe(once)
  })

  it('has ids that are UUIDs of version 7, never twice, in the order of their times', () => {
    const ids = generate(20_000, { types: ['*'] }).map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    const stamps = ids.map((id) => id.slice(0, 13))
    expect(stamps).toEqual([...stamps].sort())
    expect(Number.parseInt((ids[5] as string).slice(0, 13).replace('-', ''), 16)).toBe(nowMs + 5)
  })

  it('takes its times from the schedule', () => {
    const events = generate(3, { types: ['user.created'], schedule: { at: (k) => k * 1_500 } })
    expect(events.map(({ time }) => time)).toEqual([
      '2025-11-21T08:00:00.000Z',
      '2025-11-21T08:00:01.500Z',
      '2025-11-21T08:00:03.000Z',
    ])
  })

  it('has names, addresses and other values that look like what their fields are called', () => {
    const [event] = generate(1, { types: ['user.created'] }) as [EvtEvent<{ user_data: Record<string, string> }>]
    const user = event.data.user_data
    const [first = '', second = ''] = (user.name ?? '').toLowerCase().split(' ')
    expect(user.email).toMatch(new RegExp(`^${first}\\.${second}\\d+@[a-z.]*example\\.(com|org|net)$`))
    expect(user.country).toMatch(/^[A-Z]{2}$/)
    expect(user.created_at).toBe(event.time)
  })

  it('makes an older version when asked by name@version', () => {
    const [event] = generate(1, { types: ['user.created@1'] }) as [EvtEvent<{ user_data: object }>]
    expect(event.version).toBe(1)
    registry.validate(event)
    expect(Object.keys(event.data.user_data)).toEqual(['email', 'is_active', 'created_at'])
  })
})

describe('references between events', () => {
  const events = generate(30_000, { types: ['user.*', 'document.*', 'auth.*'] })
  const verbOf = ({ type }: EvtEvent) => type.split('.')[1]

  it('create a thing before anything else happens to it, and nothing after its end', () => {
    const born = new Set<string>()
    const ended = new Set<string>()
    for (const event of events) {
      const subject = event.subject as string
      const { user_id, document_id } = event.data as Payload
      if (verbOf(event) === 'created') born.add(subject)
      expect(born.has(subject)).toBe(true)
      expect(ended.has(subject)).toBe(false)
      if (document_id) expect(born.has(`user/${user_id}`)).toBe(true)
      if (document_id && verbOf(event) !== 'deleted') expect(ended.has(`user/${user_id}`)).toBe(false)
      if (verbOf(event) === 'deleted') ended.add(subject)
    }
    expect(ended.size).toBeGreaterThan(100)
  })

  it('leave a suspended user alone until it is deleted', () => {
    const suspended = new Set<string>()
    let deletedLater = 0
    for (const event of events) {
      const user = `user/${(event.data as Payload).user_id}`
      if (suspended.has(user) && verbOf(event) === 'deleted' && event.subject === user) deletedLater += 1
      else if (verbOf(event) !== 'deleted') expect(suspended.has(user)).toBe(false)
      if (event.type === 'user.suspended') suspended.add(user)
    }
    expect(deletedLater).toBeGreaterThan(10)
  })

  it('publish a document once, and keep its owner', () => {
    const owners = new Map<string, unknown>()
    const published = new Set<string>()
    for (const event of events.filter(({ type }) => type.startsWith('document.'))) {
      const { document_id = '', user_id } = event.data as Payload
      expect(owners.get(document_id) ?? user_id).toBe(user_id)
      owners.set(document_id, user_id)
      if (event.type === 'document.published') expect(published.has(document_id)).toBe(false)
      if (event.type === 'document.published') published.add(document_id)
    }
    expect(published.size).toBeGreaterThan(100)
  })

  it('list in changes exactly the fields that differ from the state before', () => {
    const states = new Map<string, Record<string, unknown>>()
    let updates = 0
    for (const event of events.filter(({ type }) => !type.startsWith('auth.'))) {
      const data = event.data as Payload
      const state = (data.user_data ?? data.document_data) as Record<string, unknown>
      const before = states.get(event.subject as string)
      if (data.changes && before) {
        const differing = Object.keys(state).filter((field) => field !== 'updated_at' && state[field] !== before[field])
        expect([...data.changes].sort()).toEqual(differing.sort())
        if (verbOf(event) === 'updated') expect(differing.length).toBeGreaterThan(0)
        updates += 1
      }
      states.set(event.subject as string, state)
    }
    expect(updates).toBeGreaterThan(1_000)
  })

  it('number the events of each subject from 1 without gaps', () => {
    const sequences = new Map<string, number>()
    for (const { subject = '', sequence } of events) {
      expect(sequence).toBe((sequences.get(subject) ?? 0) + 1)
      sequences.set(subject, sequence as number)
    }
  })

  it('keep to one session from login to logout', () => {
    const sessions = new Map<string, string>()
    let kept = 0
    for (const event of events.filter(({ type }) => type.startsWith('auth.'))) {
      const { user_id = '', auth_data } = event.data as Payload
      const { session_id } = auth_data as { session_id: string }
      if (event.type !== 'auth.login' && sessions.has(user_id)) {
        expect(session_id).toBe(sessions.get(user_id))
        kept += 1
      }
      sessions.set(user_id, session_id)
    }
    expect(kept).toBeGreaterThan(100)
  })

  it('choose a few subjects often and most of them seldom', () => {
    const counts = new Map<string, number>()
    for (const { subject = '' } of events) counts.set(subject, (counts.get(subject) ?? 0) + 1)
    const sorted = [...counts.values()].sort((a, b) => b - a)
    expect(sorted[0]).toBeGreaterThan(30 * (sorted[Math.floor(sorted.length / 2)] as number))
    expect((sorted[0] as number) / events.length).toBeLessThan(0.25)
  })

  it('start in the middle of a history when nothing is created', () => {
    const updates = generate(500, { types: ['user.updated'] })
    for (const event of updates) registry.validate(event)
    expect(updates.every(({ type }) => type === 'user.updated')).toBe(true)
  })
})

describe('choosing types', () => {
  it('weighs types, and leaves out what weighs nothing', () => {
    const weights = { 'user.created': 1, 'user.updated': 3, 'user.deleted': 0, 'user.suspended': 0 }
    const events = generate(8_000, { types: ['user.*'], weights })
    const share = events.filter(({ type }) => type === 'user.updated').length / events.length
    expect(share).toBeGreaterThan(0.72)
    expect(share).toBeLessThan(0.78)
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(['user.created', 'user.updated']))
  })

  it.each([
    [{ types: ['user.craeted'] }, 'unknown-type', 'cannot generate user.craeted: no contract of that type'],
    [{ types: ['payment.*'] }, 'unknown-type', 'cannot generate payment.*: no contract of that type'],
    [{ types: ['user.created@9'] }, 'unknown-type', 'cannot generate user.created@9: it has versions 1 to 2'],
    [{ types: [] }, 'usage', 'cannot generate: no event type is given'],
    [
      { types: ['user.created'], weights: { 'user.updated': 1 } },
      'usage',
      'cannot weigh user.updated: it is not among',
    ],
    [{ types: ['user.created'], weights: { 'user.created': 0 } }, 'usage', 'cannot generate: every weight is 0'],
    [{ types: ['user.created'], weights: { 'user.created': -1 } }, 'usage', 'cannot weigh user.created with -1'],
    [{ types: ['user.created'], seed: 1.5 }, 'usage', 'cannot use seed 1.5'],
    [
      { types: ['user.created'], corrupt: { kinds: ['poison' as const], ratio: 2 } },
      'usage',
      'cannot corrupt a share of 2',
    ],
  ])('refuses %j', (options, code, message) => {
    const error = caught(() => generate(0, options))
    expect(error.code).toBe(code)
    expect(error.message).toContain(message)
  })

  it.each([
    ['user.craeted', 'user.created'],
    ['usr.*', 'user.*'],
    ['usr.created', 'user.created'],
    ['*.craeted', '*.created'],
    ['usr.{created,deleted}', 'user.{created,deleted}'],
    ['user.{craeted,delted}', 'user.{created,deleted}'],
    ['users.**', 'user.**'],
    ['usr.creatd@1', 'user.created'],
  ])('suggests for %s what was meant: %s', (given, meant) => {
    expect(caught(() => generate(0, { types: [given] })).hint).toBe(`did you mean ${meant}?`)
  })

  it('suggests nothing that would match nothing, but lists what is known', () => {
    for (const type of ['payment.*', 'usr.paid', '*.*.*.*.*'])
      expect(caught(() => generate(0, { types: [type] })).hint).toMatch(/^known types: .*user\.created/)
  })
})

describe('set', () => {
  const id = '0199c82c-c000-7000-8000-000000000001'

  it('gives every event the value, in every type', () => {
    const set = [{ path: 'data.user_data.plan', text: 'pro' }]
    for (const event of generate(200, { types: ['user.*'], set })) {
      expect(event.data).toMatchObject({ user_data: { plan: 'pro' } })
      registry.validate(event)
    }
  })

  it('moves the subject with the id, and numbers it by itself', () => {
    const events = generate(3, { types: ['user.updated'], set: [{ path: 'data.user_id', text: id }] })
    expect(events.map(({ subject, sequence }) => [subject, sequence])).toEqual([1, 2, 3].map((n) => [`user/${id}`, n]))
  })

  it('is refused when one of the types has no such field', () => {
    const set = [{ path: 'data.user_data.plan', text: 'pro' }]
    expect(caught(() => generate(0, { types: ['user.created', 'document.created'], set })).message).toContain(
      'document.created v1 has no such field',
    )
  })
})

describe('contracts of others', () => {
  const orderPlaced = defineEvent('order.placed', {
    1: z.object({
      orderId: z.uuid(),
      userId: z.uuid(),
      total: z.number().min(10).max(20).multipleOf(0.01),
      currency: z.enum(['EUR', 'USD']),
      lines: z.array(z.object({ sku: z.string().min(4).max(8), quantity: z.int().min(1).max(3) })).min(1),
      note: sensitive(z.string().max(10)).optional(),
      ship: z.union([z.literal('pickup'), z.object({ city: z.string(), zip: z.string().nullable() })]),
      tags: z.record(z.string(), z.boolean()),
      day: z.iso.date(),
      link: z.url(),
    }),
  })
  const others = createRegistry([...contracts, orderPlaced])

  it('are generated from their schemas alone, with references to things they did not define', () => {
    const events = generate(500, { registry: others, types: ['order.placed', 'user.created'] })
    const users = new Set<unknown>()
    for (const event of events) {
      others.validate(event)
      const { user_id, userId, orderId } = event.data as Payload
      if (user_id) users.add(user_id)
      if (orderId) expect([event.subject, users.has(userId)]).toEqual([`order/${String(orderId)}`, true])
    }
  })

  it('may belong to each other in a circle, or to things that are not generated', () => {
    const id = z.uuid()
    const circle = createRegistry([
      defineEvent('hen.created', { 1: z.object({ hen_id: id, egg_id: id }) }),
      defineEvent('egg.created', { 1: z.object({ egg_id: id, hen_id: id, farm_id: id }) }),
      defineEvent('farm.created', { 1: z.object({ farm_id: id }) }),
    ])
    const types = generate(300, { registry: circle, types: ['hen.created', 'egg.created'] }).map(({ type }) => type)
    for (const type of ['hen.created', 'egg.created']) {
      expect(types.filter((one) => one === type).length).toBeGreaterThan(100)
    }
  })

  it('are refused before the first event when no value is known that fits', () => {
    const odd = defineEvent('odd.made', { 1: z.object({ code: z.string().regex(/^(?=Q)[A-Z]{3}-\d$/) }) })
    const error = caught(() => generate(0, { registry: createRegistry([odd]), types: ['odd.made'] }))
    expect([error.code, error.hint]).toEqual(['unsupported', 'give one: --set data.code=…'])
    const set = [{ path: 'data.code', text: 'QQQ-1' }]
    const [event] = generate(1, { registry: createRegistry([odd]), types: ['odd.made'], set })
    expect(event?.data).toEqual({ code: 'QQQ-1' })
  })
})
