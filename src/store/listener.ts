import pg from 'pg'
import { endClientWithin } from './close-within.ts'

export interface ListenerOptions {
  /** Plain identifiers. */
  readonly channels: readonly string[]
  readonly applicationName: string
  onNotification(channel: string, payload: string): void
  /** After every LISTEN that took effect, the first included: what was notified before is lost, so look now. */
  onListening(): void
  /** How often to ask whether the session still listens; default 10,000 ms. */
  readonly heartbeatMs?: number
  /** How long an answer may take before the connection counts as lost; default 5,000 ms. */
  readonly answerMs?: number
}

export interface Listener {
  /** False while disconnected: then only polling finds anything. */
  readonly listening: boolean
  /** Idempotent, and soon done though the server does not answer. No callback after it. */
  close(): Promise<void>
}

const firstDelayMs = 50
const longestDelayMs = 2_000
const closingMs = 500

/**
 * A connection that does nothing but LISTEN: one that is slow to read would hold up the server's notification queue.
 * Reconnects for ever. A session that stopped listening without an error (a pooler in between, a dead peer) is found by
 * the heartbeat. Notifications are hints: whoever needs certainty polls as well.
 */
export function openListener(connectionString: string, options: ListenerOptions): Listener {
  let closed = false
  let listening = false
  let client: pg.Client | undefined
  let delayMs = firstDelayMs
  let timer: NodeJS.Timeout | undefined

  const connect = async (): Promise<void> => {
    const mine = new pg.Client({
      connectionString,
      application_name: options.applicationName,
      keepAlive: true,
      connectionTimeoutMillis: 5_000,
      query_timeout: options.answerMs ?? 5_000,
    })
    client = mine
    const lost = once(() => {
      listening = false
      clearTimeout(timer)
      mine.removeAllListeners('notification')
      mine.end().catch(() => {})
      if (closed) return
      timer = setTimeout(connect, delayMs)
      delayMs = Math.min(delayMs * 2, longestDelayMs)
    })
    mine.on('error', lost)
    mine.on('end', lost)
    mine.on('notification', ({ channel, payload }) => options.onNotification(channel, payload ?? ''))
    try {
      await mine.connect()
      for (const channel of options.channels) await mine.query(`listen ${channel}`)
      if (closed) return
      delayMs = firstDelayMs
      listening = true
      options.onListening()
      beat(mine, lost)
    } catch {
      // Reported by whoever queries; here it only means another try.
      lost()
    }
  }

  const beat = (mine: pg.Client, lost: () => void): void => {
    timer = setTimeout(async () => {
      const alive = await stillListens(mine, options.channels.length)
      if (closed || mine !== client) return
      if (alive) beat(mine, lost)
      else lost()
    }, options.heartbeatMs ?? 10_000)
  }

  void connect()
  return {
    get listening() {
      return listening
    },
    async close() {
      closed = true
      listening = false
      clearTimeout(timer)
      client?.removeAllListeners('notification')
      if (client) await endClientWithin(client, closingMs)
    },
  }
}

async function stillListens(client: pg.Client, channels: number): Promise<boolean> {
  try {
    const { rows } = await client.query('select count(*)::int as count from pg_listening_channels()')
    return rows[0].count >= channels
  } catch {
    return false
  }
}

function once(work: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    work()
  }
}
