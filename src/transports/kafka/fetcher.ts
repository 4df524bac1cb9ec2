import { toError } from '../../core/errors.ts'
import { createDoorbell } from '../doorbell.ts'
import { type Cluster, pause } from './cluster.ts'
import { brokerError } from './errors.ts'
import { type Fetched, fetchCall } from './fetch-call.ts'

const longWaitMs = 500
const shortWaitMs = 10
const maxBytes = 8 * 1024 * 1024
const maxPartitionBytes = 1024 * 1024
/** Beyond what the broker may wait: then the connection is half-open. */
const answerWithinMs = 5_000
const retryPauseMs = 100

/** A partition that is read from some offset on. */
export interface Reading {
  readonly topic: string
  readonly topicId: string | undefined
  readonly partition: number
  /** Where to read next. */
  readonly offset: bigint
  /** Whether more may be fetched for it. */
  readonly isHungry: boolean
  onFetched(fetched: Fetched): void
  /** The broker answered with an error for this partition; it is not fetched again for a moment. */
  onError(error: Error): void
}

export interface Fetcher {
  add(reading: Reading): void
  remove(reading: Reading): void
  /** A reading became hungry, or what is known of leaders changed. */
  wake(): void
}

let fetchers = 0

/** Fetches for as long as `signal` lasts: one fetch at a time from each broker, over a connection of its own. */
export function createFetcher(cluster: Cluster, signal: AbortSignal): Fetcher {
  const purpose = `fetch ${++fetchers}`
  const readings = new Set<Reading>()
  const loops = new Map<number, ReturnType<typeof createDoorbell>>()
  /** Partitions to leave alone until then. */
  const paused = new Map<Reading, number>()
  let stale = false

  const leaderOf = ({ topic, partition }: Reading) => cluster.known(topic)?.partitions[partition]?.leader ?? -1

  function wake(): void {
    if (signal.aborted) return
    for (const reading of readings) {
      const leader = leaderOf(reading)
      if (leader < 0) void relearn()
      else if (!loops.has(leader)) {
        loops.set(leader, createDoorbell())
        void run(leader)
      }
    }
    for (const bell of loops.values()) bell.ring()
  }

  /** Asks where the leaders are, until every reading has one. */
  async function relearn(): Promise<void> {
    if (stale || signal.aborted) return
    stale = true
    await pause(retryPauseMs, signal)
    await cluster.refresh([...new Set([...readings].map(({ topic }) => topic))]).catch(() => {})
    stale = false
    wake()
  }

  function leave(reading: Reading): void {
    paused.set(reading, performance.now() + retryPauseMs)
    void pause(retryPauseMs, signal).then(() => {
      paused.delete(reading)
      wake()
    })
  }

  async function run(node: number): Promise<void> {
    const bell = loops.get(node)
    let idleWaitMs = shortWaitMs
    let turn = 0
    while (!signal.aborted && bell !== undefined) {
      const mine = [...readings].filter((reading) => leaderOf(reading) === node)
      if (mine.length === 0) break
      const hungry = mine.filter((reading) => reading.isHungry && !paused.has(reading))
      if (hungry.length === 0) {
        await bell.wait(signal)
        continue
      }
      // Who becomes hungry while a fetch waits has to wait for it.
      const isAll = hungry.length === mine.length
      const wait = isAll ? longWaitMs : idleWaitMs
      const found = await fetchOnce(node, rotated(hungry, turn++), wait)
      idleWaitMs = found ? shortWaitMs : Math.min(idleWaitMs * 2, longWaitMs / 2)
    }
    loops.delete(node)
    if (!signal.aborted && [...readings].some((reading) => leaderOf(reading) === node)) wake()
  }

  /** Whether there was something. */
  async function fetchOnce(node: number, hungry: readonly Reading[], maxWaitMs: number): Promise<boolean> {
    let found = false
    try {
      const connection = await cluster.connection(node, purpose)
      const options = { maxWaitMs, maxBytes, maxPartitionBytes }
      const parts = hungry.map(({ topic, topicId, partition, offset }) => ({ topic, topicId, partition, offset }))
      for (const fetched of await connection.send(fetchCall(connection.versions, parts, options), answerWithinMs)) {
        const reading = hungry.find(
          ({ topic, partition }) => topic === fetched.topic && partition === fetched.partition,
        )
        if (reading === undefined || !readings.has(reading) || signal.aborted) continue
        if (fetched.errorCode !== 0) {
          leave(reading)
          void relearn()
          reading.onError(brokerError(fetched.errorCode))
          continue
        }
        if (fetched.records.length > 0) found = true
        reading.onFetched(fetched)
      }
    } catch (error) {
      for (const reading of hungry) reading.onError(toError(error))
      await pause(retryPauseMs, signal)
      void relearn()
    }
    return found
  }

  signal.addEventListener('abort', () => cluster.disconnect(purpose), { once: true })

  return {
    add(reading) {
      readings.add(reading)
      wake()
    },
    remove(reading) {
      readings.delete(reading)
      wake()
    },
    wake,
  }
}

/** So that none is always last, and cut off by the bound on bytes. */
function rotated<T>(all: readonly T[], turn: number): readonly T[] {
  const by = turn % all.length
  return [...all.slice(by), ...all.slice(0, by)]
}
