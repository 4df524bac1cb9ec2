import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import type { Contract } from '../../src/core/contract.ts'
import { defineEvent } from '../../src/core/define-event.ts'

const first = z.object({ name: z.string() })
const second = z.object({ name: z.string(), plan: z.enum(['free', 'pro']) })

describe('defineEvent', () => {
  it('gives the latest version and each single one', () => {
    const contract = defineEvent('user.created', {
      1: first,
      2: { schema: second, upcast: (old) => ({ ...old, plan: 'free' as const }) },
    })
    expect([contract.version, contract.schema, contract.v1.version, contract.v2.schema]).toEqual([2, second, 1, second])
    expect(contract.versions).toEqual([contract.v1, contract.v2])
    expect(contract.v1).not.toHaveProperty('upcast')
    expectTypeOf(contract).toExtend<Contract<{ name: string; plan: 'free' | 'pro' }>>()
    expectTypeOf(contract.v1).toEqualTypeOf<Contract<{ name: string }>>()
  })

  it('cannot be changed afterwards', () => {
    const contract = defineEvent('user.created', { 1: first })
    expect(() => Object.assign(contract, { version: 9 })).toThrow(TypeError)
    expect(() => (contract.versions as Contract[]).pop()).toThrow(TypeError)
  })

  it.each(['', 'user', 'User.Created', 'user..created', 'user.created.', '.user', 'user.*'])(
    'refuses %j as a type',
    (type) => {
      expect(() => defineEvent(type, { 1: first })).toThrow('a type is dotted lower-case words')
    },
  )

  it('refuses gaps, versions below one and a later version without an upcast', () => {
    const define = defineEvent as unknown as (type: string, versions: object) => unknown
    const next = { schema: second, upcast: () => ({}) }
    expect(() => define('a.b', { 1: first, 3: next })).toThrow('version 2 is missing before 3')
    expect(() => define('a.b', { 0: first })).toThrow('version 1 is missing before 0')
    expect(() => define('a.b', { 1: first, 2: second })).toThrow('version 2 has no upcast')
    expect(() => define('a.b', {})).toThrow('it has no version')
  })
})
