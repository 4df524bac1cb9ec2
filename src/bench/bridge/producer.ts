import type pg from 'pg'
import { checksumOf } from '../../core/checksum.ts'
import type { EncodedEvent } from '../../core/codec.ts'
import { EvtError, toError } from '../../core/errors.ts'
import { openStore, placeOf, type Store } from '../../store/connection.ts'
import { translateError } from '../../store/errors.ts'
import { publishEncoded } from '../../store/outbox.ts'
import type { SqlExecutor } from '../../transports/transport.ts'
import type { Outgoing, Producer, PublishState, Settled } from '../target.ts'
import { idOf, type ScratchNames } from './names.ts'

export interface StoreProducerOptions {
  /** With the password; stays in this process. */
  readonly url: string
  readonly names: ScratchNames
  readonly connections: number
}

interface Waiting {
  readonly event: Outgoing
  readonly settled: Settled
}

/** Rows of one insert. */
const mostAtOnce = 200

/**
 * Publishes to the outbox. A key stays on one connection, which sends one insert at a time: so events of one key commit
 * in order, and what is due meanwhile goes together in the next insert.
 */
export async function connectProducer({ url, names, connections }: StoreProducerOptions): Promise<Producer> {
  const store = await openStore(url, { applicationName: `evt bench ${names.run}`, max: connections })
  const senders = await Promise.all(Array.from({ length: connections }, () => openSender(store)))
  const lanes = senders.map((sender) => createLane(sender, names))
  return {
    publish(batch, settled) {
      for (const event of batch) lanes[event.key % connections]?.add({ event, settled })
    },
    async close() {
      await Promise.all(lanes.map((lane) => lane.idle()))
      for (const sender of senders) sender.close()
      await store.close()
    },
  }
}

interface Sender extends SqlExecutor {
  close(): void
}

/**
 * One connection, and another one when that is lost. Statements are parsed and planned once a connection: otherwise that
 * costs more than the insert, and is the target's time.
 */
async function openSender(store: Store): Promise<Sender> {
  const place = placeOf(store.connectionString)
  let client: pg.PoolClient | undefined = await store.pool.connect()
  const drop = () => {
    client?.release(true)
    client = undefined
  }
  return {
    async query(text, values) {
      try {
        client ??= await store.pool.connect()
        return await client.query({ name: 'bench_insert', text, values: values as unknown[] })
      } catch (thrown) {
        const error = translateError(thrown, place)
        if (isLost(error)) drop()
        throw error
      }
    },
    close: drop,
  }
}

const isLost = (error: Error) => error instanceof EvtError && (error.code === 'connect' || error.code === 'closed')

function createLane(sql: SqlExecutor, names: ScratchNames) {
  let queue: Waiting[] = []
  let sending: Promise<void> | undefined

  async function send(): Promise<void> {
    // The rest of this turn's events join the first insert.
    await Promise.resolve()
    while (queue.length > 0) {
      const now = queue.splice(0, mostAtOnce)
      const { state, reason } = await insert(sql, names, now)
      for (const [settled, ks] of bySettled(now)) settled(ks, state, reason)
    }
    sending = undefined
  }
  return {
    add(waiting: Waiting): void {
      queue.push(waiting)
      sending ??= send()
    },
    /** What has not begun is given up. */
    async idle(): Promise<void> {
      const left = queue
      queue = []
      for (const [settled, ks] of bySettled(left)) settled(ks, 'unknown', 'the run was cut off')
      await sending
    },
  }
}

interface Inserted {
  readonly state: PublishState
  readonly reason?: string
}

async function insert(sql: SqlExecutor, names: ScratchNames, waiting: readonly Waiting[]): Promise<Inserted> {
  try {
    const time = new Date().toISOString()
    const events = waiting.map(({ event }) => encode(event, names, time))
    await publishEncoded(sql, events, { class: 'scratch' })
    return { state: 'accepted' }
  } catch (thrown) {
    const error = toError(thrown)
    // A connection that ended in the middle may have committed.
    return { state: isLost(error) ? 'unknown' : 'rejected', reason: error.message }
  }
}

function encode({ k, subject, dataText }: Outgoing, names: ScratchNames, time: string): EncodedEvent {
  return {
    id: idOf(names.run, k),
    type: names.type,
    version: 1,
    source: 'evt-bench',
    time,
    subject: `${names.tenant}/${subject}`,
    tenant: names.tenant,
    priority: 'normal',
    metadata: {},
    data: undefined,
    dataText,
    checksum: checksumOf(dataText),
  }
}

function bySettled(waiting: readonly Waiting[]): Map<Settled, number[]> {
  const groups = new Map<Settled, number[]>()
  for (const { event, settled } of waiting) {
    const ks = groups.get(settled)
    if (ks) ks.push(event.k)
    else groups.set(settled, [event.k])
  }
  return groups
}
