import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EvtEvent } from '../../../src/core/event.ts'
import { createRegistry } from '../../../src/core/registry.ts'
import { createGenerator } from '../../../src/generators/generator.ts'
import { inferredContracts, learnedFrom, learnedSchedule } from '../../../src/generators/learn/learned.ts'
import { createLearner, type Profile } from '../../../src/generators/learn/profile.ts'

const event = (type: string, data: object, subject?: string): EvtEvent =>
  ({ id: 'x', type, version: 1, source: 's', time: '', priority: 'normal', metadata: {}, data, subject }) as EvtEvent

function learn(events: readonly (readonly [EvtEvent, number])[]): Profile {
  const learner = createLearner()
  for (const [one, atMs] of events) learner.see(one, atMs)
  return learner.profile()
}

function like(profile: Profile, count: number): EvtEvent[] {
  const registry = createRegistry(inferredContracts(profile, createRegistry([])))
  const generator = createGenerator({
    registry,
    types: [...profile.types.keys()],
    weights: Object.fromEntries([...profile.types].map(([type, one]) => [type, one.count])),
    learned: learnedFrom(profile),
    seed: 3,
    nowMs: 0,
  })
  const made = Array.from({ length: count }, () => generator.next())
  for (const one of made) registry.validate(one)
  return made
}

const uuidOf = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

const share = <T>(all: readonly T[], is: (one: T) => boolean): number => all.filter(is).length / all.length

describe('what is learned from recorded traffic', () => {
  it('has the shares of types, choices, flags, numbers and optional fields within a few percent', () => {
    const shares = fc.record({
      deleted: fc.double({ min: 0.05, max: 0.6, noNaN: true }),
      gold: fc.double({ min: 0.05, max: 0.95, noNaN: true }),
      active: fc.double({ min: 0.05, max: 0.95, noNaN: true }),
      noted: fc.double({ min: 0.05, max: 0.95, noNaN: true }),
      top: fc.integer({ min: 10, max: 10_000 }),
      seed: fc.nat(),
    })
    fc.assert(
      fc.property(shares, ({ deleted, gold, active, noted, top }) => {
        const size = 2_000
        const is = (part: number, i: number, step: number) => ((i * step) % size) / size < part
        const recorded = Array.from({ length: size }, (_, i) => {
          const data = {
            plan: is(gold, i, 7) ? 'gold' : 'free',
            active: is(active, i, 11),
            ...(is(noted, i, 13) ? { note: 'said' } : {}),
            load: ((i * 17) % size) * (top / size),
          }
          return [event(is(deleted, i, 3) ? 'thing.deleted' : 'thing.updated', data), i * 40] as const
        })
        const made = like(learn(recorded), 4_000) as EvtEvent<Record<string, unknown>>[]
        expect(share(made, ({ type }) => type === 'thing.deleted')).toBeCloseTo(deleted, 1)
        expect(Math.abs(share(made, ({ data }) => data.plan === 'gold') - gold)).toBeLessThan(0.04)
        expect(Math.abs(share(made, ({ data }) => data.active === true) - active)).toBeLessThan(0.04)
        expect(Math.abs(share(made, ({ data }) => 'note' in data) - noted)).toBeLessThan(0.04)
        expect(Math.abs(share(made, ({ data }) => Number(data.load) < top / 4) - 0.25)).toBeLessThan(0.04)
      }),
      { numRuns: 10, seed: 1 },
    )
  })

  it('is about things of which it told before, with the ids that belong together, where the recording was so', () => {
    const recorded = Array.from({ length: 100 }, (_, i) => {
      const [user_id, document_id, stranger] = [uuidOf(i), uuidOf(1_000 + i), uuidOf(2_000 + i)]
      const user = { user_id, user_data: { id: user_id, plan: 'free' } }
      const document = { document_id, user_id, document_data: { user_id, is_public: i % 3 === 0 } }
      return [
        // Of people who were there before the recording there are logins only.
        event('auth.login', { user_id: stranger }, `user/${stranger}`),
        event('user.created', user, `user/${user_id}`),
        event('user.updated', { ...user, changes: ['plan'] }, `user/${user_id}`),
        event('document.created', document, `document/${document_id}`),
        event('document.published', document, `document/${document_id}`),
      ]
    }).flat()
    // biome-ignore lint/suspicious/noExplicitAny: payloads of five contracts
    const made = like(learn(recorded.map((one, i) => [one, i])), 800) as EvtEvent<any>[]
    const told = new Set<string>()
    for (const { type, data, subject = '' } of made) {
      if (type.endsWith('.created')) told.add(subject)
      else if (type !== 'auth.login') expect(told).toContain(subject)
      if (type.startsWith('user.')) expect(data.user_data.id).toBe(data.user_id)
      if (!type.startsWith('document.')) continue
      expect(told).toContain(`user/${data.user_id}`)
      expect(data.document_data.user_id).toBe(data.user_id)
    }
    expect(new Set(made.map(({ type }) => type)).size).toBe(5)
  })

  it('has the pace of the recording, bursts and all', () => {
    const gaps = Array.from({ length: 1_000 }, (_, i) => (i % 10 === 0 ? 900 : 10))
    const times = gaps.map((_, i) => gaps.slice(0, i + 1).reduce((sum, gap) => sum + gap, 0))
    const profile = learn(times.map((at) => [event('a.b', {}), at]))
    const schedule = learnedSchedule(profile, 7, 1)
    const made = Array.from({ length: 5_000 }, (_, k) => schedule.at(k + 1) - schedule.at(k))
    expect(share(made, (gap) => gap > 500)).toBeCloseTo(0.1, 1)
    expect(schedule.at(5_000) / 5_000).toBeGreaterThan(85)
    expect(schedule.at(5_000) / 5_000).toBeLessThan(115)
    expect(learnedSchedule(profile, 7, 10).at(5_000)).toBeCloseTo(schedule.at(5_000) / 10, 0)
  })

  it('has the sizes of long texts', () => {
    const profile = learn(
      Array.from({ length: 300 }, (_, i) => [event('mail.sent', { body: `${i} `.repeat(100 + (i % 50)) }), i]),
    )
    const lengths = like(profile, 500).map(({ data }) => (data as { body: string }).body.length)
    expect(Math.min(...lengths)).toBeGreaterThan(150)
    expect(Math.max(...lengths)).toBeLessThan(700)
  })

  it.each([
    ['few busy subjects', 1.3],
    ['all as busy', 0],
  ])('knows %s', (_, skew) => {
    const events = Array.from({ length: 200 }, (_one, rank) =>
      Array.from({ length: Math.max(2, Math.round(400 / (rank + 1) ** skew)) }, () => event('a.b', {}, `s/${rank}`)),
    ).flat()
    expect(Math.abs(learn(events.map((one, i) => [one, i])).skew - skew)).toBeLessThan(0.25)
  })

  it('repeats nobody’s address, name, token, card or password, marked or not, few or many', () => {
    const secrets = {
      email: 'ann.lee@corp.test',
      first_name: 'Annabel',
      contact: 'bob.marley@corp.test',
      card: '4111111111111111',
      api_key: 'verysecret',
      home: { street: '12 Elm Row' },
      phones: ['+49 30 12345678'],
      pin: 'marked-by-contract',
    }
    const learner = createLearner((_type, path) => path === 'pin')
    for (let i = 0; i < 500; i++) learner.see(event('user.changed', { ...secrets, plan: 'pro' }), i)
    const profile = learner.profile()
    const text = JSON.stringify([like(profile, 500), [...profile.types.values()].map((one) => dump(one))])
    expect(text).toContain('"pro"')
    const values = Object.values(secrets).flatMap((one) => (typeof one === 'object' ? Object.values(one) : [one]))
    for (const secret of values) expect(text).not.toContain(secret)
  })
})

/** Maps and sets too. */
const dump = (value: unknown): unknown => {
  if (value instanceof Map) return [...value].map(dump)
  if (value instanceof Set) return [...value]
  if (Array.isArray(value)) return value.map(dump)
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value).map(dump)
}
