import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatJson } from '../../src/core/json-text.ts'
import { maskFields, readsAsMeant, redactUrl } from '../../src/core/mask.ts'
import { anyText } from './texts.ts'

describe('redactUrl', () => {
  test.each([
    ['postgres://u:p@h/db', 'postgres://u:***@h/db'],
    ['postgres://u:p@h1:5432,h2:5433/db?sslmode=require', 'postgres://u:***@h1:5432,h2:5433/db?sslmode=require'],
    ['postgres://h/db?user=u&password=p%26q&a=b', 'postgres://h/db?user=u&password=***&a=b'],
    ['postgres:///db?host=/tmp&pass%77ord=p', 'postgres:///db?host=/tmp&pass%77ord=***'],
    ['redis://:p@h:6379/0', 'redis://:***@h:6379/0'],
    ['amqp://u:p@h/v%2Fhost?exchange=e&key=user.%23', 'amqp://u:***@h/v%2Fhost?exchange=e&key=user.%23'],
    ['https://h/cb#access_token=abc', 'https://h/cb#access_token=***'],
    [
      'amqp://h/v?exchange=e&management=http://admin:s3cret@h:15672',
      'amqp://h/v?exchange=e&management=http://admin:***@h:15672',
    ],
    [
      'amqp://h/v?management=http%3A%2F%2Fadmin%3As3cret%40h%3A15672&exchange=e',
      'amqp://h/v?management=http%3A%2F%2Fadmin%3A***%40h%3A15672&exchange=e',
    ],
    [
      'cannot use amqp://h/v?management=http://a:p@h: refused',
      'cannot use amqp://h/v?management=http://a:***@h: refused',
    ],
    ['amqp://h/v?management=http://a%3Ap@h', 'amqp://h/v?management=http%3A%2F%2Fa%3A***%40h'],
    ['amqp://h/v?management=http%3A%2F%2Fa:p@h%zz', 'amqp://h/v?management=http%3A%2F%2Fa%3A***%40h%25zz'],
    ['amqp://h/v?management=http://a:p&q@h', 'amqp://h/v?management=http://***'],
    ['amqp://h/v?management=http://a:12&34@h&a=b', 'amqp://h/v?management=http://***'],
    ['amqp://h/v?management=http://a:p&q=r@h', 'amqp://h/v?management=http://***'],
    ['amqp://h/v?management=http://a:p%2Fq@h#r', 'amqp://h/v?management=http://a:***@h#r'],
    [
      'https://h/x?client_secret=a&saslPassword=b&key=c&certkey=d',
      'https://h/x?client_secret=***&saslPassword=***&key=c&certkey=d',
    ],
    ["host=h password='a b\\'c' user=u", 'host=h password=*** user=u'],
    ["password='a b'c user=u", 'password=*** user=u'],
    ['host=h password = a\\ b user=u', 'host=h password = *** user=u'],
    ['cannot connect to postgres://u:p@h/db: refused', 'cannot connect to postgres://u:***@h/db: refused'],
  ])('%s is shown as %s', (url, shown) => {
    expect(redactUrl(url)).toBe(shown)
  })

  test.each(['p@ss', 'p:ss', 'p ss', '[x'])(
    'a password that is read as it was meant is hidden alone: %s',
    (password) => {
      expect(redactUrl(`postgres://u:${password}@h:5432/db?a=b`)).toBe('postgres://u:***@h:5432/db?a=b')
    },
  )

  const cutOff = [
    'p/ss',
    'p?ss',
    'p#ss',
    '12/34',
    '12#34',
    '12?a=b',
    '/',
    '#x',
    'se/cr@et',
    'a@b/c',
    'a@b#c=d',
    'a@b?c=d',
    '1#a@b=c',
  ]

  test.each([...cutOff, 'p@/?#:ss', '12/34x', 'a=b&password=c?', 'a@b/c?d=e'])(
    'of a URL whose password ends too early nothing is shown: %s',
    (password) => {
      for (const rest of ['h:5432/db?a=b', 'h/db', 'h', 'h1:1,h2:2/db']) {
        expect(redactUrl(`postgres://u:${password}@${rest}`)).toBe('postgres://***')
        expect(redactUrl(`redis://:${password}@${rest}`)).toBe('redis://***')
        expect(readsAsMeant(`postgres://u:${password}@${rest}`)).toBe(false)
      }
    },
  )

  test.each(['postgres://u:p/s', 'postgres://u:p#s', 'postgres://u:p', 'kafka://h:9092/topic@x'])(
    'what may be a password before a host that is missing is not shown: %s',
    (url) => {
      expect(redactUrl(url)).toMatch(/^\w+:\/\/\*\*\*$/)
    },
  )

  test('a sentence goes on after a URL', () => {
    expect(redactUrl('cannot use redis://h:6379: refused')).toBe('cannot use redis://h:6379: refused')
    expect(redactUrl('(see postgres://u:p/x@h/db).')).toBe('(see postgres://***).')
  })

  test.each([
    'postgres://u@h/db',
    'postgres://h1:1,h2:2/db',
    'postgres://[::1]:5432/db@x',
    'kafka://h/topic@x',
    'redis://h:6379/0?pubsub=user@x',
    'amqp://h/v?management=http://h:15672&key=user@x',
    'amqp://h/v?management=http%3A%2F%2Fh%3A15672',
    'host=h user=u dbname=d',
    'nothing here',
    '',
    '://',
  ])('%s has nothing to hide', (url) => {
    expect(redactUrl(url)).toBe(url)
    expect(readsAsMeant(url)).toBe(true)
  })

  test('hides the password of any well-formed URL and nothing else', () => {
    const word = fc.stringMatching(/^[a-z0-9%._~-]{0,8}$/)
    const host = fc
      .oneof(
        fc.domain(),
        fc.ipV4(),
        fc.ipV6().map((ip) => `[${ip}]`),
      )
      .map((name) => `${name}:5432`)
    const parts = fc.tuple(
      fc.constantFrom('postgres', 'redis', 'amqp+tls'),
      word,
      word,
      fc.array(host, { minLength: 1, maxLength: 3 }),
      word,
    )
    fc.assert(
      fc.property(parts, ([scheme, user, password, hosts, path]) => {
        const url = (shown: string) => `${scheme}://${user}:${shown}@${hosts.join(',')}/${path}?x=1`
        expect(redactUrl(url(password))).toBe(url('***'))
      }),
    )
  })

  test('hides the password of a URL in a query, written out or escaped, however deep', () => {
    const password = fc.string({ minLength: 1 }).map((text) => `<${encodeURIComponent(text.toWellFormed())}>`)
    const asIs = (text: string) => text
    const ways = fc.array(fc.constantFrom(encodeURIComponent, asIs), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(password, ways, (secret, levels) => {
        const nest = (url: string, write: (text: string) => string) => `amqp://h/v?a=b&management=${write(url)}`
        const url = levels.reduce(nest, `http://admin:${secret}@h:15672`)
        const shown = redactUrl(url)
        expect(fullyDecoded(shown)).not.toContain(fullyDecoded(secret))
        expect(shown).toContain('amqp://h/v?a=b&management=')
        expect(redactUrl(shown)).toBe(shown)
      }),
    )
  })

  test('does not mind URLs in URLs without end', () => {
    expect(redactUrl('a://h?b='.repeat(100_000))).toContain('***')
  })

  test('never throws, and redacting twice changes nothing', () => {
    const nearly = fc.string({
      unit: fc.constantFrom(
        'a',
        ':',
        '/',
        '//',
        '@',
        '?',
        '#',
        '&',
        '=',
        'password',
        '://',
        ' ',
        "'",
        '\\',
        '%',
        '%zz',
        ',',
        '%3A%2F%2F',
        'x=y://',
      ),
    })
    fc.assert(
      fc.property(
        fc.oneof(
          nearly,
          nearly.map((rest) => `pg://${rest}`),
          anyText(),
        ),
        (text) => {
          expect(redactUrl(redactUrl(text))).toBe(redactUrl(text))
        },
      ),
      { numRuns: 1000 },
    )
  })
})

function fullyDecoded(text: string): string {
  try {
    const plain = decodeURIComponent(text)
    return plain === text ? text : fullyDecoded(plain)
  } catch {
    return text
  }
}

describe('maskFields', () => {
  const data = {
    user: { email: 'a@b', name: 'A' },
    cards: [
      { no: '1', kind: 'x' },
      { no: '2', kind: 'y' },
    ],
    n: 1,
  }

  test('hides what the paths name, through arrays, and copies only what it changes', () => {
    const masked = maskFields(data, ['user.email', 'cards.no', 'n']) as typeof data
    expect(masked).toEqual({
      user: { email: '***', name: 'A' },
      cards: [
        { no: '***', kind: 'x' },
        { no: '***', kind: 'y' },
      ],
      n: '***',
    })
    expect(data.user.email).toBe('a@b')
    expect((maskFields(data, ['user.email']) as typeof data).cards).toBe(data.cards)
  })

  test('an index names one element', () => {
    expect((maskFields(data, ['cards.1.no']) as typeof data).cards.map((card) => card.no)).toEqual(['1', '***'])
  })

  test('a path to nothing changes nothing', () => {
    expect(maskFields(data, ['nobody', 'user.email.deeper', 'n.x', 'constructor.name'])).toEqual(data)
    expect(maskFields('text', ['a'])).toBe('text')
    expect(maskFields(null, ['a'])).toBeNull()
  })

  test('a key named __proto__ stays data', () => {
    const odd = JSON.parse('{"__proto__":{"secret":1},"a":2}') as object
    const masked = maskFields(odd, ['__proto__.secret']) as object
    expect(JSON.stringify(masked)).toBe('{"__proto__":{"secret":"***"},"a":2}')
    expect(Object.getPrototypeOf(masked)).toBe(Object.prototype)
  })

  test('hides whole what lies in more arrays than it can enter', () => {
    const nested = (levels: number, inner: string) => '['.repeat(levels) + inner + ']'.repeat(levels)
    const secret = '{"no":"4242"}'
    expect(maskFields(JSON.parse(nested(900, secret)), ['no'])).toEqual(JSON.parse(nested(900, '{"no":"***"}')))
    for (const levels of [5_000, 100_000]) {
      const masked = formatJson(maskFields(JSON.parse(nested(levels, secret)), ['no']))
      expect(masked).toContain('***')
      expect(masked).not.toContain('4242')
    }
  })
})
