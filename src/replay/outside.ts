import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Socket } from 'node:net'

/** Sees what code does beyond its transaction, by any connection of this process: fetch, http, another database, a broker. */
export interface OutsideWatch {
  /** Runs `work`; what it reaches is put into `reached`, once for each place. */
  watch<T>(reached: Set<string>, work: () => T): T
  /** What is done in here is evt's own, and not seen. */
  unseen<T>(work: () => T): T
  /** Everything is as it was before. */
  close(): void
}

/** One at a time in a process: while it is open, sockets are written to by way of it. */
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
  // A connection that was open before says nothing when it is used: so writing itself is looked at. The method is inherited.
  const prototype = Socket.prototype as unknown as Record<string, unknown>
  const had = Object.hasOwn(prototype, 'write')
  const write = Socket.prototype.write
  prototype.write = function (this: Socket, ...given: unknown[]) {
    if (running.getStore() && !isTerminal(this)) note(placeOf(this))
    return (write as (...all: unknown[]) => unknown).apply(this, given)
  }
  subscribe('undici:request:create', onFetch)
  subscribe('http.client.request.start', onHttp)
  return {
    watch: (reached, work) => running.run(reached, work),
    unseen: (work) => running.exit(work),
    close() {
      if (had) prototype.write = write
      else delete prototype.write
      unsubscribe('undici:request:create', onFetch)
      unsubscribe('http.client.request.start', onHttp)
    },
  }
}

/** Standard output and error are sockets too where they are pipes. */
const isTerminal = (socket: Socket): boolean => [1, 2].includes((socket as { readonly fd?: number }).fd ?? 0)

function placeOf(socket: Socket): string {
  const { remoteAddress, remotePort } = socket
  return remoteAddress === undefined ? 'a socket' : `${remoteAddress}:${remotePort}`
}
