import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { diffContracts, diffSchemas } from '../../src/core/contract-diff.ts'
import { fingerprintOfContract, schemaFile, schemaOf } from '../../src/core/contract-schemas.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import { sensitive } from '../../src/core/json-shape.ts'
import { createRegistry } from '../../src/core/registry.ts'

const contractOf = (schema: z.ZodType) => defineEvent('a.b', { 1: schema }).v1
const changes = (was: z.ZodType, is: z.ZodType) =>
  diffSchemas(schemaOf(contractOf(was)), schemaOf(contractOf(is))).map(
    ({ path, change, breaking }) => `${path} ${change} ${breaking}`,
  )
const o = z.object

describe('the difference of two schemas', () => {
  it.each<[string, z.ZodType, z.ZodType, string[]]>([
    ['nothing', o({ a: z.string(), b: z.number() }), o({ b: z.number(), a: z.string() }), []],
    ['a required field more', o({}), o({ a: z.string() }), ['data.a added backwards']],
    ['an optional field more', o({}), o({ a: z.string().optional() }), ['data.a added no']],
    ['a field with a default more', o({}), o({ a: z.string().default('x') }), ['data.a added no']],
    [
      'a field more where the old one is strict',
      z.strictObject({}),
      o({ a: z.string().optional() }),
      ['data.a added forwards'],
    ],
    ['a required field less', o({ a: z.string() }), o({}), ['data.a removed forwards']],
    ['an optional field less', o({ a: z.string().optional() }), o({}), ['data.a removed no']],
    ['optional, now required', o({ a: z.string().optional() }), o({ a: z.string() }), ['data.a required backwards']],
    ['required, now optional', o({ a: z.string() }), o({ a: z.string().optional() }), ['data.a optional forwards']],
    ['another type', o({ a: z.string() }), o({ a: z.number() }), ['data.a type both']],
    ['null too', o({ a: z.string() }), o({ a: z.string().nullable() }), ['data.a type forwards']],
    ['null no more', o({ a: z.string().nullable() }), o({ a: z.string() }), ['data.a type backwards']],
    ['integers only', o({ a: z.number() }), o({ a: z.int() }), ['data.a type backwards']],
    ['a value more', o({ a: z.enum(['x']) }), o({ a: z.enum(['x', 'y']) }), ['data.a values forwards']],
    ['a value less', o({ a: z.enum(['x', 'y']) }), o({ a: z.enum(['x']) }), ['data.a values backwards']],
    ['any text', o({ a: z.enum(['x']) }), o({ a: z.string() }), ['data.a values forwards']],
    ['a tighter bound', o({ a: z.string().max(9) }), o({ a: z.string().max(5) }), ['data.a bounds backwards']],
    ['a looser bound', o({ a: z.number().min(3) }), o({ a: z.number().min(1) }), ['data.a bounds forwards']],
    ['a form', o({ a: z.string() }), o({ a: z.email() }), ['data.a format backwards']],
    [
      'within lists',
      o({ a: z.array(o({ b: z.string() })) }),
      o({ a: z.array(o({})) }),
      ['data.a[].b removed forwards'],
    ],
    [
      'within records',
      o({ a: z.record(z.string(), z.string()) }),
      o({ a: z.record(z.string(), z.number()) }),
      ['data.a.* type both'],
    ],
    [
      'an alternative more',
      z.union([o({ k: z.literal('x') })]),
      z.union([o({ k: z.literal('x') }), o({ k: z.literal('y') })]),
      ['data.k values forwards'],
    ],
    ['marks', o({ a: z.string() }), o({ a: sensitive(z.string()) }), ['data.a marks no']],
  ])('%s', (_, was, is, expected) => {
    expect(changes(was, is)).toEqual(expected)
  })

  it('ends for a schema that refers to itself', () => {
    const tree = (leaf: z.ZodType) => {
      const node: z.ZodType = o({ leaf, children: z.lazy(() => z.array(node)) })
      return node
    }
    expect(changes(tree(z.string()), tree(z.number()))).toContain('data.leaf type both')
  })
})

describe('the difference of two registries', () => {
  it('names types and versions; a new version breaks nobody', () => {
    const first = defineEvent('user.created', { 1: o({ a: z.string() }) })
    const second = defineEvent('user.created', {
      1: o({ a: z.number() }),
      2: { schema: o({ b: z.string() }), upcast: () => ({ b: '' }) },
    })
    const gone = defineEvent('user.gone', { 1: o({}) })
    const fresh = defineEvent('user.fresh', { 1: o({}) })
    const found = diffContracts(schemaFile(createRegistry([first, gone])), schemaFile(createRegistry([second, fresh])))
    expect(found.map(({ path, change, breaking }) => `${path} ${change} ${breaking}`)).toEqual([
      'user.created v1: data.a type both',
      'user.created v2 added no',
      'user.fresh added no',
      'user.gone removed both',
    ])
  })

  it('has one fingerprint for one meaning, in whatever order it was written', () => {
    const one = contractOf(o({ a: z.string(), b: z.number() }))
    const same = contractOf(o({ b: z.number(), a: z.string() }))
    expect(fingerprintOfContract(one)).toBe(fingerprintOfContract(same))
    expect(fingerprintOfContract(one)).not.toBe(fingerprintOfContract(contractOf(o({ a: z.string() }))))
  })
})
