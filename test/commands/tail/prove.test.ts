import { describe, expect, it } from 'vitest'
import { compareFacts } from '../../../src/commands/tail/prove.ts'

describe('compareFacts', () => {
  it.each([
    ['nothing', {}, {}, [], []],
    ['the same', { groups: 'a, b' }, { groups: 'a, b' }, [], []],
    ['a new group', {}, { 'group tail': '1 consumer' }, ['group tail is new: 1 consumer'], []],
    ['a lost queue', { 'queue q': '3 messages' }, {}, ['queue q is gone: it was 3 messages'], []],
    ['another name', { groups: 'a' }, { groups: 'b' }, ['groups a → b'], []],
    ['a moved number', { depth: '12' }, { depth: '40' }, [], ['depth 12 → 40']],
    [
      'moved numbers',
      { q: 'ready 3, unacked 1' },
      { q: 'ready 2, unacked 2' },
      [],
      ['q ready 3, unacked 1 → ready 2, unacked 2'],
    ],
  ])('tells %s', (_what, before, after, changed, moved) => {
    expect(compareFacts(before as Record<string, string>, after as Record<string, string>)).toEqual({ changed, moved })
  })
})
