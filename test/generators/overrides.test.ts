import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'
import { EvtError } from '../../src/core/errors.ts'
import type { EvtEvent } from '../../src/core/event.ts'
import { type Assignment, compileOverrides, parseAssignment } from '../../src/generators/overrides.ts'

const contract = defineEvent('thing.made', {
  1: z.object({
    plan: z.enum(['free', 'pro']),
    count: z.int(),
    price: z.number().nullable(),
    active: z.boolean(),
    name: z.string(),
    inner: z.object({ list: z.array(z.number()), open: z.record(z.string(), z.int()) }),
    either: z.union([z.string(), z.number()]),
    fixed: z.literal(7),
  }),
})
const event: EvtEvent = {
  id: '1',
  type: 'thing.made',
  version: 1,
  source: 's',
  time: '2025-11-21T08:00:00.000Z',
  priority: 'normal',
  metadata: {},
  data: { plan: 'free', inner: { list: [] } },
}
const apply = (...set: Assignment[]): EvtEvent => compileOverrides(contract, set)(event)

function refused(...set: Assignment[]): EvtError {
  try {
    apply(...set)
  } catch (error) {
    if (error instanceof EvtError) return error
  }
  throw new Error('it was not refused')
}

describe('set', () => {
  it.each([
    ['data.plan', 'pro', { plan: 'pro' }],
    ['data.count', '12', { count: 12 }],
    ['data.price', '1.5', { price: 1.5 }],
    ['data.price', 'null', { price: null }],
    ['data.active', 'false', { active: false }],
    ['data.name', '12', { name: '12' }],
    ['data.name', '', { name: '' }],
    ['data.fixed', '7', { fixed: 7 }],
    ['data.either', '12', { either: 12 }],
    ['data.either', 'twelve', { either: 'twelve' }],
    ['data.inner.list', '[1,2]', { inner: { list: [1, 2] } }],
    ['data.inner.open.anything', '3', { inner: { list: [], open: { anything: 3 } } }],
  ])('gives %s the value of %j that its contract asks for', (path, text, data) => {
    expect(apply({ path, text }).data).toMatchObject(data)
  })

  it('keeps text as text when it is told to', () => {
    expect(apply({ path: 'data.count', text: '12', asString: true }).data).toMatchObject({ count: '12' })
  })

  it('reaches the envelope too', () => {
    const changed = apply({ path: 'tenant', text: 'acme' }, { path: 'metadata.campaign', text: 'x' })
    expect(changed).toMatchObject({ tenant: 'acme', metadata: { campaign: 'x' } })
  })

  it('leaves the event that it is given as it was', () => {
    const before = structuredClone(event)
    apply({ path: 'data.inner.open.a', text: '1' })
    expect(event).toEqual(before)
  })

  it('refuses a field that the contract lacks, naming those that it has and the one that was meant', () => {
    const error = refused({ path: 'data.paln', text: 'pro' })
    expect(error.code).toBe('usage')
    expect(error.message).toBe('cannot set data.paln: thing.made v1 has no such field; did you mean data.plan?')
    expect(error.hint).toContain('its fields: data.plan, data.count, data.price')
  })

  it.each([
    ['data.count', '1.5', 'a whole number'],
    ['data.count', '', 'a number'],
    ['data.count', 'many', 'a number'],
    ['data.plan', 'gold', 'one of free, pro'],
    ['data.active', 'yes', 'one of true, false'],
    ['data.inner.list', '[1', 'JSON'],
    ['data.price', 'cheap', 'one of number, null'],
    ['priority', 'urgent', 'one of critical, high, normal, low'],
  ])('refuses for %s the text %j: expected %s', (path, text, expected) => {
    expect(refused({ path, text }).message).toBe(`cannot set ${path} to ${JSON.stringify(text)}: expected ${expected}`)
  })

  it.each(['id', 'data', 'version', 'metadata', 'time', '__proto__', 'data.__proto__.x'])('refuses %s', (path) => {
    expect(refused({ path, text: 'x' }).code).toBe('usage')
  })
})

describe('parseAssignment', () => {
  it('splits at the first equals sign', () => {
    expect(parseAssignment('data.name=a=b')).toEqual({ path: 'data.name', text: 'a=b', asString: false })
    expect(parseAssignment('data.name=', true)).toEqual({ path: 'data.name', text: '', asString: true })
  })

  it.each(['', 'data.name', '=x', '  =x'])('refuses %j', (argument) => {
    expect(() => parseAssignment(argument)).toThrow(EvtError)
  })
})
