import { slotCount } from '../../core/slot.ts'
import type { Difference, TopicSpec } from '../transport.ts'
import { changeAbout, readAbout } from './about.ts'
import { type Link, unlessMissing, withChannel, within } from './connect.ts'
import { translate } from './errors.ts'
import { queueState } from './queue-state.ts'
import type { Session } from './session.ts'

/** What a name stands for: a topic of evt's, an exchange or a queue of somebody else. */
export type Topic =
  | { readonly kind: 'lanes'; readonly lanes: number }
  | { readonly kind: 'exchange' }
  | { readonly kind: 'queue' }

/** A topic exchange, so that others can bind by type: `*.user.created`, `0.#`. */
export const exchangeType = 'topic'

/** Types go as they are: `user.created` in lane 3 is `3.user.created`, cut at the 255 bytes that AMQP has for it. */
export function routingKeyOf(lane: number, type: string): string {
  const key = type === '' ? String(lane) : `${lane}.${type}`
  return key.length <= 85 || Buffer.byteLength(key) <= 255
    ? key
    : Buffer.from(key)
        .subarray(0, 252)
        .toString()
        .replace(/\ufffd+$/, '')
}

export interface Topics {
  /** undefined where there is nothing of that name. Remembered for as long as the connection lasts. */
  resolve(name: string): Promise<Topic | undefined>
  forget(name: string): void
  /** It was removed on purpose. */
  disown(name: string): void
  ensure(specs: readonly TopicSpec[], mode: 'check' | 'create'): Promise<readonly Difference[]>
}

export function createTopics(session: Session): Topics {
  const known = new Map<string, { readonly link: Link; readonly topic: Topic }>()
  /** What this process made, by name: made again where the server has lost it, because it was reset or is another one. */
  const made = new Map<string, number>()

  async function look(link: Link, name: string): Promise<Topic | undefined> {
    const { exchange, queue } = session.options
    if (queue === name) return (await queueExists(link, name)) ? { kind: 'queue' } : undefined
    const about = await readAbout(link, name)
    if (about?.lanes !== undefined) return { kind: 'lanes', lanes: about.lanes }
    if (await exchangeExists(link, name)) return { kind: 'exchange' }
    return exchange !== name && (await queueExists(link, name)) ? { kind: 'queue' } : undefined
  }

  async function compare({ name, lanes }: TopicSpec, mode: 'check' | 'create'): Promise<readonly Difference[]> {
    const link = await session.link('read')
    const topic = await look(link, name)
    if (topic === undefined && session.options.queue === name) return [{ topic: name, ...missingQueue(name) }]
    if (topic === undefined) {
      if (mode === 'create') await create(name, lanes)
      else return [{ topic: name, problem: 'missing', remedy: 'it is made by whoever publishes or consumes first' }]
    } else if (topic.kind === 'lanes') {
      const differs = await exchangeDiffers(link, name, mode)
      if (differs !== undefined) return [{ topic: name, ...differs }]
      if (topic.lanes !== lanes) return [{ topic: name, ...otherCount(topic.lanes, lanes) }]
      if (mode === 'create') made.set(name, lanes)
    } else {
      const remedy = 'it can be read and written as it is; for lanes take another name'
      return [{ topic: name, problem: `it is a ${topic.kind} that evt did not make: it has no lanes`, remedy }]
    }
    return []
  }

  async function create(name: string, lanes: number): Promise<void> {
    if (lanes < 1 || lanes > slotCount) throw translate(new RangeError(`${lanes} lanes`), `create ${name}`)
    const link = await session.link('publish')
    await changeAbout(link, name, async (about, channel) => {
      await within(
        channel.exchangeDeclare({ exchange: name, type: exchangeType, durable: true }),
        `declare exchange ${name}`,
      )
      return about?.lanes === undefined ? { groups: {}, ...about, lanes } : undefined
    })
    made.set(name, lanes)
  }

  /** As `look`, and whole afterwards where it is evt's. */
  async function restore(link: Link, name: string): Promise<Topic | undefined> {
    const topic = await look(link, name)
    const lanes = made.get(name)
    if (lanes !== undefined && topic?.kind !== 'lanes') {
      await create(name, lanes)
      return look(link, name)
    }
    if (topic?.kind === 'lanes' && !(await exchangeExists(link, name))) await declareExchange(link, name)
    return topic
  }

  return {
    async resolve(name) {
      const link = await session.link('read')
      const remembered = known.get(name)
      if (remembered?.link === link) return remembered.topic
      const topic = await restore(link, name)
      if (topic === undefined) known.delete(name)
      else known.set(name, { link, topic })
      return topic
    },
    forget: (name) => void known.delete(name),
    disown(name) {
      made.delete(name)
      known.delete(name)
    },
    async ensure(specs, mode) {
      const differences: Difference[] = []
      for (const spec of specs) differences.push(...(await compare(spec, mode)))
      return differences
    },
  }
}

/** A queue belongs to who consumes it, who decides of its kind and limits. */
const missingQueue = (queue: string) => ({
  problem: 'missing',
  remedy: `declare it first: rabbitmqadmin declare queue name=${queue} durable=true; evt makes exchanges (?exchange=${queue})`,
  madeElsewhere: true as const,
})

const otherCount = (found: number, wanted: number) => ({
  problem: `it has ${found} lanes, not ${wanted}`,
  remedy: 'lanes are fixed when a topic is made: take the number that it has, or another name',
})

/** The exchange may have been deleted, and what is known of the topic not. */
async function exchangeDiffers(link: Link, exchange: string, mode: 'check' | 'create') {
  if (mode === 'check' && !(await exchangeExists(link, exchange))) {
    return {
      problem: 'its exchange is missing',
      remedy: 'whoever publishes or consumes first makes it again; groups bind again',
    }
  }
  try {
    await declareExchange(link, exchange)
    return undefined
  } catch (error) {
    const problem = translate(error, `use exchange ${exchange}`)
    if (problem.code !== 'conflict') throw problem
    return { problem: problem.message.replace(/^.*?: /, ''), remedy: problem.hint ?? '' }
  }
}

function declareExchange(link: Link, exchange: string): Promise<void> {
  return withChannel(link, (channel) =>
    within(channel.exchangeDeclare({ exchange, type: exchangeType, durable: true }), `use exchange ${exchange}`),
  )
}

/** The default exchange has no name, and is always there. */
export async function exchangeExists(link: Link, exchange: string): Promise<boolean> {
  const look = withChannel(link, (channel) =>
    within(channel.exchangeDeclare({ exchange, passive: true }), `look for exchange ${exchange}`),
  )
  // The library answers with nothing.
  return (await unlessMissing(look.then(() => true))) ?? false
}

const queueExists = async (link: Link, queue: string): Promise<boolean> => (await queueState(link, queue)) !== undefined
