import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { openKafka } from '../../../src/transports/kafka/index.ts'
import { type PrivateKafka, startPrivateKafka } from '../../setup/private-kafka.ts'
import { startPrivateRedis } from '../../setup/private-redis.ts'

describe('who may enter Kafka', () => {
  let kafka: PrivateKafka
  let caFile = ''
  beforeAll(async () => {
    kafka = await startPrivateKafka({ tls: true, users: { alice: 'right' } })
    caFile = join(kafka.directory, 'trusted.pem')
    writeFileSync(caFile, kafka.tls?.ca ?? '')
  })
  afterAll(() => kafka?.stop())

  const sasl = (user: string, mechanism: string) =>
    `kafka://${user}@127.0.0.1:${kafka.sasl?.port}/t?tls=true&ca=${encodeURIComponent(caFile)}&sasl=${mechanism}`

  async function refusal(url: string) {
    const opening = openKafka(url)
    opening.then(
      (transport) => transport.close(),
      () => {},
    )
    return (await opening.then(
      () => ({}),
      (error: Error) => error,
    )) as { code?: string; message?: string; hint?: string }
  }

  it('enters with TLS', async () => {
    const transport = await openKafka(`kafka://127.0.0.1:${kafka.tls?.port}?tls=true&ca=${encodeURIComponent(caFile)}`)
    expect(await transport.ensure([{ name: 'over-tls', lanes: 1 }], 'create')).toEqual([])
    await transport.close()
  })

  it.each(['plain', 'scram-sha-256', 'scram-sha-512'])(
    'enters with %s, and tells a wrong password',
    async (mechanism) => {
      const transport = await openKafka(sasl('alice:right', mechanism))
      await transport.close()
      const error = await refusal(sasl('alice:wrong', mechanism))
      expect(error).toMatchObject({
        code: 'connect',
        message: expect.stringContaining('user alice or the password is wrong'),
      })
      expect(JSON.stringify([error.message, error.hint])).not.toContain('wrong@')
    },
  )

  it('says what a user may not do', async () => {
    const admin = await openKafka(kafka.url)
    await admin.ensure([{ name: 'secret', lanes: 1 }], 'create')
    await admin.close()
    const transport = await openKafka(sasl('alice:right', 'plain'))
    onTestFinished(() => transport.close())
    const message = { id: '1', key: null, headers: {}, body: new Uint8Array() }
    const [result] = await transport.publish('secret', [message], AbortSignal.timeout(10_000))
    expect(result).toMatchObject({
      state: 'refused',
      error: { code: 'refused', message: expect.stringMatching(/no permission/) },
    })
    const signal = AbortSignal.timeout(10_000)
    const reading = async () => {
      const options = { prefetch: 1, patterns: [], start: 'latest', lanes: 1, member: 'm', signal } as const
      for await (const _ of transport.lanes?.(['secret'], 'spies', options) ?? []);
    }
    await expect(reading()).rejects.toMatchObject({ code: 'refused', hint: expect.stringContaining('kafka-acls') })
  })

  it('tells a plain URL on a port with TLS, and the reverse', async () => {
    expect(await refusal(`kafka://127.0.0.1:${kafka.tls?.port}/t`)).toMatchObject({
      code: 'connect',
      message: expect.stringContaining('speaks TLS'),
      hint: expect.stringContaining('?tls=true'),
    })
    expect(await refusal(`kafka://127.0.0.1:${kafka.port}/t?tls=true`)).toMatchObject({
      code: 'connect',
      message: expect.stringContaining('does not speak TLS'),
      hint: expect.stringContaining('?tls=true out'),
    })
  })

  it('tells a certificate that nobody vouches for', async () => {
    expect(await refusal(`kafka://127.0.0.1:${kafka.tls?.port}/t?tls=true`)).toMatchObject({
      code: 'connect',
      message: expect.stringContaining('not trusted'),
      hint: expect.stringContaining('?ca='),
    })
  })

  it('tells a password where none is asked for, and none where one is', async () => {
    expect(await refusal(`kafka://alice:right@127.0.0.1:${kafka.port}/t?sasl=plain`)).toMatchObject({
      code: 'connect',
      message: expect.stringContaining('asks for no password'),
    })
    expect(
      await refusal(`kafka://127.0.0.1:${kafka.sasl?.port}/t?tls=true&ca=${encodeURIComponent(caFile)}`),
    ).toMatchObject({
      code: 'connect',
      hint: expect.stringMatching(/user|sasl/),
    })
  })

  it.concurrent('tells a port where nothing listens, and one that speaks another protocol', async ({
    onTestFinished,
  }) => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    await new Promise((resolve) => server.close(resolve))
    expect(await refusal(`kafka://127.0.0.1:${port}/t`)).toMatchObject({
      code: 'connect',
      message: expect.stringContaining('nothing listens'),
    })
    const redis = await startPrivateRedis()
    onTestFinished(() => redis.stop())
    expect(await refusal(`kafka://127.0.0.1:${redis.port}/t`)).toMatchObject({
      code: 'connect',
      message: expect.stringContaining('looks like Redis'),
    })
  })

  it.concurrent('tells a port that says nothing', async ({ onTestFinished }) => {
    const silent = createServer(() => {})
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void silent.close())
    const { port } = silent.address() as { port: number }
    expect(await refusal(`kafka://127.0.0.1:${port}/t`)).toMatchObject({
      code: 'timeout',
      message: expect.stringContaining(`cannot connect to kafka://127.0.0.1:${port}: no answer`),
      hint: expect.stringMatching(/host and port.*Kafka/),
    })
  }, 15_000)

  it('says what it is connected to', async () => {
    const transport = await openKafka(kafka.url)
    onTestFinished(() => transport.close())
    expect(await transport.about?.()).toMatch(/^Kafka, 1 broker, metadata\.version \d+$/)
  })

  it('tells a certificate file that is not there before it connects', async () => {
    expect(await refusal('kafka://127.0.0.1:1/t?tls=true&ca=/nowhere.pem')).toMatchObject({
      code: 'config',
      message: expect.stringContaining('/nowhere.pem'),
    })
  })
})
