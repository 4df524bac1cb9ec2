import { createServer, connect as dial } from 'node:net'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, test } from 'vitest'
import { EvtError } from '../../../src/core/errors.ts'
import { explainWrongType, isOutage, isReply, translateError } from '../../../src/transports/redis/errors.ts'
import { openRedis } from '../../../src/transports/redis/index.ts'
import { type PrivateRedis, startPrivateRedis } from '../../setup/private-redis.ts'

const place = { url: 'redis://bob:***@h:6379', host: 'h:6379', user: 'bob' }
const reply = (message: string, name = '', ...args: string[]) =>
  Object.assign(new Error(message), { name: 'ReplyError', command: { name, args } })
const coded = (code: string, message = code) => Object.assign(new Error(message), { code })

describe('an error of the server', () => {
  it.each([
    [
      reply('WRONGPASS invalid username-password pair or user is disabled.'),
      'connect',
      /h:6379 refuses user bob: wrong password/,
      /ACL LIST/,
    ],
    [
      reply('NOAUTH HELLO must be called with the client already authenticated'),
      'connect',
      /wants a password/,
      /redis:\/\/:password@host/,
    ],
    [
      reply("NOPERM this user has no permissions to run the 'xinfo' command", 'xinfo', 'STREAM', 's'),
      'connect',
      /bob may not XINFO STREAM/,
      /ACL SETUSER bob \+xinfo\|stream/,
    ],
    [
      reply(
        'NOPERM this user has no permissions to access one of the keys used as arguments',
        'xreadgroup',
        'GROUP',
        'g',
        'c',
        'STREAMS',
        'user.events',
        '>',
      ),
      'connect',
      /bob may not XREADGROUP on user\.events/,
      /ACL SETUSER bob ~user\.events/,
    ],
    [
      reply(
        'NOPERM this user has no permissions to access one of the keys used as arguments',
        'evalsha',
        'sha',
        '2',
        'orders',
        'x',
      ),
      'connect',
      /EVALSHA on orders/,
      /~orders/,
    ],
    [
      reply('WRONGTYPE Operation against a key holding the wrong kind of value', 'xadd', 'k', '*', 'a', 'b'),
      'usage',
      /the key k is no stream/,
      /TYPE k/,
    ],
    [
      reply("OOM command not allowed when used memory > 'maxmemory'."),
      'refused',
      /at its maxmemory/,
      /raise maxmemory/,
    ],
    [
      reply("READONLY You can't write against a read only replica."),
      'unsupported',
      /is a replica/,
      /URL of the master/,
    ],
    [reply('LOADING Redis is loading the dataset in memory'), 'connect', /still loading/, undefined],
    [
      reply('MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.'),
      'refused',
      /cannot save to its disk/,
      /disk/,
    ],
    [reply('CLUSTERDOWN Hash slot not served'), 'connect', /cluster at h:6379 is down/, /CLUSTER INFO/],
    [reply('MOVED 3999 127.0.0.1:6381'), 'usage', /one node of a cluster/, /\?cluster=true/],
    [reply('ERR DB index is out of range', 'select', '99'), 'usage', /no such database/, /lower number/],
    [
      reply("ERR unknown command 'XAUTOCLAIM', with args beginning with: 's'"),
      'unsupported',
      /does not know it/,
      /7\.0/,
    ],
    [reply('ERR Invalid stream ID specified as stream command argument'), 'usage', /no position/, /<ms>-<n>/],
    [
      reply("NOGROUP No such key 'st' or consumer group 'g' in XREADGROUP with GROUP option"),
      'conflict',
      /No such key 'st' or consumer group 'g'$/,
      /made again/,
    ],
    [
      reply("OOM command not allowed when used memory > 'maxmemory'. script: ee07, on @user_script:1."),
      'refused',
      /maxmemory/,
      undefined,
    ],
    [coded('ECONNREFUSED'), 'connect', /connection refused \(h:6379\)/, /host and port/],
    [
      coded('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate'),
      'connect',
      /not trusted: self-signed/,
      /NODE_EXTRA_CA_CERTS/,
    ],
    ...[
      'Connection is closed.',
      "Stream isn't writeable and enableOfflineQueue options is false",
      'Reached the max retries per request limit (which is 0). Refer to "maxRetriesPerRequest" option for details.',
    ].map((text) => [new Error(text), 'connect', /: the connection was lost \(h:6379\)$/, /reconnects/] as const),
    [new Error('Unknown RESP type 72 "H". Please report this.'), 'connect', /does not speak Redis/, /port/],
    [new Error('Command timed out'), 'connect', /no answer/, undefined],
    [
      Object.assign(new Error('Failed to refresh slots cache.'), { lastNodeError: coded('ECONNREFUSED') }),
      'connect',
      /connection refused/,
      undefined,
    ],
    [new AggregateError([coded('ECONNREFUSED')]), 'connect', /connection refused/, undefined],
    ['nonsense', 'internal', /nonsense/, undefined],
  ] as const)('%s', (thrown, code, message, hint) => {
    const error = translateError(thrown, place)
    expect(error.code).toBe(code)
    expect(error.message).toMatch(/^cannot use redis:\/\/bob:\*\*\*@h:6379: /)
    expect(error.message).toMatch(message)
    if (hint !== undefined) expect(error.hint).toMatch(hint)
  })

  it('is translated once', () => {
    const own = new EvtError('closed', 'cannot x')
    expect(translateError(own, place)).toBe(own)
  })
})

test('what passes by itself is told from what somebody has to mend, before and after it is translated', () => {
  const passes = [
    coded('ECONNRESET'),
    reply('LOADING x'),
    reply('READONLY x'),
    reply('OOM x'),
    new Error('Connection is closed.'),
  ]
  const stays = [
    reply('WRONGPASS x'),
    reply('NOPERM x'),
    reply('WRONGTYPE x'),
    reply('ERR unknown command x'),
    new TypeError('x'),
  ]
  for (const error of passes) expect([isOutage(error), isOutage(translateError(error, place))]).toEqual([true, true])
  for (const error of stays) expect([isOutage(error), isOutage(translateError(error, place))]).toEqual([false, false])
  expect(isReply(translateError(reply('NOGROUP x'), place), 'NOGROUP')).toBe(true)
})

test('a key that cannot be asked for its type keeps the error as it is', async () => {
  const thrown = reply('WRONGTYPE Operation against a key', 'xrange', 'k')
  const refused = await explainWrongType(thrown, place, 'k', () => Promise.reject(new Error('NOPERM')))
  expect(refused.message).toBe('cannot use k: the key k is no stream')
  expect((await explainWrongType(thrown, place, 'k', async () => 'hash')).message).toBe(
    'cannot use k: it is a hash, not a stream',
  )
})

describe('connecting', () => {
  let server: PrivateRedis
  let redis: Redis

  beforeAll(async () => {
    server = await startPrivateRedis({
      tls: true,
      users: ['user default off', 'user bob on >secret ~b:* +@all', 'user quiet on >secret ~* &* +@all -ping -select'],
    })
    redis = new Redis(server.url)
  })
  afterAll(async () => {
    redis.disconnect()
    await server.stop()
  })

  const url = (userInfo: string) => server.url.replace('evt:evt@', userInfo)
  const listen = async (answer: (data: Buffer) => Buffer | string | undefined) => {
    const other = createServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', (data) => {
        const text = answer(data)
        if (text !== undefined) socket.write(text)
      })
    })
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void other.close())
    const address = other.address()
    return typeof address === 'object' ? (address?.port ?? 0) : 0
  }

  it.each([
    ['bob:wrong@', /refuses user bob: wrong password/],
    ['nobody:x@', /refuses user nobody/],
    ['', /wants a password/],
  ])('as %j says what is wrong', async (userInfo, message) => {
    const opened = openRedis(url(userInfo))
    await expect(opened).rejects.toMatchObject({ code: 'connect', message: expect.stringMatching(message) })
    await expect(opened).rejects.not.toThrow(/wrong@/)
  })

  it('names the command and the key that a user may not use', async () => {
    const transport = await openRedis(url('bob:secret@'))
    onTestFinished(() => transport.close())
    await expect(transport.inspect(['b:fine'])).resolves.toMatchObject({ topics: [] })
    const signal = AbortSignal.timeout(5_000)
    const observed = transport.observe({ topics: ['other'], patterns: [] }, { from: 'start', follow: false, signal })
    await expect(observed[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      message: 'cannot use other: user bob may not XREVRANGE on other',
      hint: 'grant it on the server: ACL SETUSER bob ~other',
    })
  })

  it('without TLS to a port with TLS, and with TLS to one without, says which it is', async () => {
    const plainToTls = openRedis(`redis://evt:evt@127.0.0.1:${server.tls?.port}`)
    await expect(plainToTls).rejects.toMatchObject({
      message: expect.stringContaining('it wants TLS'),
      hint: expect.stringContaining('rediss://'),
    })
    const tlsToPlain = openRedis(server.url.replace('redis:', 'rediss:'))
    await expect(tlsToPlain).rejects.toMatchObject({ message: expect.stringContaining('looks like Redis without TLS') })
    const untrusted = openRedis(server.tls?.url ?? '')
    await expect(untrusted).rejects.toMatchObject({ message: expect.stringContaining('is not trusted') })
    for (const trust of [`ca=${encodeURIComponent(join(server.directory, 'server.crt'))}`, 'verify=false']) {
      const trusting = await openRedis(`${server.tls?.url}?${trust}`)
      expect(await trusting.about?.()).toMatch(/^Redis \d/)
      await trusting.close()
    }
    await expect(openRedis(`${server.tls?.url}?ca=/nowhere.pem`)).rejects.toMatchObject({ code: 'usage' })
  }, 20_000)

  it.each([
    ['bob:secret@', 'usage', /has no such database/],
    ['quiet:secret@', 'connect', /quiet may not SELECT/],
  ])('as %j to a database that it cannot have fails, and does not use another one', async (userInfo, code, message) => {
    const opened = openRedis(`${url(userInfo)}/99`)
    await expect(opened).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  })

  it('needs no permission to PING', async () => {
    const transport = await openRedis(url('quiet:secret@'))
    onTestFinished(() => transport.close())
    await expect(transport.inspect(['b:fine'])).resolves.toMatchObject({ topics: [] })
  })

  it('to a server below 7.0 is refused', async () => {
    // An old server cannot be had: this one is led through who changes what it says of itself.
    const older = createServer((socket) => {
      const upstream = dial(server.port, '127.0.0.1')
      const end = () => [socket, upstream].forEach((one) => void one.destroy())
      for (const one of [socket, upstream]) one.on('error', end).on('close', end)
      socket.pipe(upstream)
      upstream.on('data', (data) => {
        socket.write(
          data.toString('latin1').replace(/(\r\nversion\r\n\$\d+\r\n)\d/, (_, before) => `${before}6`),
          'latin1',
        )
      })
    })
    await new Promise<void>((resolve) => older.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void older.close())
    const { port } = older.address() as { port: number }
    await expect(openRedis(`redis://evt:evt@127.0.0.1:${port}`)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(/it is Redis 6\.\S+, and evt needs 7\.0$/),
    })
  })

  it('to another protocol says which one it looks like', async () => {
    const port = await listen((data) =>
      data.toString().startsWith('HEAD') ? 'HTTP/1.1 200 OK\r\n\r\n' : 'HTTP/1.1 400 Bad\r\n\r\n',
    )
    await expect(openRedis(`redis://127.0.0.1:${port}`)).rejects.toMatchObject({
      code: 'connect',
      message: expect.stringContaining('it looks like HTTP'),
    })
  }, 10_000)

  it('to something silent gives up within seconds', async () => {
    const port = await listen(() => undefined)
    const started = performance.now()
    await expect(openRedis(`redis://127.0.0.1:${port}`)).rejects.toMatchObject({ code: 'connect' })
    expect(performance.now() - started).toBeLessThan(8_000)
  }, 15_000)
})
