import { describe, expect, it } from 'vitest'
import { parseKafkaUrl } from '../../../src/transports/kafka/options.ts'

describe('the URL of Kafka', () => {
  it('names servers, topics, user and TLS', () => {
    expect(parseKafkaUrl('kafka://h/orders')).toEqual({
      shown: 'kafka://h/orders',
      seeds: [{ host: 'h', port: 9092 }],
      topics: ['orders'],
      clientId: 'evt',
      sessionMs: 6_000,
    })
    const url =
      'kafka://u:p%40ss@a:1,[::1]:2/x,y%2A?tls=true&ca=/c.pem&sasl=scram-sha-512&clientId=me&partitions=8&session=10s'
    expect(parseKafkaUrl(url)).toMatchObject({
      seeds: [
        { host: 'a', port: 1 },
        { host: '::1', port: 2 },
      ],
      topics: ['x', 'y*'],
      clientId: 'me',
      partitions: 8,
      sessionMs: 10_000,
      tls: { ca: '/c.pem' },
      sasl: { mechanism: 'scram-sha-512', username: 'u', password: 'p@ss' },
    })
    expect(parseKafkaUrl('kafka://u:p@h').sasl?.mechanism).toBe('plain')
    expect(parseKafkaUrl('kafka://h').topics).toEqual([])
  })

  it('never shows its password', () => {
    expect(parseKafkaUrl('kafka://u:secret@h/t').shown).toBe('kafka://u:***@h/t')
  })

  it.each([
    [
      'kafka://h/t?sas=plain',
      'no parameter sas',
      'did you mean sasl? known: tls, ca, cert, key, sasl, clientId, partitions, session',
    ],
    ['kafka://h/t?tls=yes', '?tls=yes is neither true nor false', undefined],
    ['kafka://u:p@h/t?sasl=gssapi', 'no ?sasl=gssapi', 'known: plain, scram-sha-256, scram-sha-512'],
    ['kafka://h/t?sasl=plain', '?sasl=plain needs a user', 'kafka://user:password@host:9092/…'],
    ['kafka://u@h/t', 'the user has no password', 'kafka://user:password@host:9092/…'],
    ['kafka://h:x/t', 'cannot', undefined],
    ['kafka://h:99999/t', 'is no host:port', undefined],
    ['kafka://h/t?cert=/a', 'a certificate needs its key', 'give both ?cert= and ?key='],
    ['kafka://h/t?partitions=0', '?partitions=0 is no number', undefined],
    ['kafka://h/t?session=6', 'the unit is missing', undefined],
    ['kafka://h/t?session=1h', '?session=1h is not between 500ms and 5m', undefined],
    ['kafka://', 'cannot be read', undefined],
  ])('refuses %s and says why', (url, reason, hint) => {
    expect(() => parseKafkaUrl(url)).toThrow(reason)
    try {
      parseKafkaUrl(url)
    } catch (error) {
      expect(error).toMatchObject({ code: 'usage', ...(hint !== undefined && { hint }) })
      expect(String(error)).not.toContain('secret')
    }
  })
})
