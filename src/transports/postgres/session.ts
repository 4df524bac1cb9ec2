import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { EvtError } from '../../core/errors.ts'
import { keptAlive } from '../../store/connection.ts'
import type { Problems } from '../problems.ts'
import { register } from './lane-sql.ts'

const firstDelayMs = 50
const longestDelayMs = 1_000

/** What a member still owns after its connection was replaced. */
export type Adopted = Awaited<ReturnType<typeof register>>

/**
 * The connection whose advisory lock says that this member lives. One thing at a time goes over it. When it is lost, the next
 * one registers anew and takes along what nobody has claimed meanwhile.
 */
export interface Session {
  /** Runs `work` when it is its turn and the connection stands; throws what `work` throws, `closed` after close. */
  run<T>(work: (client: pg.Client, session: bigint) => Promise<T>): Promise<T>
  /** To be called inside `run`, when others took this member for dead. */
  reregister(client: pg.Client): Promise<void>
  /** Ends the connection once what is queued is done, at the latest after `withinMs`. Idempotent. */
  close(withinMs: number): Promise<void>
}

export interface SessionOptions {
  readonly connectionString: string
  readonly member: () => string
  readonly problems: Problems
  onAdopted(adopted: Adopted): void
}

export function createSession({ connectionString, member, problems, onAdopted }: SessionOptions): Session {
  let current: { client: pg.Client; broken: boolean } | undefined
  let session: bigint | undefined
  let queue: Promise<unknown> = Promise.resolve()
  const closing = new AbortController()

  async function registerAnew(client: pg.Client): Promise<void> {
    const former = session
    const next = randomBytes(8).readBigInt64BE() >> 1n
    const adopted = await register(client, next, member(), former)
    session = next
    if (former !== undefined) onAdopted(adopted)
  }

  async function connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString,
      application_name: 'evt lanes',
      ...keptAlive,
      connectionTimeoutMillis: 5_000,
      // A half-open connection would otherwise hold everything that is queued.
      query_timeout: 10_000,
    })
    const opened = { client, broken: false }
    const onLost = () => {
      opened.broken = true
    }
    client.on('error', onLost)
    client.on('end', onLost)
    const giveUp = () => void client.end().catch(() => {})
    closing.signal.addEventListener('abort', giveUp, { once: true })
    try {
      await client.connect()
      await registerAnew(client)
    } catch (error) {
      giveUp()
      throw error
    } finally {
      closing.signal.removeEventListener('abort', giveUp)
    }
    current = opened
    return client
  }

  async function connected(): Promise<pg.Client> {
    for (let waitMs = firstDelayMs; ; waitMs = Math.min(waitMs * 2, longestDelayMs)) {
      if (current !== undefined && !current.broken) return current.client
      current = undefined
      if (closing.signal.aborted) throw closed()
      try {
        return await connect()
      } catch (error) {
        // Whoever needs lanes waits until the server is back.
        await delay(problems.report(error, waitMs), undefined, { signal: closing.signal }).catch(() => {})
      }
    }
  }

  async function once<T>(work: (client: pg.Client, session: bigint) => Promise<T>): Promise<T> {
    const client = await connected()
    try {
      return await work(client, session ?? 0n)
    } catch (error) {
      // Its state is anybody's guess: the lock must go with it.
      if (current?.client === client) current = undefined
      client.end().catch(() => {})
      throw error
    }
  }

  return {
    run(work) {
      const result = queue.then(() => once(work))
      queue = result.catch(() => {})
      return result
    },
    reregister: registerAnew,
    async close(withinMs) {
      const timer = setTimeout(() => {
        closing.abort()
        // What waits for an answer on it fails now.
        current?.client.end().catch(() => {})
      }, withinMs)
      await queue
      clearTimeout(timer)
      closing.abort()
      const client = current?.client
      current = undefined
      await client?.end().catch(() => {})
    },
  }
}

function closed(): EvtError {
  return new EvtError('closed', 'cannot use the lanes: the transport was closed')
}
