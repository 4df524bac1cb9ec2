import { afterAll, beforeAll } from 'vitest'
import { kafkaCapabilities, openKafka } from '../../src/transports/kafka/index.ts'
import { type PrivateKafka, startPrivateKafka } from '../setup/private-kafka.ts'
import { doomInProcess } from './conformance/doom.ts'
import { describeTransport } from './conformance.ts'

let kafka: PrivateKafka
let url = ''

beforeAll(async () => {
  kafka = await startPrivateKafka()
  url = (await kafka.proxied()).url
})
afterAll(() => kafka?.stop())

describeTransport('kafka', {
  open: () => openKafka(url),
  capabilities: kafkaCapabilities,
  // Who is silent for a session is gone: six seconds by default.
  doom: (plan) => doomInProcess(`${url}?session=2s`, plan),
  disconnect: () => kafka.disconnectClients(),
  async restart() {
    await kafka.kill('SIGKILL')
    await kafka.restart()
  },
  // More than a topic of ours takes.
  spoil: (message) => ({ ...message, body: Buffer.alloc(5 * 1024 * 1024, 'x') }),
})
