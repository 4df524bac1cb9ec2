import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { closest, suggestion } from '../../src/core/suggest.ts'

const types = ['document.created', 'document.deleted', 'user.created', 'user.deleted', 'user.suspended']

describe('closest', () => {
  it.each([
    ['user.craeted', 'user.created'],
    ['usr.created', 'user.created'],
    ['USER.CREATED', 'user.created'],
    ['user.suspend', 'user.suspended'],
    ['documents.deleted', 'document.deleted'],
    ['payment.captured', undefined],
    ['x', undefined],
    ['', undefined],
  ])('%j is %j', (word, expected) => {
    expect(closest(word, types)).toBe(expected)
  })

  it('finds a field by its parts when one of them was left out or shortened', () => {
    const fields = ['data.user_id', 'data.user_data.email', 'data.user_data.plan']
    expect(closest('data.plan', fields)).toBe('data.user_data.plan')
    expect(closest('data.user.plan', fields)).toBe('data.user_data.plan')
    expect(closest('data.user_data.pln', fields)).toBe('data.user_data.plan')
    expect(closest('data.country', fields)).toBeUndefined()
  })

  it('finds a word again after any single typing error', () => {
    const words = fc.constantFrom(...types)
    fc.assert(
      fc.property(words, fc.nat(), fc.constantFrom('drop', 'double', 'swap', 'replace'), (word, place, kind) => {
        const at = 5 + (place % (word.length - 6))
        const [head, one, two, tail] = [word.slice(0, at), word[at], word[at + 1], word.slice(at + 2)]
        const wrong = { drop: head + two + tail, double: head + one + one + two + tail, swap: head + two + one + tail }
        const typed = kind === 'replace' ? `${head}#${two}${tail}` : wrong[kind as keyof typeof wrong]
        expect(closest(typed, types)).toBe(word)
      }),
    )
  })
})

describe('suggestion', () => {
  it('is a question, or nothing', () => {
    expect(suggestion('user.craeted', types)).toBe('did you mean user.created?')
    expect(suggestion('zzz', types)).toBeUndefined()
  })
})
