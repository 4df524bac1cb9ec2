import { AsyncLocalStorage, createHook } from 'node:async_hooks'
import childProcess from 'node:child_process'
import dgram from 'node:dgram'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { syncBuiltinESMExports } from 'node:module'
import { Socket } from 'node:net'

/**
 * Sees what code does beyond its transaction, by any way out of this process that Node tells of: fetch, http, HTTP/2, another database, a broker,
 * sockets of any kind, datagrams, child processes, threads. Not files, and not what native code does by itself.
 */
export interface OutsideWatch {
  /** Runs `work`; what it reaches is put into `reached`, once for each place. */
  watch<T>(reached: Set<string>, work: () => T): T
  /** What is done in here is evt's own, and not seen. */
  unseen<T>(work: () => T): T
  /** Everything is as it was before. */
  close(): void
}

/** What begins by these kinds of resources, as async_hooks names them: a connection that is made, a stream of one that is open. */
const ways: Readonly<Record<string, (resource: Connecting) => string>> = {
  TCPCONNECTWRAP: ({ address, port }) => placeOf(address, port),
  PIPECONNECTWRAP: ({ address }) => address ?? 'a socket',
  HTTP2STREAM: () => 'HTTP/2',
  PROCESSWRAP: () => 'a child process',
  WORKER: () => 'a thread',
}
interface Connecting {
  readonly address?: string
  readonly port?: number
}

/** One at a time in a process: while it is open, everything asynchronous is looked at, and sockets are written to by way of it. */
export function openOutsideWatch(): OutsideWatch {
  const running = new AsyncLocalStorage<Set<string> | undefined>()
  const note = (place: string) => running.getStore()?.add(place)
  const onFetch = (message: unknown) => {
    const { request } = message as { readonly request?: { readonly origin?: unknown } }
    note(String(request?.origin ?? 'fetch'))
  }
  const onHttp = (message: unknown) => {
    const { request } = message as { readonly request?: { readonly protocol?: string; readonly host?: string } }
    note(`${request?.protocol ?? 'http:'}//${request?.host ?? ''}`)
  }
  const hook = createHook({
    init(_id, type, _trigger, resource) {
      const way = ways[type]
      if (way && running.getStore()) note(way(resource as Connecting))
    },
  })
  // A connection that was open before says nothing when it is used: so writing itself is looked at.
  const onSocket = (given: unknown) => {
    const socket = given as Socket
    if (running.getStore() && !isTerminal(socket)) note(placeOf(socket.remoteAddress, socket.remotePort))
  }
  const undo = [
    wrap(Socket.prototype, 'write', onSocket),
    wrap(Socket.prototype, 'end', onSocket),
    wrap(dgram.Socket.prototype, 'send', () => note('a datagram')),
    ...(['spawnSync', 'execSync', 'execFileSync'] as const).map((name) =>
      wrap(childProcess, name, () => note('a child process')),
    ),
  ]
  syncBuiltinESMExports()
  subscribe('undici:request:create', onFetch)
  subscribe('http.client.request.start', onHttp)
  hook.enable()
  return {
    watch: (reached, work) => running.run(reached, work),
    unseen: (work) => running.exit(work),
    close() {
      hook.disable()
      for (const one of undo) one()
      syncBuiltinESMExports()
      unsubscribe('undici:request:create', onFetch)
      unsubscribe('http.client.request.start', onHttp)
    },
  }
}

/** Calls `before` with `this` in front of a method, which may be inherited. Returns what takes that away. */
function wrap(owner: object, name: string, before: (self: unknown) => void): () => void {
  const methods = owner as Record<string, (...given: unknown[]) => unknown>
  const method = methods[name]
  if (!method) return () => {}
  const had = Object.hasOwn(methods, name)
  methods[name] = function (this: unknown, ...given: unknown[]) {
    before(this)
    return method.apply(this, given)
  }
  return () => {
    if (had) methods[name] = method
    else delete methods[name]
  }
}

/** Standard output and error are sockets too where they are pipes. */
const isTerminal = (socket: Socket): boolean => [1, 2].includes((socket as { readonly fd?: number }).fd ?? 0)

const placeOf = (address: string | undefined, port: number | undefined): string =>
  address === undefined ? 'a socket' : `${address}:${port}`
