import { afterAll, beforeAll, describe } from 'vitest'
import { openRabbit, rabbitCapabilities } from '../../src/transports/rabbitmq/index.ts'
import { findRabbit } from '../setup/broker-binaries.ts'
import { type PrivateRabbit, startPrivateRabbit } from '../setup/private-rabbitmq.ts'
import { doomInProcess } from './conformance/doom.ts'
import { describeTransport } from './conformance.ts'

describe.skipIf(findRabbit() === undefined)('RabbitMQ', () => {
  let server: PrivateRabbit
  beforeAll(async () => {
    server = await startPrivateRabbit({ settings: ['max_message_size = 4194304'] })
  }, 60_000)
  afterAll(() => server?.stop())

  describeTransport('rabbitmq', {
    open: () => openRabbit(server.url),
    capabilities: rabbitCapabilities,
    // The server gives a silent client two to three heartbeats.
    doom: (plan) => doomInProcess(`${server.url}?heartbeat=2`, plan),
    disconnect: () => server.disconnectClients(),
    async restart() {
      await server.kill('SIGKILL')
      await server.restart()
    },
    spoil: (message) => ({ ...message, body: Buffer.alloc(5 * 1024 * 1024, 'x') }),
  })
})
