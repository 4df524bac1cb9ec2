import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'
import { until } from './until.ts'

interface Line {
  readonly proxy: TcpProxy
  readonly client: Socket
  /** What the client has received. */
  heard(): string
  /** The server's side of the connections. */
  readonly accepted: readonly Socket[]
}

/** A server that echoes, and a client that is connected to it through a proxy. */
async function openLine(): Promise<Line> {
  const accepted: Socket[] = []
  const server = createServer((socket) => {
    accepted.push(socket)
    socket.on('error', () => undefined).on('data', (chunk) => socket.write(chunk))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const proxy = await startTcpProxy((server.address() as AddressInfo).port)
  const client = connect(proxy.port, '127.0.0.1')
  let text = ''
  client
    .on('error', () => undefined)
    .on('data', (chunk) => {
      text += chunk
    })
  onTestFinished(async () => {
    client.destroy()
    await proxy.close()
    server.close()
  })
  client.write('a')
  await until(() => text === 'a', { what: 'the echo' })
  return { proxy, client, heard: () => text, accepted }
}

it('a frozen proxy forwards nothing and closes nothing, and a thawed one forwards what it held back', async () => {
  const { proxy, client, heard, accepted } = await openLine()
  proxy.freeze()
  client.write('b')
  accepted[0]?.write('c')
  // Long enough for both to have arrived, had they been forwarded.
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(heard()).toBe('a')
  expect(client.destroyed || accepted[0]?.destroyed).toBe(false)
  proxy.thaw()
  await until(() => heard().length === 3)
  expect([...heard()].sort().join('')).toBe('abc')
})

it('through a frozen proxy the server does not hear that a client is gone, and hears it after the thaw', async () => {
  const { proxy, client, accepted } = await openLine()
  proxy.freeze()
  client.destroy()
  await until(() => client.closed)
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(accepted[0]?.readableEnded || accepted[0]?.destroyed).toBe(false)
  proxy.thaw()
  await until(() => accepted[0]?.destroyed, { what: 'the end of the connection at the server' })
  await until(() => proxy.connections === 0)
})

it('a frozen proxy takes new connections, and is silent', async () => {
  const { proxy } = await openLine()
  proxy.freeze()
  const late = connect(proxy.port, '127.0.0.1')
  onTestFinished(() => void late.destroy())
  let answered = false
  late.on('data', () => {
    answered = true
  })
  late.write('x')
  await until(() => late.readyState === 'open')
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(answered).toBe(false)
  proxy.thaw()
  await until(() => answered)
})

it('cutting ends the connections of both sides, and new ones are taken', async () => {
  const { proxy, client, accepted } = await openLine()
  proxy.cut()
  await until(() => client.destroyed && accepted[0]?.destroyed)
  const again = connect(proxy.port, '127.0.0.1')
  onTestFinished(() => void again.destroy())
  await until(() => accepted.length === 2, { what: 'a new connection' })
})

it('a delay is kept for every chunk', async () => {
  const { proxy, client, heard } = await openLine()
  proxy.delay(50)
  const began = performance.now()
  client.write('b')
  await until(() => heard() === 'ab')
  expect(performance.now() - began).toBeGreaterThan(95)
})
