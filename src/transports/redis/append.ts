import { EvtError } from '../../core/errors.ts'
import type { LogAppender, LogPosition, Message, Published } from '../transport.ts'
import { failureOf, readWritten, type Written, writeBatch } from './batch.ts'
import { broadcastOf, broadcastWidth } from './broadcast.ts'
import type { RedisContext } from './context.ts'
import { translateError } from './errors.ts'
import { type Part, pack } from './pack.ts'
import { runScript } from './script.ts'
import { bellOf, laneKey } from './topic.ts'
import { encodeMeta } from './wire.ts'
import { appendScript, leadScript } from './write-scripts.ts'

/** How long a lane without entries may keep a mark that is behind: what a relay that starts anew would read again. */
const sweepMs = 1_000

/** What this leader knows of one lane. */
interface LeadLane {
  readonly index: number
  readonly stream: string
  /** By Redis's last word: it has all that is for this lane up to `mark`; its last entry is `last`. */
  mark: LogPosition
  last: LogPosition
}

/** Takes the lead of every lane of the topic. Throws `fenced` when a later epoch was here. */
export async function openAppender(context: RedisContext, name: string, epoch: bigint): Promise<LogAppender> {
  const { connections, options, topics, trimmer } = context
  const { broadcast, place } = options
  const width = 2 + (broadcast === undefined ? 0 : broadcastWidth)
  const topic = await topics.find(name)
  const lanes = topic.streams.map((stream, index): LeadLane => ({ index, stream, mark: 0n, last: 0n }))
  /** Nothing that is for this topic is missing up to here, in any lane. */
  let complete: LogPosition = 0n
  /** Something went wrong: nobody knows what comes next until the marks have been asked for. */
  let unsure = false
  let closed = false
  let sweptMs = performance.now()
  let tail: Promise<unknown> = Promise.resolve()

  const fenced = (later: unknown) =>
    new EvtError('fenced', `cannot append to ${name}: epoch ${later} was here, and this is ${epoch}`)

  async function lead(lane: LeadLane): Promise<void> {
    const [mark, last] = (await runScript(connections.client, leadScript, [laneKey(lane.stream)], [String(epoch)])) as [
      string | null,
      string,
    ]
    if (mark === null) throw fenced(last)
    lane.mark = BigInt(mark)
    lane.last = BigInt(last)
  }

  async function leadAll(): Promise<LogPosition> {
    assertOpen()
    try {
      const before = lanes.map(({ mark }) => mark)
      await Promise.all(lanes.map(lead))
      const fell = lanes.some(({ mark }, index) => mark < (before[index] ?? 0n))
      // Where nothing is, nothing tells whether something was.
      if (fell || lanes.every(({ mark }) => mark === 0n)) await topics.restore(topic)
    } catch (error) {
      throw translateError(error, place, `read the marks of ${name}`)
    }
    return least(lanes)
  }

  /** What is not after the lane's mark is a duplicate; the mark moves to `through`. */
  async function write(lane: LeadLane, messages: readonly Message[], through: LogPosition): Promise<Written> {
    const fresh = messages.filter(({ log }) => (log ?? 0n) > lane.mark)
    const known = Array<string>(messages.length - fresh.length).fill('-')
    if (fresh.length === 0 && through <= lane.mark) return { ids: known }
    const parts: Part[] = []
    let { last } = lane
    for (const message of fresh) {
      parts.push(encodeMeta(message, last), message.body)
      last = message.log ?? last
      if (broadcast !== undefined) parts.push(...broadcastOf(message, broadcast))
    }
    const [mark, then] = [String(lane.mark), String(through > lane.mark ? through : lane.mark)]
    const args = [bellOf(lane.stream), String(epoch), mark, String(lane.last), then, String(last), width, pack(parts)]
    const keys = [lane.stream, laneKey(lane.stream)]
    try {
      const reply = (await runScript(connections.client, appendScript, keys, args)) as readonly unknown[]
      if (reply[0] === 'fenced') throw fenced(reply[1])
      if (reply[0] === 'moved') return { ids: known, failure: fail(moved(name, lane.mark, String(reply[1]))) }
      const { ids, failure } = readWritten(reply[1], reply[2], fail)
      if (failure !== undefined) return { ids: known, failure }
      lane.mark = BigInt(then)
      lane.last = last
      if (ids.length > 0) trimmer.touch(lane.stream)
      return { ids: [...known, ...ids] }
    } catch (error) {
      if (error instanceof EvtError && error.code === 'fenced') throw error
      return { ids: known, failure: fail(error) }
    }
  }

  function fail(error: unknown): NonNullable<Written['failure']> {
    unsure = true
    return failureOf(error, place, `append to ${name}`)
  }

  /** Marks of lanes that had no entries follow. */
  async function sweep(): Promise<void> {
    sweptMs = performance.now()
    const behind = lanes.filter((lane) => lane.mark < complete)
    await Promise.all(behind.map((lane) => write(lane, [], complete)))
  }

  function assertOpen(): void {
    if (closed || context.closing.aborted) throw new EvtError('closed', `cannot append to ${name}: it was closed`)
  }

  async function append(
    batch: readonly Message[],
    through: LogPosition,
    signal: AbortSignal,
  ): Promise<readonly Published[]> {
    assertOpen()
    if (unsure) {
      const error = new EvtError('conflict', `cannot append to ${name}: its marks have to be asked for first`)
      return batch.map(() => ({ state: 'refused', error }))
    }
    const results = await writeBatch({
      topic: name,
      lanes: lanes.length,
      batch,
      signal,
      write: (index, messages) => write(lanes[index] as LeadLane, messages, messages.at(-1)?.log ?? 0n),
    })
    if (results.some(({ state }) => state === 'unknown' || state === 'refused')) unsure = true
    if (unsure) return results
    if (through > complete) complete = through
    if (performance.now() - sweptMs >= sweepMs) await sweep()
    return results
  }

  await leadAll()
  return {
    async mark() {
      assertOpen()
      if (!unsure) await sweep()
      const mark = await leadAll()
      unsure = false
      complete = mark
      return mark
    },
    append(batch, through, signal) {
      // One at a time: a later one that overtakes would make duplicates of an earlier one.
      const next = tail.then(() => append(batch, through, signal))
      tail = next.catch(() => {})
      return next
    },
    async close() {
      // So that the next leader need not read again what has no entries.
      if (!closed && !unsure && !context.closing.aborted) await sweep().catch(() => {})
      closed = true
    },
  }
}

const least = (lanes: readonly LeadLane[]) =>
  lanes.reduce((mark, lane) => (lane.mark < mark ? lane.mark : mark), lanes[0]?.mark ?? 0n)

function moved(topic: string, known: LogPosition, mark: string): EvtError {
  return new EvtError(
    'conflict',
    `cannot append to ${topic}: Redis had it up to ${known} and now has it up to ${mark}`,
    {
      hint: 'evt appends again what was lost, from the log',
    },
  )
}
