import { EvtError } from '../../core/errors.ts'
import { type Link, openLink, pause } from './connect.ts'
import type { RabbitOptions } from './options.ts'

/** The connections of one transport. A server that is short of memory stops reading from who publishes: so publishing has its own. */
export interface Session {
  readonly options: RabbitOptions
  /** Aborts when the transport closes. */
  readonly closing: AbortSignal
  /** A connection that works, opened when there is none; one attempt. Throws `connect`, `closed`. */
  link(purpose: Purpose): Promise<Link>
  /** Ends what waits; connections stay, for what must be given back. */
  stop(): void
  close(): Promise<void>
}

/** `read` also asks and declares; nothing is ever published over it. */
export type Purpose = 'read' | 'publish'

export function createSession(options: RabbitOptions): Session {
  const closing = new AbortController()
  const links = new Map<Purpose, Link>()
  const opening = new Map<Purpose, Promise<Link>>()

  async function open(purpose: Purpose): Promise<Link> {
    const link = await openLink(options, `evt ${purpose}`)
    if (closing.signal.aborted) {
      link.destroy()
      throw closed(options)
    }
    links.set(purpose, link)
    return link
  }

  return {
    options,
    closing: closing.signal,
    async link(purpose) {
      if (closing.signal.aborted) throw closed(options)
      const known = links.get(purpose)
      if (known !== undefined && !known.lost.aborted) return known
      const underway = opening.get(purpose) ?? open(purpose).finally(() => opening.delete(purpose))
      opening.set(purpose, underway)
      return underway
    },
    stop: () => closing.abort(closed(options)),
    async close() {
      closing.abort(closed(options))
      await Promise.all([...links.values()].map((link) => link.close()))
    },
  }
}

export function closed(options: RabbitOptions): EvtError {
  return new EvtError('closed', `cannot use ${options.url}: the transport was closed`)
}

/** Waits before another attempt: full jitter between a tenth and the whole of it, at most 2 s. */
export function backoff(failures: number, ...signals: readonly AbortSignal[]): Promise<void> {
  const most = Math.min(2_000, 50 * 2 ** Math.min(failures, 10))
  return pause(most * (0.1 + 0.9 * Math.random()), ...signals)
}
