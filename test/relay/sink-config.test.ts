import { describe, expect, it } from 'vitest'
import type { SinkOptions } from '../../src/core/sinks-and-sources.ts'
import { resolveSinks } from '../../src/relay/sink-config.ts'

const two = (a: Omit<SinkOptions, 'name'>, b: Omit<SinkOptions, 'name'>) =>
  resolveSinks([
    { name: 'a', ...a },
    { name: 'b', ...b },
  ])
const url = 'kafka://broker:9092'

describe('two sinks', () => {
  it.each([
    ['the same topic', { url, topic: 'orders' }, { url, topic: 'orders' }],
    ['the default topic', { url }, { url, topic: 'events' }],
    ['other patterns', { url, topic: 'o', patterns: ['a.*'] }, { url, topic: 'o', patterns: ['b.*'] }],
    ['other layouts', { url, topic: 'o' }, { url, topic: 'o', layout: 'single' }],
    ['another user', { url: 'kafka://u:p@Broker:9092/', topic: 'o' }, { url: `${url}?clientId=x`, topic: 'o' }],
    ['what one URL names', { url: 'redis://h/0?stream=s' }, { url: 'redis://h/0?stream=s' }],
    ['one prefix', { url, layout: 'per-type', prefix: 't.' }, { url, layout: 'per-type', prefix: 't.' }],
    [
      'types that both want',
      { url, layout: 'per-type', patterns: ['user.{created,deleted}'] },
      { url, layout: 'per-type', patterns: ['user.created'] },
    ],
    ['a topic of a type', { url, topic: 't.user.created' }, { url, layout: 'per-type', prefix: 't.' }],
  ] as const)('that write to one place are refused: %s', (_what, a, b) => {
    expect(() => two(a, b)).toThrow(
      expect.objectContaining({
        code: 'config',
        message: expect.stringMatching(
          /^cannot use sink b: it writes to .* of kafka|^cannot use sink b: it writes to .* of redis/,
        ),
        hint: expect.stringContaining('topic'),
      }),
    )
  })

  it('are refused without showing a password', () => {
    const secret = 'redis://u:secret@h/0'
    expect(() => two({ url: secret }, { url: secret })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('secret') }),
    )
  })

  it.each([
    ['topics', { url, topic: 'a' }, { url, topic: 'b' }],
    ['servers', { url, topic: 'a' }, { url: 'kafka://other:9092', topic: 'a' }],
    ['databases', { url: 'redis://h/0' }, { url: 'redis://h/1' }],
    ['streams', { url: 'redis://h/0?stream=a' }, { url: 'redis://h/0?stream=b' }],
    ['what the path names', { url: `${url}/orders` }, { url: `${url}/orders`, topic: 'events' }],
    ['prefixes', { url, layout: 'per-type', prefix: 'a.' }, { url, layout: 'per-type', prefix: 'b.' }],
    ['types', { url, layout: 'per-type', patterns: ['user.*'] }, { url, layout: 'per-type', patterns: ['order.*'] }],
  ] as const)('that differ by %s are taken', (_what, a, b) => {
    expect(two(a, b)).toHaveLength(2)
  })
})
