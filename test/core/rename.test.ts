import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assertApart, parseRenames } from '../../src/core/rename.ts'

const map = { 'requests.user.*': 'user.*', 'requests.ping': 'health.ping' }

describe('renames', () => {
  it.each([
    ['requests.user.created', 'user.created'],
    ['requests.user.profile.updated', 'user.profile.updated'],
    ['requests.ping', 'health.ping'],
    ['request.created', 'request.created'],
    ['requests.user', 'requests.user'],
    ['requests.users.created', 'requests.users.created'],
  ])('call %s there %s, and back', (here, there) => {
    const renames = parseRenames(map)
    expect(renames.there(here)).toBe(there)
    expect(renames.here(there)).toBe(here)
  })

  it('put every type under a prefix, or take one from all', () => {
    expect(parseRenames({ '*': 'mine.*' }).there('a.b')).toBe('mine.a.b')
    expect(parseRenames({ 'shop.*': '*' }).here('order.placed')).toBe('shop.order.placed')
  })

  it('leave everything as it is without a map', () => {
    expect(parseRenames().there('a.b')).toBe('a.b')
    expect(parseRenames({}).here('a.b')).toBe('a.b')
  })

  it('have no type here for one there whose name another has here', () => {
    expect(parseRenames(map).here('requests.user.created')).toBeUndefined()
    expect(parseRenames(map).here('requests.ping')).toBeUndefined()
    const swap = parseRenames({ 'a.*': 'b.*', 'b.*': 'a.*' })
    expect([swap.there('a.x'), swap.here('a.x')]).toEqual(['b.x', 'b.x'])
  })

  it('are one to one for every map that is taken', () => {
    const name = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 })
    const side = fc.tuple(name, fc.boolean()).map(([words, many]) => words.join('.') + (many ? '.*' : ''))
    const types = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 5 }).map((all) => all.join('.'))
    fc.assert(
      fc.property(fc.dictionary(side, side, { maxKeys: 3 }), fc.array(types), (given, all) => {
        let renames: ReturnType<typeof parseRenames>
        try {
          renames = parseRenames(given)
        } catch {
          return
        }
        for (const type of all) {
          const here = renames.here(type)
          if (here !== undefined) expect(renames.there(here)).toBe(type)
        }
      }),
    )
  })

  it.each([
    [{ 'user.*': 'requests.created' }, 'one is a single type, the other is many'],
    [{ 'user.cre*': 'x.*' }, 'it is neither a type nor a prefix of types'],
    [{ '': 'x' }, 'it is neither a type nor a prefix of types'],
    [{ 'a b': 'x' }, 'it is neither a type nor a prefix of types'],
    [{ 'user.*': 'a.*', 'user.created': 'b.created' }, 'user.* and user.created have types in common'],
    [{ 'a.*': 'user.*', 'b.*': 'user.profile.*' }, 'user.* and user.profile.* have types in common'],
    [{ a: 'x', b: 'x' }, 'two lines of the map end in x'],
    [{ '*': 'x.*', a: 'b' }, '* and a have types in common'],
  ])('are refused with what to do: %j', (given, reason) => {
    expect(() => parseRenames(given)).toThrow(
      expect.objectContaining({ code: 'config', message: expect.stringContaining(reason), hint: expect.any(String) }),
    )
  })

  it.each([
    [undefined, false],
    [['*'], false],
    [['user.*'], false],
    [['*.created'], false],
    [['**.created'], false],
    [['user.created', 'requests.*'], false],
    [['requests.*'], true],
    [['request.*', 'requests.*', 'users.*'], true],
    [['user'], true],
  ])('with patterns %j keep other types apart: %s', (patterns, apart) => {
    const check = () => assertApart({ 'requests.user.*': 'user.*' }, patterns)
    if (apart) expect(check).not.toThrow()
    else
      expect(check).toThrow(
        expect.objectContaining({
          message: 'cannot rename requests.user.* to user.*: types that have that name here go there too',
          hint: expect.stringContaining('requests.user.*'),
        }),
      )
  })
})
