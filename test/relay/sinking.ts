import { randomUUID } from 'node:crypto'
import { encodeEvent } from '../../src/core/codec.ts'
import type { EvtEvent } from '../../src/core/event.ts'
import type { SinkOptions, SourceOptions } from '../../src/core/sinks-and-sources.ts'
import { createRelay, type Relay } from '../../src/relay/relay.ts'
import type { SinkMeter } from '../../src/relay/relay-recorder.ts'
import { resolveSinks } from '../../src/relay/sink-config.ts'
import { resolveSources } from '../../src/relay/source-config.ts'
import type { RelayTimings } from '../../src/relay/timings.ts'
import type { Store } from '../../src/store/connection.ts'
import { publishEncoded } from '../../src/store/outbox.ts'
import { openTransport } from '../../src/transports/registry.ts'
import type { Received, Transport } from '../../src/transports/transport.ts'
import { eventOf } from '../handle/running.ts'
import { onTestFinished } from '../setup/on-test-finished.ts'
import { until } from '../setup/until.ts'

export const quick: Partial<RelayTimings> = { lease: 800, renew: 200, standby: 100 }

export interface Sinking extends Relay {
  readonly messages: { readonly level: string; readonly message: string; readonly fields: Record<string, unknown> }[]
  readonly taken: Map<string, { taken: number; dead: number; looped: number; waiting: string | undefined }>
  readonly meters: Map<string, { carried: number; dead: number; looped: number; waiting: string | undefined }>
}

export interface SinkingOptions {
  readonly instance?: string
  readonly timings?: Partial<RelayTimings>
  readonly sources?: readonly SourceOptions[]
  /** In place of the registry. */
  open?(options: SinkOptions): Promise<Transport>
}

/** A relay with these sinks; stopped when the test ends. */
export function runSinks(store: Store, sinks: readonly SinkOptions[], options: SinkingOptions = {}): Sinking {
  const messages: Sinking['messages'] = []
  const meters: Sinking['meters'] = new Map()
  const taken: Sinking['taken'] = new Map()
  const say =
    (level: string) =>
    (message: string, fields: object = {}) =>
      void messages.push({ level, message, fields: fields as Record<string, unknown> })
  const open = options.open ?? (({ url }) => openTransport(url))
  const relay = createRelay({
    store,
    instance: options.instance ?? 'a',
    timings: { ...quick, ...options.timings },
    sinks: resolveSinks(sinks).map((config) => ({ config, open: () => open(config) })),
    sources: resolveSources(options.sources ?? []).map((config) => ({ config, open: () => openTransport(config.url) })),
    recorder: {
      source(name) {
        const counts = { taken: 0, dead: 0, looped: 0, waiting: undefined as string | undefined }
        taken.set(name, counts)
        return {
          taken: (events) => {
            counts.taken += events
          },
          dead: () => void counts.dead++,
          looped: () => void counts.looped++,
          waiting: (problem) => {
            counts.waiting = problem
          },
        }
      },
      sequenced() {},
      leading() {},
      sink(name): SinkMeter {
        const counts = { carried: 0, dead: 0, looped: 0, waiting: undefined as string | undefined }
        meters.set(name, counts)
        return {
          carried: () => void counts.carried++,
          dead: () => void counts.dead++,
          looped: () => void counts.looped++,
          reached() {},
          waiting: (problem) => {
            counts.waiting = problem
          },
        }
      },
    },
    log: { info: say('info'), warn: say('warn'), error: say('error') },
  })
  relay.start()
  onTestFinished(() => relay.stop())
  return Object.defineProperties({ messages, meters, taken }, Object.getOwnPropertyDescriptors(relay)) as Sinking
}

/** Commits `count` events over `subjects`; data is {n}, n counting up within each subject. */
export async function commit(
  store: Store,
  count: number,
  { subjects = 5, type = 'thing.made', from = 0 } = {},
): Promise<EvtEvent[]> {
  const events = Array.from({ length: count }, (_, i) =>
    eventOf({
      type,
      subject: `s${(from + i) % subjects}`,
      data: { n: Math.floor((from + i) / subjects) + 1 },
    }),
  )
  for (let at = 0; at < events.length; at += 500)
    await publishEncoded(store, events.slice(at, at + 500).map(encodeEvent))
  return events
}

/** The log in its order. */
export async function readLogIds(store: Store): Promise<string[]> {
  const { rows } = await store.query(
    `select o.id from evt.log l join evt.outbox o on o.class = l.class and o.day = l.day and o.xid = l.xid and o.seq = l.seq
     order by l.position`,
  )
  return rows.map((row) => String(row.id))
}

/** All that a topic holds now, or what comes until there are `count`. */
export async function readTopic(url: string, topic: string, count?: number): Promise<Received[]> {
  const transport = await openTransport(url)
  const found: Received[] = []
  try {
    const ended = new AbortController()
    const options = { from: 'start', follow: count !== undefined, signal: ended.signal } as const
    const reading = (async () => {
      for await (const batch of transport.observe({ topics: [topic], patterns: ['*'] }, options)) found.push(...batch)
    })()
    if (count !== undefined) await until(() => found.length >= count, { withinMs: 6_000 }).finally(() => ended.abort())
    await reading
    return found
  } finally {
    await transport.close()
  }
}

/** The positions of the log by lane or, where only subjects tell, by subject: each must grow. */
export function bySubject(received: readonly Received[]): Map<string, Received[]> {
  return Map.groupBy(received, ({ key }) => key ?? '')
}

export const memoryUrl = () => `memory://sink-${randomUUID()}`

export async function sinkRow(
  store: Store,
  name: string,
): Promise<{ position: bigint; topics: Record<string, string> }> {
  const { rows } = await store.query('select position, topics from evt.sinks where name = $1', [name])
  return { position: BigInt(String(rows[0]?.position ?? -1)), topics: rows[0]?.topics as Record<string, string> }
}
