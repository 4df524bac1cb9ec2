import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { fieldPaths, sensitive, shapeOf } from '../../src/core/json-shape.ts'

const unbounded = { min: 0, max: Number.POSITIVE_INFINITY }

describe('shapeOf', () => {
  it.each([
    [z.string(), { kind: 'string', ...unbounded }],
    [z.string().min(2).max(5), { kind: 'string', min: 2, max: 5 }],
    [z.email(), { kind: 'string', format: 'email', ...unbounded }],
    [z.iso.datetime({ offset: true }), { kind: 'string', format: 'date-time', ...unbounded }],
    [z.number().multipleOf(0.01).min(0), { kind: 'number', integer: false, min: 0, step: 0.01 }],
    [z.boolean(), { kind: 'boolean' }],
    [z.literal(7), { kind: 'choice', values: [7] }],
    [z.enum(['a', 'b']), { kind: 'choice', values: ['a', 'b'] }],
    [z.array(z.boolean()).min(1).max(3), { kind: 'array', item: { kind: 'boolean' }, min: 1, max: 3 }],
    [z.record(z.string(), z.boolean()), { kind: 'record', value: { kind: 'boolean' } }],
    [z.boolean().nullable(), { kind: 'union', of: [{ kind: 'boolean' }, { kind: 'null' }] }],
    [z.unknown(), { kind: 'any' }],
    [z.date(), { kind: 'any' }],
  ])('reads schema %#', (schema, shape) => {
    expect(shapeOf(schema)).toEqual(shape)
  })

  it('keeps optional and sensitive fields apart from plain ones, at any depth', () => {
    const schema = z.object({
      id: z.uuid(),
      person: z.object({ email: sensitive(z.email()).optional(), name: sensitive(z.string()) }).nullable(),
    })
    const fields = fieldPaths(shapeOf(schema), 'data').map(({ path, field }) => [path, field.required, field.sensitive])
    expect(fields).toEqual([
      ['data.id', true, false],
      ['data.person', true, false],
      ['data.person.email', false, true],
      ['data.person.name', true, true],
    ])
  })
})

describe('sensitive', () => {
  it('marks a copy and leaves the schema it was given alone', () => {
    const plain = z.email().describe('address')
    const marked = sensitive(plain)
    expect([plain.meta()?.sensitive, marked.meta()?.sensitive, marked.meta()?.description]).toEqual([
      undefined,
      true,
      'address',
    ])
  })
})
