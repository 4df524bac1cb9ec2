import { createServer, connect as dial, type Server, type Socket } from 'node:net'

export interface TcpProxyOptions {
  /** Where it listens; default: any free port. */
  readonly port?: number
}

/** Stands between a client and a server on the loopback and does what networks do. */
export interface TcpProxy {
  readonly port: number
  /** Connections through it that are open now. */
  readonly connections: number
  /** The URL of the server, led through here. */
  through(url: string): string
  /** Destroys all connections; new ones are taken. */
  cut(): void
  /** Forwards nothing in either direction and closes nothing, as a cable that was pulled; new connections are taken, and silent. */
  freeze(): void
  /** Forwards again, first what was held back. */
  thaw(): void
  /** What the server answers is lost, until the connection is cut: what was asked is done, and nobody hears of it. */
  swallow(): void
  /** Every chunk is forwarded this much later, in its order; 0 ends it. */
  delay(ms: number): void
  /** New connections go there, as when a name or a virtual address was moved; those that are open stay where they are. */
  retarget(port: number): void
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

interface Weather {
  frozen: boolean
  /** Connections whose answers are lost. */
  readonly mute: WeakSet<Socket>
  delayMs: number
  /** Called when `frozen` ends. */
  readonly waiting: Set<() => void>
}

type Pair = readonly [Socket, Socket]

export async function startTcpProxy(targetPort: number, options: TcpProxyOptions = {}): Promise<TcpProxy> {
  const weather: Weather = { frozen: false, mute: new WeakSet(), delayMs: 0, waiting: new Set() }
  const pairs = new Set<Pair>()
  let target = targetPort
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = dial({ port: target, host: '127.0.0.1', allowHalfOpen: true })
    const pair: Pair = [client, upstream]
    pairs.add(pair)
    for (const socket of pair)
      socket
        .setNoDelay(true)
        .on('error', ignore)
        .on('close', () => endBroken(pairs, weather))
    void forward(client, upstream, weather)
    void forward(upstream, client, weather)
  })
  const port = await listen(server, options.port ?? 0)
  const cut = (): void => {
    for (const pair of pairs) for (const socket of pair) socket.destroy()
    pairs.clear()
  }
  const thaw = (): void => {
    weather.frozen = false
    for (const wake of weather.waiting) wake()
    weather.waiting.clear()
    endBroken(pairs, weather)
  }
  const close = async (): Promise<void> => {
    cut()
    thaw()
    await new Promise((resolve) => server.close(resolve))
  }
  return {
    port,
    get connections() {
      return pairs.size
    },
    through: (url) => url.replace(`:${targetPort}`, `:${port}`),
    cut,
    freeze: () => {
      weather.frozen = true
    },
    thaw,
    swallow: () => {
      for (const [, upstream] of pairs) weather.mute.add(upstream)
    },
    delay: (ms) => {
      weather.delayMs = ms
    },
    retarget: (next) => {
      target = next
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Where one side is gone the other goes too, but nobody hears of it through a frozen proxy. */
function endBroken(pairs: Set<Pair>, weather: Weather): void {
  if (weather.frozen) return
  for (const pair of pairs) {
    if (!pair.some((socket) => socket.destroyed)) continue
    pairs.delete(pair)
    for (const socket of pair) socket.destroy()
  }
}

/** A connection that breaks is what this is for: its 'close' follows. */
function ignore(): void {}

/** One direction. Reads no further than it could write, so that a client feels the server's back-pressure. */
async function forward(from: Socket, to: Socket, weather: Weather): Promise<void> {
  try {
    for await (const chunk of from) {
      await later(weather)
      if (!to.writable) return
      if (weather.mute.has(from)) continue
      if (!to.write(chunk as Buffer)) await new Promise((resolve) => to.once('drain', resolve).once('close', resolve))
    }
    await later(weather)
    to.end()
  } catch {
    // It broke: 'close' ends the other side.
  }
}

async function later(weather: Weather): Promise<void> {
  if (weather.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, weather.delayMs))
  while (weather.frozen) await new Promise<void>((resolve) => weather.waiting.add(resolve))
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.address()
  return typeof address === 'object' && address ? address.port : port
}
