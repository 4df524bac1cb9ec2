import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatJson, jsonDepth, memberText, parseExactly } from '../../src/core/json-text.ts'
import { anyJson } from './events.ts'

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)

/** Too deep for the stack, so that the walk of our own writes it. */
const wrapped = (text: string, levels: number): string => '['.repeat(levels) + text + ']'.repeat(levels)

describe('formatJson', () => {
  it('writes what JSON.stringify writes', () => {
    fc.assert(fc.property(anyJson(), (value) => formatJson(value) === JSON.stringify(value)))
    expect(formatJson({ a: [1] }, 2)).toBe('{\n  "a": [\n    1\n  ]\n}')
    expect(formatJson(undefined)).toBe('null')
  })

  it('writes values of any depth', () => {
    const objects = `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`
    for (const text of [nested(5_000), nested(200_000), objects]) expect(formatJson(JSON.parse(text))).toBe(text)
  })

  it('writes deep values as JSON.stringify writes shallow ones', () => {
    fc.assert(
      fc.property(anyJson(), (value) => {
        const text = wrapped(JSON.stringify(value), 20_000)
        return formatJson(JSON.parse(text)) === text
      }),
      { numRuns: 30 },
    )
    const odd = { gone: undefined, zero: -0, list: [undefined, () => 1], at: new Date(0), text: new String('a') }
    const deep = JSON.parse(wrapped('', 20_000)) as unknown[]
    let inner = deep
    while (inner.length > 0) inner = inner[0] as unknown[]
    inner.push(odd)
    expect(formatJson(deep)).toBe(wrapped(JSON.stringify(odd), 20_000))
  })

  it('gives up indenting where the indentation would outweigh the value', () => {
    expect(formatJson(JSON.parse(nested(50_000)), 2)).toBe(nested(50_000))
  })

  it('throws the TypeError of JSON.stringify for what refers to itself, however far down', () => {
    const deep = JSON.parse(nested(20_000)) as unknown[]
    let inner = deep
    while (inner.length > 0) inner = inner[0] as unknown[]
    inner.push(deep)
    expect(() => formatJson(deep)).toThrow(TypeError)
    expect(() => formatJson(10n)).toThrow(TypeError)
  })
})

describe('parseExactly', () => {
  it('keeps the digits of every number for printing', () => {
    const text = '{"a":12345678901234567890,"b":[1.0,1e400,-0,7],"__proto__":{"c":0.12345678901234567890}}'
    expect(JSON.stringify(parseExactly(text))).toBe(text)
    expect(formatJson([JSON.parse(nested(20_000)), parseExactly(text)])).toBe(`[${nested(20_000)},${text}]`)
    expect(parseExactly('[7,"1.0"]')).toEqual([7, '1.0'])
  })

  it('reads any depth', () => expect(formatJson(parseExactly(nested(50_000)))).toBe(nested(50_000)))
})

describe('jsonDepth', () => {
  it.each([
    ['1', 0],
    ['"[[["', 0],
    ['"a\\\\"', 0],
    ['["\\\\\\"[["]', 1],
    ['{"a":[1,[2]],"b":{}}', 3],
    [nested(100_000), 100_000],
  ])('of %.40s is %i', (text, depth) => expect(jsonDepth(text)).toBe(depth))
})

describe('memberText', () => {
  it('gives the text of a member as it stands', () => {
    const text = '{"x":{"data":1}, "data" : [1.0, 12345678901234567890, {"a":":,}"}] ,"y":"data"}'
    expect(memberText(text, 'data')).toBe('[1.0, 12345678901234567890, {"a":":,}"}]')
    expect(memberText(text, 'none')).toBeUndefined()
  })

  it('takes the last of two members of one name, and knows escaped names, as JSON.parse does', () => {
    expect(memberText('{"data":1,"d\\u0061ta":"\\"}"}', 'data')).toBe('"\\"}"')
  })

  it('gives for every member text that means the member', () => {
    const object = fc.dictionary(fc.string(), anyJson()).map((members) => JSON.stringify(members, null, 1))
    fc.assert(
      fc.property(object, (text) => {
        for (const [name, value] of Object.entries(JSON.parse(text))) {
          expect(JSON.stringify(JSON.parse(memberText(text, name) ?? ''))).toBe(JSON.stringify(value))
        }
      }),
    )
  })
})
