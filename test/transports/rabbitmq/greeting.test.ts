import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { openRabbit } from '../../../src/transports/rabbitmq/index.ts'

// Its answer begins as a frame of a gigabyte would: the driver threw where nobody could catch it.
it('names a web server that answers at the port', async () => {
  const server = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await expect(openRabbit(`amqp://127.0.0.1:${port}?exchange=x`)).rejects.toMatchObject({
    code: 'connect',
    message: expect.stringContaining('looks like HTTP'),
  })
})
