import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** A port in front of a server: shut, it is as if the server had ended; nobody else loses it. */
export interface Gate {
  readonly url: string
  shut(): Promise<void>
  /** On the same port as before. */
  open(): Promise<void>
}

export async function openGate(url: string): Promise<Gate> {
  const behind = new URL(url)
  const sockets = new Set<Socket>()
  let server: Server | undefined
  let port = 0
  const join = (from: Socket, to: Socket) => {
    sockets.add(from)
    from.on('error', () => to.destroy())
    from.on('close', () => sockets.delete(from) && to.destroy())
    from.pipe(to)
  }
  const open = async () => {
    server = createServer((client) => {
      const inner = connect(Number(behind.port), behind.hostname)
      join(client, inner)
      join(inner, client)
    }).listen(port, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  }
  const shut = async () => {
    const closed = server?.listening ? once(server.close(), 'close') : undefined
    for (const socket of sockets) socket.destroy()
    await closed
  }
  await open()
  onTestFinished(shut)
  const shown = new URL(url)
  shown.host = `127.0.0.1:${port}`
  return { url: shown.href, shut, open }
}
