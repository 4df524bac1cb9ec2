import { describe, expect, it } from 'vitest'
import { compareFacts, openProof } from '../../../src/commands/tail/prove.ts'
import type { TailSource } from '../../../src/commands/tail/source.ts'
import type { Output } from '../../../src/output/output.ts'

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
    [
      'a lane that others fill for the first time',
      { 'stream t:1': 'not there', 'evt group g of t:0': '1 2-0' },
      {
        'stream t:1': '3 entries, 3 ever added, last 5-0',
        'evt group g of t:0': '1 2-0',
        'evt group g of t:1': '1 5-0',
      },
      [],
      ['stream t:1 not there → 3 entries, 3 ever added, last 5-0', 'evt group g of t:1 none → 1 5-0'],
    ],
    [
      'where a known group stands in a partition for the first time',
      { 'group g': 'Stable, 1 members' },
      { 'group g': 'Stable, 1 members', 'group g at t/1': '5', 'group h at t/1': '5' },
      ['group h at t/1 is new: 5'],
      ['group g at t/1 none → 5'],
    ],
    ['a queue that appears', { 'queue q': 'missing' }, { 'queue q': '1 ready' }, ['queue q missing → 1 ready'], []],
  ])('tells %s', (_what, before, after, changed, moved) => {
    expect(compareFacts(before as Record<string, string>, after as Record<string, string>)).toEqual({ changed, moved })
  })
})

describe('openProof', () => {
  it('knows nothing of a source of which it could not ask everything, and says what', async () => {
    const facts = { 'queue q': '3 ready', 'other queues': 'not asked: name ?management=URL' }
    const source = { name: 'amqp://h', footprint: async () => facts } as unknown as TailSource
    const said: string[] = []
    const output = { notice: (text: string) => said.push(text), warn() {} } as unknown as Output
    const proof = await openProof([source], output)
    expect(await proof.compare()).toBe('unknown')
    expect(said).toEqual([
      'prove amqp://h: unknown: other queues not asked: name ?management=URL; the rest is unchanged: queue q 3 ready',
    ])
  })
})
