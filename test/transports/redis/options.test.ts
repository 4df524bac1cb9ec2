import { describe, expect, it } from 'vitest'
import { parseRedisUrl } from '../../../src/transports/redis/options.ts'

describe('a URL of Redis', () => {
  it('names server, user, database and what to follow', () => {
    const options = parseRedisUrl('rediss://me:s%3Ae%40t@h:6380/3?stream=user.events,orders.*&ca=/ca.pem')
    expect(options).toMatchObject({
      nodes: [{ host: 'h', port: 6380 }],
      tls: { ca: '/ca.pem', verify: true },
      username: 'me',
      password: 's:e@t',
      database: 3,
      streams: ['user.events', 'orders.*'],
      channels: [],
      cluster: undefined,
      place: { host: 'h:6380', user: 'me', url: expect.not.stringContaining('s%3Ae') },
    })
  })

  it('has defaults', () => {
    expect(parseRedisUrl('redis://')).toMatchObject({
      nodes: [{ host: '127.0.0.1', port: 6379 }],
      tls: undefined,
      database: 0,
      windowMs: 600_000,
      lookMs: 2_000,
      retain: { entries: 10_000 },
      broadcast: undefined,
      place: { user: 'default' },
    })
  })

  it('wants a password with a user, and TLS for options of TLS', () => {
    expect(() => parseRedisUrl('redis://me@h')).toThrow('it names user me and no password')
    expect(() => parseRedisUrl('redis://h?verify=false')).toThrow('it has options of TLS and no TLS')
    expect(parseRedisUrl('redis://:secret@h')).toMatchObject({ username: undefined, password: 'secret' })
  })

  it('names several nodes of a cluster, also by IPv6', () => {
    const { cluster, nodes } = parseRedisUrl('redis://a:7000,[::1]:7001,b')
    expect(cluster).toBe(true)
    expect(nodes).toEqual([
      { host: 'a', port: 7000 },
      { host: '::1', port: 7001 },
      { host: 'b', port: 6379 },
    ])
    expect(parseRedisUrl('redis://a,b?cluster=false').cluster).toBe(false)
  })

  it.each([
    ['1h', { ms: 3_600_000 }],
    ['30m', { ms: 1_800_000 }],
    ['500ms', { ms: 500 }],
    ['50k', { entries: 50_000 }],
    ['0', { entries: 0 }],
    ['1,000', { entries: 1_000 }],
  ])('keeps %s of what is settled', (text, retain) => {
    expect(parseRedisUrl(`redis://h?retain=${text}`).retain).toEqual(retain)
  })

  it.each([
    ['redis://h?strem=a', 'there is no parameter strem', '?stream='],
    ['redis://h/orders', 'the database orders is no number', '?stream='],
    ['redis://h?stream=a&pubsub=b', 'it names ?stream= and ?pubsub=', 'two URLs'],
    ['redis://h:99999', 'there is no port 99999', '65535'],
    ['redis://h?cluster=maybe', '?cluster=maybe is neither true nor false', '?cluster=true'],
    ['redis://a,b/3', 'a cluster has no database 3', 'redis://a,b'],
    ['redis://h?window=soon', '?window=soon cannot be read', '10m'],
    ['redis://h?retain=some', '?retain=some cannot be read', '1h'],
    ['redis:h', 'it is no redis:// URL', 'redis://host:6379'],
    ['redis://me:secret@h:x', 'its host cannot be read', 'redis://host:6379'],
    ['redis://me:%zz@h', 'user or password is not percent-encoded', '%25'],
  ])('%s is wrong, and its error says why', (url, reason, remedy) => {
    const parse = () => parseRedisUrl(url)
    expect(parse).toThrow(expect.objectContaining({ code: 'usage', hint: expect.stringContaining(remedy) }))
    expect(parse).toThrow(reason)
    expect(parse).not.toThrow('secret')
  })
})
