import { randomUUID } from 'node:crypto'
import type { Contract } from '../core/contract.ts'
import { parseDuration } from '../core/duration.ts'
import { EvtError } from '../core/errors.ts'
import type { EvtEvent } from '../core/event.ts'
import { compilePatterns } from '../core/pattern.ts'
import { visible } from '../core/visible.ts'
import type { HandlerDefinition } from '../handle/handler.ts'
import type { Subscribing } from '../handle/subscribing.ts'

export interface WaitOptions<T = unknown> {
  /** How many have to match; default 1. */
  readonly count?: number
  /** Which of them; what it throws, `waitForEvents` throws. */
  where?(event: EvtEvent<T>): boolean
  /** Default '5s'. */
  readonly within?: string
}

/**
 * Resolves with the first `count` events of a type that match, in the order in which they came: those that were published before the call
 * too, wherever the transport keeps them (memory, Redis, Kafka, the store; not RabbitMQ). Throws `timeout` when fewer came within the
 * time, and says what came instead. It reads as a handler of its own, with a new name at each call: for databases and topics of tests.
 *
 *     const [welcome] = await waitForEvents(bus, mailQueued, { where: ({ data }) => data.to === 'a@b.c' })
 */
export async function waitForEvents<T>(
  bus: Pick<Subscribing, 'handle' | 'unsubscribe'>,
  on: Contract<T>,
  options?: WaitOptions<T>,
): Promise<EvtEvent<T>[]>
export async function waitForEvents(
  bus: Pick<Subscribing, 'handle' | 'unsubscribe'>,
  on: string | readonly string[],
  options?: WaitOptions,
): Promise<EvtEvent[]>
export async function waitForEvents(
  bus: Pick<Subscribing, 'handle' | 'unsubscribe'>,
  on: Contract<unknown> | string | readonly string[],
  { count = 1, where = () => true, within = '5s' }: WaitOptions = {},
): Promise<EvtEvent[]> {
  const patterns = typeof on === 'object' && 'schema' in on ? [on.type] : [on].flat()
  const wanted = compilePatterns(patterns)
  const ended = Promise.withResolvers<void>()
  const withinMs = parseDuration(within)
  const matching: EvtEvent[] = []
  const others = createOthers()
  const reader: HandlerDefinition = {
    name: `waiting-${randomUUID()}`,
    // All, so that it can be said what came instead; of the contract's type, its version.
    on: [...([on].flat() as HandlerDefinition['on']), '*'],
    start: 'earliest',
    transaction: 'none',
    concurrency: 1,
    handle(event: EvtEvent) {
      try {
        if (!wanted.matches(event.type)) others.note(event)
        else if (where(event)) matching.push(event)
        else others.noteUnlike(event)
        if (matching.length >= count) ended.resolve()
      } catch (error) {
        ended.reject(error)
      }
    },
  }
  // It may end before anybody waits for it.
  ended.promise.catch(() => {})
  const id = await bus.handle(reader)
  const timer = setTimeout(ended.resolve, withinMs)
  await ended.promise.finally(async () => {
    clearTimeout(timer)
    await bus.unsubscribe(id)
  })
  if (matching.length >= count) return matching.slice(0, count)
  const wish = `${count === 1 ? '' : `${count} events of `}${patterns.join(' ')}`
  throw new EvtError('timeout', `cannot wait for ${wish}: ${matching.length} came within ${within}${others.text()}`)
}

const mostTypes = 10
const mostUnlike = 3
const dataChars = 200

/** What came and was not waited for, as the end of a message. */
function createOthers() {
  const counts = new Map<string, number>()
  const unlike: string[] = []
  const note = ({ type }: EvtEvent) => void counts.set(type, (counts.get(type) ?? 0) + 1)
  return {
    note,
    /** Of the type, and not one that `where` takes: its data tells why. */
    noteUnlike(event: EvtEvent) {
      note(event)
      const data = visible(JSON.stringify(event.data) ?? '')
      unlike.push(`${event.type}${event.subject ? ` of ${event.subject}` : ''} ${data.slice(0, dataChars)}`)
      if (unlike.length > mostUnlike) unlike.shift()
    },
    text(): string {
      if (counts.size === 0) return '; nothing else came either'
      const types = [...counts].slice(0, mostTypes).map(([type, times]) => `${type} (${times})`)
      const more = counts.size > mostTypes ? `, ${counts.size - mostTypes} other types` : ''
      const last = unlike.length > 0 ? `; \`where\` did not take ${unlike.join(', ')}` : ''
      return `; instead came ${types.join(', ')}${more}${last}`
    },
  }
}
