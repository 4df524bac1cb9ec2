import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'
import { EvtError } from '../../src/core/errors.ts'
import type { EvtEvent } from '../../src/core/event.ts'
import { sensitive } from '../../src/core/json-shape.ts'
import { contractsOfServices, createRegistry, isNewerVersion } from '../../src/core/registry.ts'

const userCreated = defineEvent('user.created', {
  1: z.object({ name: z.string(), email: z.email() }),
  2: {
    schema: z.object({ first: z.string(), last: z.string(), email: sensitive(z.email()) }),
    upcast: (old) => {
      const [first = '', ...rest] = old.name.split(' ')
      return { first, last: rest.join(' '), email: old.email }
    },
  },
  3: {
    schema: z.object({
      first: z.string(),
      last: z.string(),
      contact: z.object({ email: sensitive(z.email()), tags: z.array(z.string()) }).optional(),
    }),
    upcast: (old) => ({ first: old.first, last: old.last, contact: { email: old.email, tags: [] } }),
  },
})
const userDeleted = defineEvent('user.deleted', { 1: z.object({ reason: z.enum(['gdpr', 'spam']) }) })
const registry = createRegistry([userDeleted, userCreated])

/** Golden samples: the same fact in every version, written down by hand. */
const golden: Record<number, unknown> = {
  1: { name: 'Ada King Lovelace', email: 'ada@example.com' },
  2: { first: 'Ada', last: 'King Lovelace', email: 'ada@example.com' },
  3: { first: 'Ada', last: 'King Lovelace', contact: { email: 'ada@example.com', tags: [] } },
}

const event = (version: number, data: unknown = golden[version], type = 'user.created'): EvtEvent => ({
  id: 'e1',
  type,
  version,
  source: 'test',
  time: '2025-11-21T08:00:00.000Z',
  priority: 'normal',
  metadata: {},
  checksum: 'abc',
  data,
})

function caught(work: () => unknown): EvtError {
  try {
    work()
  } catch (error) {
    if (error instanceof EvtError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('validate', () => {
  it.each([1, 2, 3])('accepts the golden sample of version %i and refuses it as any other', (version) => {
    registry.validate(event(version))
    for (const other of [1, 2].filter((one) => one !== version)) {
      expect(caught(() => registry.validate(event(other, golden[version]))).code).toBe('contract')
    }
  })

  it('names the field path, the type, the version and what was expected, and shows no value', () => {
    const data = { first: 'Ada', last: 'L', contact: { email: 'secret-not-an-email', tags: ['a', 7] } }
    const error = caught(() => registry.validate(event(3, data)))
    expect(error.message).toBe(
      'cannot accept user.created v3: data.contact.email: Invalid email address (and 1 more: data.contact.tags[1]: expected string, received number)',
    )
    expect(error.message).not.toContain('secret')
  })

  it.each([
    [undefined, 'data: expected object, received undefined'],
    [null, 'data: expected object, received null'],
    ['text', 'data: expected object, received string'],
    [{ reason: 'other' }, 'data.reason: Invalid option: expected one of "gdpr"|"spam"'],
  ])('says what is wrong with %j', (data, reason) => {
    const error = caught(() => registry.validate({ ...event(1, null, 'user.deleted'), data }))
    expect(error.message).toBe(`cannot accept user.deleted v1: ${reason}`)
  })

  it('refuses data that is deeper than its schema can walk, and what a schema throws', () => {
    const tree: z.ZodType = z.lazy(() => z.array(tree))
    const odd = z.string().refine(() => {
      throw new Error('boom')
    })
    const registry = createRegistry([defineEvent('tree.grown', { 1: tree }), defineEvent('odd.seen', { 1: odd })])
    const deep = JSON.parse('['.repeat(50_000) + ']'.repeat(50_000)) as unknown
    const refused = { code: 'contract', message: expect.stringMatching(/^cannot accept tree\.grown v1: .*call stack/) }
    expect(() => registry.validate({ type: 'tree.grown', version: 1, data: deep })).toThrow(
      expect.objectContaining(refused),
    )
    expect(() => registry.validate({ type: 'odd.seen', version: 1, data: 'x' })).toThrow('its schema threw Error: boom')
  })

  it('suggests the nearest known type for an unknown one', () => {
    const error = caught(() => registry.validate(event(1, {}, 'user.craeted')))
    expect([error.code, error.hint]).toEqual(['unknown-type', 'did you mean user.created?'])
    expect(isNewerVersion(error)).toBe(false)
  })

  it('lists known types when nothing is near', () => {
    expect(caught(() => registry.validate(event(1, {}, 'zzz'))).hint).toBe('known types: user.created, user.deleted')
  })

  it('tells a version from the future from other unknown ones', () => {
    const newer = caught(() => registry.validate(event(4)))
    expect(newer.code).toBe('unknown-type')
    expect(isNewerVersion(newer) && newer.cause.latest).toBe(3)
    for (const version of [0, -1, 1.5, Number.NaN]) {
      expect(isNewerVersion(caught(() => registry.validate(event(version, golden[1]))))).toBe(false)
    }
  })
})

describe('migrate', () => {
  it.each([
    [1, 2],
    [1, 3],
    [2, 3],
  ])('makes the golden sample of version %i that of version %i, which fits its contract', (from, to) => {
    const migrated = registry.migrate(event(from), to)
    expect(migrated.data).toEqual(golden[to])
    expect(migrated).toMatchObject({ id: 'e1', version: to, source: 'test' })
    registry.validate(migrated)
  })

  it('gives back the same object when the version is the wanted one', () => {
    const same = event(2)
    expect(registry.migrate(same, 2)).toBe(same)
  })

  it('leaves the event it was given as it was, and drops the checksum of the old bytes', () => {
    const before = event(1)
    const copy = structuredClone(before)
    expect(registry.migrate(before, 3)).not.toHaveProperty('checksum')
    expect(before).toEqual(copy)
  })

  it('refuses to go down, and says when an upcast fails', () => {
    expect(caught(() => registry.migrate(event(2), 1)).message).toBe(
      'cannot migrate user.created v2 to v1: there are only upcasts',
    )
    const error = caught(() => registry.migrate(event(1, { email: 'a@example.com' }), 3))
    expect(error.code).toBe('contract')
    expect(error.message).toContain('cannot migrate user.created v1 to v3: the upcast to v2 threw TypeError')
  })

  it('refuses an upcast whose result does not fit', () => {
    expect(caught(() => registry.migrate(event(1, { name: 'A B', email: 'no' }), 3)).message).toContain(
      'cannot accept user.created v3: data.contact.email',
    )
  })
})

describe('the registry', () => {
  it('refuses a second contract of a type, but takes the same one twice', () => {
    const other = defineEvent('user.deleted', { 1: z.object({}) })
    expect(createRegistry([userDeleted, userDeleted]).types()).toEqual(['user.deleted'])
    const error = caught(() => createRegistry([userDeleted, other]))
    expect([error.code, error.message]).toEqual([
      'config',
      'cannot register user.deleted: another contract of that type is registered',
    ])
  })

  it('lists types sorted, finds versions and matches patterns', () => {
    expect(registry.types()).toEqual(['user.created', 'user.deleted'])
    expect(registry.get('user.created')?.version).toBe(3)
    expect(registry.get('user.created', 1)).toBe(userCreated.v1)
    expect(registry.get('user.created', 9)).toBeUndefined()
    expect(registry.get('nope')).toBeUndefined()
    const matched = registry.matching({ matches: (type) => type.endsWith('.deleted') })
    expect(matched.map((one) => one.type)).toEqual(['user.deleted'])
  })

  it('lists sensitive fields per version, nested and optional ones too', () => {
    expect(registry.sensitivePaths('user.created', 1)).toEqual([])
    expect(registry.sensitivePaths('user.created', 2)).toEqual(['data.email'])
    expect(registry.sensitivePaths('user.created')).toEqual(['data.contact.email'])
    expect(registry.sensitivePaths('nope')).toEqual([])
  })
})

describe('contracts of several services', () => {
  const other = defineEvent('user.deleted', { 1: z.object({ reason: z.string() }) })

  it('are one where services list the same one', () => {
    const all = contractsOfServices([
      { name: 'accounts', contracts: [userDeleted, userDeleted] },
      { name: 'mail', contracts: [userCreated, userDeleted] },
    ])
    expect(all).toEqual([userDeleted, userCreated])
  })

  it('of one type that differ name both services, and what to do', () => {
    const accounts = { name: 'accounts', contracts: [userDeleted] }
    const error = caught(() => contractsOfServices([accounts, { name: 'mail', contracts: [other] }]))
    expect([error.code, error.message, error.hint]).toEqual([
      'config',
      'cannot register user.deleted: services accounts and mail have two contracts of that type',
      'one type has one owner: let mail import the contract of accounts, or give its event a name of its own',
    ])
    expect(caught(() => contractsOfServices([{ name: 'mail', contracts: [other, userDeleted] }])).message).toBe(
      'cannot register user.deleted: service mail has two contracts of that type',
    )
  })
})
