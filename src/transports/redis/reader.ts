import { EvtError } from '../../core/errors.ts'
import type { Problems } from '../problems.ts'
import type { LogPosition, Message, Received } from '../transport.ts'
import type { RedisContext } from './context.ts'
import { timeOfId } from './entry-id.ts'
import type { Tip } from './lane-scripts.ts'
import { createPageSize, type StoredEntry } from './pages.ts'
import { idAt, logAt, type Place, placeAt } from './position.ts'
import { missingEntries } from './problems.ts'
import { toReceived } from './received.ts'
import { sendTogether } from './send-together.ts'
import { laneOf, type Topic } from './topic.ts'
import { decodeOurs } from './wire.ts'

/** What was found next in a lane, wanted or not. */
export interface Found {
  readonly place: Place
  /** The place before it: what is settled when this is not. */
  readonly before: Place
  readonly message: Omit<Received, 'deliveries'>
}

/** Reads one lane from front to end, and what its stream lost from the log. One call at a time. */
export interface LaneReader {
  /** Everything up to here was returned, or is done with. */
  readonly place: Place
  /** The next ones, at most `max`, and whether that was all. Throws what the driver and the log throw: then it is tried again. */
  read(max: number): Promise<{ readonly found: readonly Found[]; readonly ended: boolean }>
  /**
   * Whether there is more to read, by how the stream ends: `behind`, entries were added; `moved`, it was lost and began anew, or lost
   * its end, and what there is to read is read from there. For now and then.
   */
  verify(readTip: () => Promise<Tip>): Promise<'same' | 'behind' | 'moved'>
}

interface Gap {
  readonly through: LogPosition
  readonly batches: AsyncIterator<readonly Message[]>
}

export interface LaneReaderInit {
  readonly context: RedisContext
  readonly topic: Topic
  readonly lane: number
  readonly from: Place
  readonly problems: Problems
}

export function createLaneReader({ context, topic, lane, from, problems }: LaneReaderInit): LaneReader {
  const { client } = context.connections
  const stream = topic.streams[lane] as string
  const size = createPageSize()
  let place = from
  let gap: Gap | undefined

  const moveTo = (next: Place, message: Found['message']): Found => {
    const before = place
    place = next
    return { place, before, message }
  }

  /** Entries of the log after `logAt(place)`, up to `through`, are not in the stream. */
  function openGap(through: LogPosition): void {
    const after = logAt(place)
    const batches = context.readLog?.(after, through)[Symbol.asyncIterator]()
    if (batches !== undefined) gap = { through, batches }
    else {
      problems.report(missingEntries(topic.name, after, through), 0)
      place = placeAt(idAt(place), through)
    }
  }

  async function readGap({ through, batches }: Gap): Promise<readonly Found[]> {
    const next = await batches.next().catch((error: unknown) => {
      gap = undefined
      throw error
    })
    if (next.done) {
      gap = undefined
      place = placeAt(idAt(place), through)
      return []
    }
    const id = idAt(place)
    return next.value.flatMap((message) => {
      const { log } = message
      if (log === undefined || log <= logAt(place) || log > through) return []
      if (laneOf(message, topic.streams.length) !== lane) return []
      return [moveTo(placeAt(id, log), { ...message, topic: topic.name, at: `${id}/${log}` })]
    })
  }

  async function readStream(max: number): Promise<{ found: readonly Found[]; ended: boolean }> {
    const count = Math.min(max, size.next(1))
    sendTogether(client)
    const page = (await client.xrangeBuffer(
      stream,
      `(${idAt(place)}`,
      '+',
      'COUNT',
      count,
    )) as unknown as readonly StoredEntry[]
    size.learn(page)
    const found: Found[] = []
    for (const entry of page) {
      const id = entry[0].toString('latin1')
      const ours = decodeOurs(entry[1])
      const last = logAt(place)
      if (ours?.prev !== undefined && ours.prev > last) {
        // What was read before the gap is handed out before it is filled.
        openGap(ours.prev)
        return { found, ended: false }
      }
      // Appended once more after Redis had lost it.
      if (ours?.log !== undefined && ours.log <= last) place = placeAt(id, last)
      else if (ours === undefined) found.push(moveTo(placeAt(id, last), toReceived(topic.name, stream, entry, 1)))
      else {
        const { prev: _, ...message } = ours
        const timeMs = timeOfId(id)
        const where = timeMs === undefined ? { topic: topic.name, at: id } : { topic: topic.name, at: id, timeMs }
        found.push(moveTo(placeAt(id, ours.log ?? last), Object.assign(message, where)))
      }
    }
    return { found, ended: page.length < count }
  }

  return {
    get place() {
      return place
    },
    async read(max) {
      for (;;) {
        if (context.closing.aborted) throw new EvtError('closed', 'cannot read: the transport was closed')
        const { found, ended } = gap === undefined ? await readStream(max) : { found: await readGap(gap), ended: false }
        if (found.length > 0 || ended) return { found, ended }
      }
    },
    async verify(readTip) {
      if (gap !== undefined) return 'moved'
      const before = place
      const tip = await readTip()
      if (gap !== undefined || place !== before) return 'same'
      const [end, here] = [placeAt(tip.id, 0n) >> 64n, place >> 64n]
      if (end < here) {
        place = placeAt('0-0', logAt(place))
        return 'moved'
      }
      if (tip.log <= logAt(place)) return end > here ? 'behind' : 'same'
      // Whatever there is comes first; what is still missing after it was at the lost end.
      const [next] = await client.xrange(stream, `(${idAt(place)}`, '+', 'COUNT', 1)
      if (next === undefined && place === before) openGap(tip.log)
      return 'moved'
    },
  }
}
