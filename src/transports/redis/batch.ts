import { EvtError } from '../../core/errors.ts'
import type { Message, Published } from '../transport.ts'
import { type RedisPlace, translateError } from './errors.ts'
import { laneOf } from './topic.ts'

/** Of one script call: Redis does nothing else meanwhile. A bigger message goes alone. */
const maxMessages = 500
const maxBytes = 1024 * 1024

/** What became of one script call: the ids of a prefix ('-' for a duplicate), and what stopped it. */
export interface Written {
  readonly ids: readonly string[]
  readonly failure?: Extract<Published, { readonly error: EvtError }>
}

export interface BatchWrite {
  readonly topic: string
  readonly lanes: number
  readonly batch: readonly Message[]
  readonly signal: AbortSignal
  /** Of one lane, in order; never rejects for what the server or the connection did. */
  write(lane: number, messages: readonly Message[]): Promise<Written>
}

/** Lanes side by side, each in pieces one after the other, so that what is stored of a lane is a prefix. */
export async function writeBatch(init: BatchWrite): Promise<readonly Published[]> {
  const { batch, lanes, signal, topic } = init
  const interrupted = new EvtError('interrupted', `cannot tell whether ${topic} has it: aborted`)
  const results: Published[] = batch.map(() => ({ state: 'unknown', error: interrupted }))
  if (signal.aborted || batch.length === 0) return results
  const byLane = Map.groupBy(batch.keys(), (i) => laneOf(batch[i] as Message, lanes))
  const { promise: aborted, resolve } = Promise.withResolvers<void>()
  const onAbort = () => resolve()
  signal.addEventListener('abort', onAbort, { once: true })
  const all = [...byLane].map(([lane, indexes]) => writeLane(init, lane, indexes, results))
  await Promise.race([Promise.all(all), aborted]).finally(() => signal.removeEventListener('abort', onAbort))
  return [...results]
}

async function writeLane(
  { batch, signal, topic, write }: BatchWrite,
  lane: number,
  indexes: readonly number[],
  results: Published[],
): Promise<void> {
  let done = 0
  while (done < indexes.length && !signal.aborted) {
    const piece = nextPiece(batch, indexes, done)
    const { ids, failure } = await write(
      lane,
      piece.map((i) => batch[i] as Message),
    )
    for (const [n, id] of ids.entries())
      results[piece[n] as number] = id === '-' ? { state: 'duplicate' } : { state: 'stored', at: id }
    done += piece.length
    if (failure === undefined) continue
    const error = new EvtError('refused', `cannot publish to ${topic}: an earlier message of its lane was not stored`)
    for (const i of piece.slice(ids.length)) results[i] = failure
    for (const i of indexes.slice(done)) results[i] = { state: 'refused', error }
    return
  }
}

function nextPiece(batch: readonly Message[], indexes: readonly number[], from: number): readonly number[] {
  let bytes = 0
  let to = from
  while (to < indexes.length && to - from < maxMessages) {
    bytes += batch[indexes[to] as number]?.body.length ?? 0
    if (to > from && bytes > maxBytes) break
    to++
  }
  return indexes.slice(from, to)
}

/** What the script answers, as `table.concat` and an error made it. */
export function readWritten(ids: unknown, failure: unknown, fail: (error: unknown) => Written['failure']): Written {
  const list = typeof ids === 'string' && ids !== '' ? ids.split(' ') : []
  const stopped = typeof failure === 'string' ? fail(new ReplyError(failure)) : undefined
  return stopped === undefined ? { ids: list } : { ids: list, failure: stopped }
}

class ReplyError extends Error {
  override readonly name = 'ReplyError'
}

/** What the server said no to is not stored, nor what was never sent; a lost connection leaves it open. */
export function failureOf(thrown: unknown, place: RedisPlace, verb: string): NonNullable<Written['failure']> {
  if (thrown instanceof EvtError) return { state: 'refused', error: thrown }
  const refused =
    thrown instanceof Error &&
    (thrown.name === 'ReplyError' || /Stream isn't writeable|Cluster isn't ready/.test(thrown.message))
  return { state: refused ? 'refused' : 'unknown', error: translateError(thrown, place, verb) }
}

/** Zero-copy: the driver takes Buffers. */
export function bytesOf({ body }: Message): Buffer {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
}
