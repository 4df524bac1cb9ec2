import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import type {
  Capabilities,
  Lane,
  LaneOptions,
  Message,
  Received,
  SqlExecutor,
  Transport,
} from '../../../src/transports/transport.ts'
import { onTestFinished } from '../../setup/on-test-finished.ts'
import { until } from './waiting.ts'

export { until }

/** A member in another process (or what is nearest to one), told to take and then to die. */
export interface Doomed {
  /** What it was handed out, by message id, in order. */
  readonly taken: readonly { readonly id: string; readonly deliveries: number }[]
  /** kill -9. */
  kill(): Promise<void>
  /** SIGSTOP, and SIGCONT: it then settles all it has, and says what became of its lanes. Absent in-process. */
  freeze?(): void
  thaw?(): Promise<{ readonly lost: number }>
}

export interface DoomedPlan {
  readonly topic: string
  readonly group: string
  readonly options: Omit<LaneOptions, 'signal'>
  /** Most messages to take in all; it holds them unsettled, but for the first `settle`. */
  readonly take: number
  readonly settle: number
}

export interface Setup {
  /** A new connection to the same substrate; the suite closes it. */
  open(): Promise<Transport>
  readonly capabilities: Capabilities
  /** Where a scenario publishes; default: its unique name. */
  topic?(unique: string): string
  /** For who is `shared`; where it is `durable` too, its members can be frozen. */
  doom?(plan: DoomedPlan): Promise<Doomed>
  /** Kills the server and starts it again on the same data and port. For who is `durable`. */
  restart?(): Promise<void>
  /** Cuts every connection of evt's to the server, not the server. For who is `durable`. */
  disconnect?(): Promise<void>
  /** Makes of a message one that the server refuses. For who is `durable`. */
  spoil?(message: Message): Message
  /** A transaction of the database that `settleIn` writes to. For who is `transactional`. */
  transaction?(work: (sql: SqlExecutor) => Promise<void>): Promise<void>
  /** Waits until everything published so far has its position. */
  settled?(): Promise<void>
  /** Bytes of the biggest body. Default 1 MiB. */
  readonly bigBytes?: number
}

/** What a scenario of a declared capability needs. Throws: a transport that declares it and cannot be tried has not kept it. */
export function means<Name extends 'doom' | 'restart' | 'disconnect' | 'spoil' | 'transaction'>(
  setup: Setup,
  name: Name,
): NonNullable<Setup[Name]> {
  const mean = setup[name]
  if (mean === undefined) throw new Error(`its capabilities promise this, and its setup has no ${name} to try it`)
  return mean
}

/** One scenario's corner of the substrate: names that nobody else uses, and things that clean up after themselves. */
export interface World {
  readonly setup: Setup
  readonly topic: string
  readonly group: string
  /** Every message of this scenario has it, and no other. */
  readonly type: string
  open(): Promise<Transport>
  message(key: string | null, data: unknown, overrides?: Partial<Message>): Message
  /** `count` messages over `keys` subjects; data is {key, n}, n counting up from 1 within each key. */
  messages(count: number, keys: number): readonly Message[]
  publish(transport: Transport, messages: readonly Message[]): Promise<void>
  options(overrides?: Partial<LaneOptions>): LaneOptions
}

/** `lanes`: of the topic and of its groups. */
export function createWorld(setup: Setup, lanes = 4): World {
  const unique = `t${randomUUID().slice(0, 8)}`
  const topic = setup.topic?.(unique) ?? unique
  const type = `${unique}.happened`
  const ended = new AbortController()
  onTestFinished(() => ended.abort())

  const message: World['message'] = (key, data, overrides) => {
    const id = randomUUID()
    const subject = key === null ? {} : { 'ce-subject': key.replace(/[^!#$&-~]/gu, encodeURIComponent) }
    const headers = {
      'ce-specversion': '1.0',
      'ce-id': id,
      'ce-type': type,
      'ce-source': 'conformance',
      'ce-time': '2026-11-21T08:00:00.000Z',
      'content-type': 'application/json',
      ...subject,
    }
    return { id, key, headers, body: Buffer.from(JSON.stringify(data)), ...overrides }
  }

  // Where there is no history, a group gets what is published after it was first joined.
  async function joinOnce(transport: Transport): Promise<void> {
    if (setup.capabilities.history || transport.lanes === undefined) return
    const joining = joined.get(world)
    if (joining !== undefined) return joining
    const made = await firstLanes(world, transport, lanes)
    await Promise.all(made.map((lane) => lane.release()))
  }

  const world: World = {
    setup,
    topic,
    group: `${unique}.group`,
    type,
    message,
    async open() {
      const transport = await setup.open()
      onTestFinished(() => transport.close())
      await transport.ensure([{ name: topic, lanes }], 'create')
      return transport
    },
    messages: (count, keys) =>
      Array.from({ length: count }, (_, i) => message(`s/${i % keys}`, { key: i % keys, n: Math.floor(i / keys) + 1 })),
    async publish(transport, messages) {
      await joinOnce(transport)
      const results = await transport.publish(topic, messages, ended.signal)
      expect(results.map((result) => result.state)).toEqual(messages.map(() => 'stored'))
    },
    options: (overrides) => ({
      prefetch: 100,
      patterns: [type],
      start: 'earliest',
      lanes,
      member: 'm1',
      signal: ended.signal,
      ...overrides,
    }),
  }
  return world
}

/** Worlds whose group exists, or will when it gets its first lane. */
const joined = new WeakMap<World, Promise<void>>()

export const idsOf = (messages: readonly { readonly id: string }[]) => messages.map(({ id }) => id)

export const dataOf = (received: Received): { key: number; n: number } =>
  JSON.parse(Buffer.from(received.body).toString())

/** The n of each key, in the order of arrival. */
export function sequences(received: readonly Received[]): Map<string | null, number[]> {
  const byKey = new Map<string | null, number[]>()
  for (const message of received) byKey.set(message.key, [...(byKey.get(message.key) ?? []), dataOf(message).n])
  return byKey
}

export const counted = (to: number, from = 1) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** A member of the scenario's group that takes from every lane it gets and settles, unless told otherwise. */
export interface Consumer {
  readonly received: readonly Received[]
  readonly lanes: readonly Lane[]
  /** Lanes that it still owns. */
  readonly owned: readonly Lane[]
  /** Stops taking, releases every lane and leaves the group. */
  stop(): Promise<void>
  /** Ends when `lanes()` has ended and every lane has. Throws what they threw. */
  readonly done: Promise<void>
}

export interface ConsumeOptions extends Partial<LaneOptions> {
  readonly max?: number
  readonly group?: string
  /** Instead of settling at once. */
  onBatch?(batch: readonly Received[], lane: Lane): Promise<void>
}

export function consume(world: World, transport: Transport, options: ConsumeOptions = {}): Consumer {
  const received: Received[] = []
  const lanes: Lane[] = []
  const stopping = new AbortController()
  const laneOptions = world.options(options)
  const first = Promise.withResolvers<void>()
  joined.set(world, joined.get(world) ?? first.promise)
  const signal = AbortSignal.any([stopping.signal, laneOptions.signal])
  const onBatch = options.onBatch ?? ((batch, lane) => lane.settle(batch))

  async function drain(lane: Lane): Promise<void> {
    while (!lane.lost.aborted && !signal.aborted) {
      const batch = await lane.take(options.max ?? 50, signal)
      received.push(...batch)
      if (batch.length > 0) await onBatch(batch, lane)
    }
    await lane.release()
  }

  async function run(): Promise<void> {
    const running: Promise<void>[] = []
    for await (const lane of lanesOf(transport)([world.topic], options.group ?? world.group, {
      ...laneOptions,
      signal,
    })) {
      lanes.push(lane)
      first.resolve()
      running.push(drain(lane))
    }
    await Promise.all(running)
  }

  const done = run()
  done.catch(() => {})
  return {
    received,
    lanes,
    get owned() {
      return lanes.filter((lane) => !lane.lost.aborted)
    },
    async stop() {
      stopping.abort()
      await done
    },
    done,
  }
}

/** The method, bound; a scenario that needs lanes is only run where there are some. */
export function lanesOf(transport: Transport): NonNullable<Transport['lanes']> {
  const lanes = transport.lanes?.bind(transport)
  if (lanes === undefined) throw new Error(`${transport.name} has no lanes`)
  return lanes
}

/** The first `count` lanes of a member of the scenario's group, which then claims no more: what it releases is for others. */
export async function firstLanes(world: World, transport: Transport, count: number, overrides?: ConsumeOptions) {
  const { group = world.group, ...given } = overrides ?? {}
  const claiming = new AbortController()
  const options = world.options(given)
  const signal = AbortSignal.any([options.signal, claiming.signal])
  const lanes: Lane[] = []
  joined.set(world, joined.get(world) ?? Promise.resolve())
  for await (const lane of lanesOf(transport)([world.topic], group, { ...options, signal })) {
    lanes.push(lane)
    if (lanes.length === count) claiming.abort()
  }
  if (lanes.length < count) throw new Error(`only ${lanes.length} lanes of ${count}`)
  return lanes
}

/** Takes until there are `count`, with a deadline. */
export async function takeExactly(lane: Lane, count: number, withinMs = 10_000): Promise<Received[]> {
  const taken: Received[] = []
  const signal = AbortSignal.timeout(withinMs)
  while (taken.length < count) {
    const batch = await lane.take(count - taken.length, signal)
    if (batch.length === 0) throw new Error(`took ${taken.length} of ${count} within ${withinMs} ms`)
    taken.push(...batch)
  }
  return taken
}
