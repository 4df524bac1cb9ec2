import { describe, expect, it } from 'vitest'
import { icons } from '../../../src/services/icons/service.ts'

describe('the icon service', () => {
  it('names each handler once, under its own name', () => {
    const names = icons.handlers.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    for (const name of names) expect(name).toMatch(/^icons\.[a-z-]+$/)
  })

  it('hears everything that it declares, and declares everything that it hears or captures', () => {
    const declared = icons.contracts.map(({ type }) => type)
    const heard = icons.handlers.flatMap(({ on }) => on.map((one) => (typeof one === 'string' ? one : one.type)))
    const derived = (icons.captures ?? []).flatMap(({ entity, rules = [] }) => [
      ...['created', 'updated', 'deleted'].map((verb) => `${entity}.${verb}`),
      ...rules.map(({ type }) => type),
    ])
    expect(declared).toEqual(expect.arrayContaining([...heard, ...derived]))
    // A setting that is removed changes nothing: the last value stays in force.
    expect(declared.filter((type) => !heard.includes(type))).toEqual(['system_setting.deleted'])
  })
})
