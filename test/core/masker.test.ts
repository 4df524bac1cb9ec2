import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'
import { findUnmarked, suspicionOfName, suspicionOfValue } from '../../src/core/detect.ts'
import { createInspector, unmarkedNames } from '../../src/core/inspector.ts'
import { sensitive } from '../../src/core/json-shape.ts'
import { createMasker } from '../../src/core/masker.ts'
import { pseudonymOf } from '../../src/core/pseudonym.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { seal } from '../../src/core/sealing.ts'
import { sensitiveFields } from '../../src/core/sensitive-fields.ts'
import { withoutValues } from '../../src/core/without-values.ts'

const address = z.object({ street: sensitive(z.string()), city: z.string() })
const signed = defineEvent('person.signed', {
  1: z.object({
    plan: z.string(),
    email: sensitive(z.email(), { pseudonym: true }),
    addresses: z.array(address),
    notes: z.record(z.string(), sensitive(z.string())),
    pair: z.tuple([sensitive(z.string()), z.string()]),
    choice: z.union([z.object({ secret: sensitive(z.string()) }), z.object({ open: z.string() })]),
    get friends() {
      return z.array(z.object({ name: sensitive(z.string()), friends: z.array(z.unknown()) })).optional()
    },
  }),
})
const registry = createRegistry([signed])
const data = {
  plan: 'pro',
  email: 'Ada@Lovelace.org',
  addresses: [{ street: 'Main St 1', city: 'London' }],
  notes: { a: 'private' },
  pair: ['hidden', 'also'],
  choice: { secret: 'ssh' },
  friends: [{ name: 'Charles', friends: [] }],
}
const of = { type: 'person.signed', version: 1 }

describe('a masker', () => {
  it('hides marked fields in arrays, records, tuples and unions, also of a version that nobody knows', () => {
    const masked = {
      plan: 'pro',
      email: '***',
      addresses: [{ street: '***', city: 'London' }],
      notes: '***',
      pair: '***',
      choice: { secret: '***' },
      friends: [{ name: '***', friends: [] }],
    }
    const masker = createMasker({ registry })
    expect(masker.data(of, data)).toEqual(masked)
    expect(masker.data({ ...of, version: 9 }, data)).toEqual(masked)
    expect(JSON.parse(masker.text(of, JSON.stringify(data)))).toEqual(masked)
    expect(masker.text({ type: 'other.type' }, '{"n":12345678901234567890}')).toBe('{"n":12345678901234567890}')
  })

  it('hides all of what is no JSON where fields would have to be hidden', () => {
    expect(createMasker({ registry }).text(of, '{"email":"ada@lovelace.org"')).toBe('"***"')
    expect(createMasker({ registry }).text(of, '"ada@lovelace.org"')).toBe('"***"')
  })

  it('shows pseudonyms where a key is configured, and nothing of what is encrypted', () => {
    const masker = createMasker({ registry, pseudonymKey: 'a long key' })
    const { email } = masker.data(of, data) as { email: string }
    expect(email).toMatch(/^[0-9a-f]{12}@[0-9a-f]{8}\.invalid$/)
    const key = { id: '2e804784-d41e-4670-80a3-1bf5e4606899', bytes: Buffer.alloc(32) }
    const sealed = seal('ada', key, 'e1')
    expect(masker.text({ type: 'other.type' }, JSON.stringify({ a: { b: sealed } }))).toBe('{"a":{"b":"***"}}')
    expect(masker.data({ type: 'other.type' }, { a: [sealed] })).toEqual({ a: ['***'] })
  })

  it('hides what looks personal where it is told to', () => {
    const masker = createMasker({ registry, detect: 'mask' })
    expect(masker.data({ type: 'x.y' }, { mail: 'ada@lovelace.org', card: '4111 1111 1111 1111', id: '17' })).toEqual({
      mail: '***',
      card: '***',
      id: '17',
    })
  })

  const without = (text: string, of: unknown = data) => withoutValues(text, sensitiveFields(signed.v1), of)
  const other = { email: 'Zoë <zoe+x@lovelace.org>', notes: { a: 'Große "Straße"' } }

  it('takes the values of marked fields out of texts that repeat them', () => {
    expect(without('cannot write to ada@lovelace.com or Ada@Lovelace.org at Main St 1: private')).toBe(
      'cannot write to ada@lovelace.com or *** at ***: ***',
    )
    expect(without('Main St 1private, ssh')).toBe('******, ***')
  })

  it.each([
    ['in another case', 'ADA@LOVELACE.ORG, main st 1', '***, ***', data],
    ['with letters that have no capital', 'GROSSE "STRASSE"', '***', other],
    ['in a URL', 'GET /u?mail=ada%40lovelace.org&at=Main+St+1&is=Main%20St%201', 'GET /u?mail=***&at=***&is=***', data],
    ['in a URL, in parts', `/u/${encodeURI(other.email)}?q=${encodeURIComponent(other.email)}`, '/u/***?q=***', other],
    ['in JSON', JSON.stringify({ it: other.notes.a }), '{"it":"***"}', other],
    ['cut off', 'no Zoë <zoe+x… (3,000 characters)', 'no ***… (3,000 characters)', other],
    ['cut off within its escapes', 'no Zo%C3%AB%20%3Czoe…', 'no ***…', other],
  ])('takes them out %s', (_, text, expected, of) => {
    expect(without(text, of)).toBe(expected)
  })
})

describe('pseudonyms', () => {
  it('are the same for the same value and key, and keep the form', () => {
    const one = (value: unknown) => pseudonymOf(value, 'k1')
    expect(one('ada@lovelace.org')).toBe(one('Ada@Lovelace.ORG'))
    expect(one('ada@lovelace.org')).not.toBe(pseudonymOf('ada@lovelace.org', 'k2'))
    expect(String(one('ada@x.org')).split('@')[1]).toBe(String(one('bob@x.org')).split('@')[1])
    expect(one('01994f5e-7c3b-7a55-9d3e-0123456789ab')).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/,
    )
    expect(one('123456')).toMatch(/^[1-9]\d{5}$/)
    expect(String(one(4242))).toMatch(/^[1-9]\d{3}$/)
    expect(one('Ada King')).toMatch(/^~[\w-]{12}$/)
    expect(one({ a: 1 })).toBe('***')
  })
})

describe('the detector', () => {
  it.each([
    ['ada@lovelace.org', 'an e-mail address'],
    ['+49 (30) 1234-5678', 'a phone number'],
    ['4111-1111-1111-1111', 'a card number'],
    ['DE89 3704 0044 0532 0130 00', 'an IBAN'],
    ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def_g', 'a secret'],
    ['ghp_0123456789abcdefghijABCDEFGHIJ012345', 'a secret'],
    ['4111-1111-1111-1112', undefined],
    ['DE88 3704 0044 0532 0130 00', undefined],
    ['2026-11-21T08:00:00.000Z', undefined],
    ['01994f5e-7c3b-7a55-9d3e-0123456789ab', undefined],
    ['1234567890', undefined],
    ['@ada', undefined],
    [4111111111111111, undefined],
  ])('takes %s for %s', (value, expected) => {
    expect(suspicionOfValue(value)).toBe(expected)
  })

  it('knows names in any spelling, and leaves marked fields alone', () => {
    expect(suspicionOfName('userEmail')).toBe('an e-mail address')
    expect(suspicionOfName('api_key')).toBe('a secret')
    expect(suspicionOfName('tokens')).toBeUndefined()
    expect(findUnmarked({ user: { email: 'a@b.io' }, iban: 'x' }, new Set(['data.user']))).toEqual([
      { path: 'data.iban', looksLike: 'an IBAN' },
    ])
    const open = defineEvent('a.b', { 1: z.object({ phone: z.string(), email: sensitive(z.email()) }) })
    expect(unmarkedNames(open)).toEqual([{ path: 'data.phone', looksLike: 'a phone number' }])
  })

  it('warns once for each field, or refuses without repeating the value', () => {
    const told: string[] = []
    const report = (type: string, { path }: { path: string }) => void told.push(`${type} ${path}`)
    const event = { type: 'a.b', data: { to: 'ada@lovelace.org' } } as never
    const warn = createInspector({ detect: 'warn', report })
    for (let n = 0; n < 200; n += 1) warn?.(event, undefined)
    expect(told).toEqual(['a.b data.to'])
    expect(() => createInspector({ detect: 'refuse', report })?.(event, undefined)).toThrow(
      'cannot publish a.b: data.to looks like an e-mail address, and its contract does not call it sensitive',
    )
    expect(createInspector({ detect: 'off', report })).toBeUndefined()
  })
})
