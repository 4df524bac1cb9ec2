import type { EvtError } from '../../core/errors.ts'
import type { Published } from '../transport.ts'
import { isOutage, typeOf } from './errors.ts'
import { batchOverheadBytes, encodeBatch, recordOverheadBytes } from './records.ts'

/** What one call of `publish` has for one partition. */
export interface Order {
  /** Nothing more of it is to be sent: it was aborted, or something of it was refused. */
  readonly ended: boolean
  stored(index: number, result: Published): void
  /** This one was not stored, or nobody knows; ends the order: what follows in it is not sent. */
  failed(index: number, result: Extract<Published, { state: 'refused' | 'unknown' }>): void
}

export interface Item {
  readonly content: Uint8Array
  readonly order: Order
  readonly index: number
}

export interface Batch {
  readonly items: readonly Item[]
  readonly sequence: number
  readonly bytes: Buffer
  state: 'waiting' | 'sent' | 'failed'
  error: Error | undefined
  /** An attempt had no answer. */
  maybeWritten: boolean
}

/** As the idempotent producer's protocol has it: the broker remembers the last five batches of a producer in a partition. */
const maxInFlight = 5
const maxSequence = 2 ** 31
const maxEpoch = 32_767
const maxRecords = 10_000

/** The broker lost, or refuses, what it knew of this producer: go on with a new epoch, which fences what is still under way. */
const stateLost = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
  'PRODUCER_FENCED',
])

/** It was appended, but not by as many replicas as it should. */
const halfWritten = new Set(['NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'REQUEST_TIMED_OUT'])

/** What to do about the first batch that failed, when nothing is under way. */
export type Repair =
  | { readonly action: 'retry'; readonly error: Error }
  | { readonly action: 'refuse'; readonly error: Error }
  | { readonly action: 'split'; readonly error: Error; readonly bytes: number }

export interface PartitionWriter {
  readonly topic: string
  readonly partition: number
  readonly isIdle: boolean
  push(items: readonly Item[]): void
  /** The next batch to send, if one may be sent now; it counts as sent. */
  next(producerId: bigint): Batch | undefined
  succeeded(batch: Batch, baseOffset: bigint): void
  /** Returns what is to be decided, when the last answer that was waited for is here. */
  failed(batch: Batch, error: Error): Repair | undefined
  /** Sends again what failed, in its order and under its sequence numbers. */
  retry(): void
  /** Refuses the first batch, with everything of its orders; the rest goes on. */
  refuse(error: EvtError): void
  /** Makes smaller batches from now on. */
  split(maxBytes: number): void
  /** Drops what belongs to orders that ended, when nothing is under way. */
  prune(): void
}

export interface WriterOptions {
  readonly topic: string
  readonly partition: number
  readonly maxBatchBytes: number
  unknown(cause: Error | undefined): EvtError
}

/** The sequence numbers of one partition. Knows no connection and no time. */
export function createPartitionWriter({ topic, partition, maxBatchBytes, unknown }: WriterOptions): PartitionWriter {
  let queue: Item[] = []
  let head = 0
  /** Sent or to be sent again, in order. */
  let window: Batch[] = []
  let epoch = 0
  let sequence = 0
  let maxBytes = maxBatchBytes
  /** Until the broker has a batch of this epoch it takes any sequence number, also one behind a hole. */
  let isKnown = false

  const inFlight = () => window.reduce((sum, { state }) => sum + (state === 'sent' ? 1 : 0), 0)
  const isBroken = () => window.some(({ state }) => state === 'failed')

  function takeItems(): Item[] {
    const items: Item[] = []
    let size = batchOverheadBytes
    while (head < queue.length && items.length < maxRecords) {
      const item = queue[head] as Item
      const bytes = item.content.length + recordOverheadBytes
      if (!item.order.ended) {
        if (items.length > 0 && size + bytes > maxBytes) break
        items.push(item)
        size += bytes
      }
      head++
    }
    if (head === queue.length) {
      queue = []
      head = 0
    }
    return items
  }

  function build(producerId: bigint): Batch | undefined {
    const items = takeItems()
    if (items.length === 0) return undefined
    const contents = items.map(({ content }) => content)
    const bytes = encodeBatch(contents, Date.now(), { producerId, epoch, sequence })
    const batch: Batch = { items, sequence, bytes, state: 'sent', error: undefined, maybeWritten: false }
    sequence = (sequence + items.length) % maxSequence
    window.push(batch)
    return batch
  }

  /** Gives up the batches as they are: what may have been written has an unknown end, the rest is made into new ones. */
  function rebuild(): void {
    const isFresh = window.some(({ maybeWritten }) => maybeWritten)
    for (const { items, maybeWritten, error } of window) {
      if (!maybeWritten) continue
      for (const { order, index } of items)
        if (!order.ended) order.failed(index, { state: 'unknown', error: unknown(error) })
    }
    const again = window
      .flatMap(({ items, maybeWritten }) => (maybeWritten ? [] : items))
      .filter(({ order }) => !order.ended)
    const start = window[0]?.sequence
    window = []
    queue = [...again, ...queue.slice(head)]
    head = 0
    if (isFresh) newEpoch()
    else if (start !== undefined) sequence = start
  }

  function newEpoch(): void {
    epoch = epoch >= maxEpoch ? 0 : epoch + 1
    sequence = 0
    isKnown = false
  }

  function decide(): Repair | undefined {
    if (inFlight() > 0) return undefined
    const first = window.find(({ state }) => state === 'failed')
    if (first?.error === undefined) return undefined
    const { error } = first
    const type = typeOf(error) ?? ''
    if (stateLost.has(type)) {
      rebuild()
      newEpoch()
      return { action: 'retry', error }
    }
    if (type === 'MESSAGE_TOO_LARGE' || type === 'RECORD_LIST_TOO_LARGE') {
      return first.items.length > 1
        ? { action: 'split', error, bytes: first.bytes.length }
        : { action: 'refuse', error }
    }
    const isRetriable = isOutage(error) || (error as { retriable?: boolean }).retriable === true
    return { action: isRetriable ? 'retry' : 'refuse', error }
  }

  return {
    topic,
    partition,
    get isIdle() {
      return window.length === 0 && head === queue.length
    },
    push(items) {
      if (head === queue.length) {
        queue = [...items]
        head = 0
      } else for (const item of items) queue.push(item)
    },
    next(producerId) {
      if (isBroken()) return undefined
      if (inFlight() >= (isKnown ? maxInFlight : 1)) return undefined
      const waiting = window.find(({ state }) => state === 'waiting')
      if (waiting === undefined) return build(producerId)
      waiting.state = 'sent'
      return waiting
    },
    succeeded(batch, baseOffset) {
      isKnown = true
      window = window.filter((other) => other !== batch)
      for (const [i, { order, index }] of batch.items.entries()) {
        order.stored(
          index,
          baseOffset < 0n ? { state: 'stored' } : { state: 'stored', at: `${partition}:${baseOffset + BigInt(i)}` },
        )
      }
    },
    failed(batch, error) {
      if (typeOf(error) === 'DUPLICATE_SEQUENCE_NUMBER') {
        this.succeeded(batch, -1n)
        return decide()
      }
      batch.state = 'failed'
      batch.error = error
      if (isOutage(error) || halfWritten.has(typeOf(error) ?? '')) batch.maybeWritten = true
      return decide()
    },
    retry() {
      for (const batch of window) batch.state = 'waiting'
    },
    refuse(error) {
      const first = window.find(({ state }) => state === 'failed')
      for (const { order, index } of first?.items ?? [])
        if (!order.ended) order.failed(index, { state: 'refused', error })
      rebuild()
    },
    split(bytes) {
      maxBytes = Math.max(1, Math.floor(bytes / 2))
      rebuild()
    },
    prune() {
      const isDead = ({ items }: Batch) => items.every(({ order }) => order.ended)
      if (inFlight() === 0 && window.some(isDead)) rebuild()
      if (queue.length - head > 0 && queue.slice(head).every(({ order }) => order.ended)) {
        queue = []
        head = 0
      }
    },
  }
}
