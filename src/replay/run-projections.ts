import { setTimeout as delay } from 'node:timers/promises'
import { toError } from '../core/errors.ts'
import type { Registry } from '../core/registry.ts'
import type { BatchHandlerDefinition, HandlerLog } from '../handle/handler.ts'
import type { HandleRecorder } from '../handle/recorder.ts'
import { createSubscribers, type Subscribers } from '../handle/subscribers.ts'
import type { Store } from '../store/connection.ts'
import {
  ensureProjection,
  type Generation,
  generationHandler,
  generationSchema,
  readGenerations,
  switchProjection,
} from '../store/projections.ts'
import type { Transport } from '../transports/transport.ts'
import { type ProjectionConfig, typesOf } from './define-projection.ts'

export interface ProjectionsOptions {
  readonly store: Store
  /** The log. */
  readonly transport: Transport
  readonly projections: readonly ProjectionConfig[]
  readonly registry: Registry
  readonly recorder: HandleRecorder
  readonly instance: string
  readonly log: HandlerLog
  readonly graceMs: number
}

export interface Projections {
  /** Idempotent. */
  stop(): Promise<void>
}

const lookMs = 500
/** Positions are written down a moment after their events: who has all that was there before it has caught up. */
const caughtUpMs = 2_000
const batch = 100
const connections = 4

/**
 * Keeps the tables of projections up to date, builds those that are to be rebuilt beside them, and lets them take their place when they
 * have caught up, in one transaction. Any number of processes may.
 */
export async function runProjections(options: ProjectionsOptions): Promise<Projections> {
  const { store, log, projections, graceMs } = options
  const stopping = new AbortController()
  const running = new Map<string, Subscribers>()
  /** Builds of which it was said that they wait. */
  const held = new Set<string>()
  const heads: { readonly atMs: number; readonly head: bigint }[] = []

  async function start(projection: ProjectionConfig, generation: Generation): Promise<void> {
    const { transport, registry, recorder, instance } = options
    const subscribers = createSubscribers({
      ...{ store, transport, registry, recorder, instance, log, connections },
      handlers: [handlerOf(projection, generation)],
      publish: () => Promise.reject(new Error('a projection publishes nothing')),
    })
    running.set(generationHandler(generation), subscribers)
    await subscribers.start()
  }

  async function look(): Promise<void> {
    const { rows } = await store.query('select evt.head()::text as head')
    heads.push({ atMs: performance.now(), head: BigInt(String(rows[0]?.head ?? 0)) })
    while ((heads[1]?.atMs ?? Number.POSITIVE_INFINITY) < performance.now() - caughtUpMs) heads.shift()
    const wanted = new Set<string>()
    for (const projection of projections) {
      for (const generation of await readGenerations(store, projection.name)) {
        if (generation.version !== projection.version) continue
        const handler = generationHandler(generation)
        wanted.add(handler)
        if (!running.has(handler)) await start(projection, generation)
        if (generation.status === 'building') await switchWhenDone(generation)
      }
    }
    for (const [handler, subscribers] of running) {
      if (wanted.has(handler)) continue
      running.delete(handler)
      // Nothing tells of it any more, as `stop` alone would.
      await subscribers.remove(handler, { graceMs: 1_000 })
      await subscribers.stop({ graceMs: 0 })
    }
  }

  async function switchWhenDone(generation: Generation): Promise<void> {
    const [before] = heads
    const isCaughtUp =
      before !== undefined &&
      performance.now() - before.atMs >= (generation.lagEvents === 0 ? 0 : caughtUpMs) &&
      generation.position >= before.head
    // What failed in it would be missing in what people read.
    if (!isCaughtUp) return
    if (generation.missing > 0) return tellHeld(generation)
    if (await switchProjection(store, generation))
      log.info('a projection was rebuilt, and is live', {
        projection: generation.name,
        generation: generation.generation,
      })
  }

  function tellHeld(generation: Generation): void {
    const handler = generationHandler(generation)
    if (held.has(handler)) return
    held.add(handler)
    log.warn('a build of a projection does not take the place of the live one: events are missing in it', {
      ...{ projection: generation.name, generation: generation.generation, missing: generation.missing },
      ...{ dead: generation.dead, hint: 'evt projection list says what to do' },
    })
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await look().catch((error: unknown) =>
        log.warn('cannot look after projections; trying again', { error: toError(error).message }),
      )
      await delay(lookMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  for (const { name, version, options: own } of projections) {
    const { began, lost } = await ensureProjection(store, { name, version, tables: own.tables }, typesOf(own))
    if (!lost) continue
    const facts = { projection: name, version, gone: lost.events, from: String(lost.from), to: String(lost.to) }
    if (began) log.warn('a projection begins without events that retention has removed', facts)
    else
      log.warn('a new version of a projection is not built: events that the live one may have are gone', {
        ...facts,
        hint: `evt retention restore brings archives back; evt projection rebuild ${name} builds it without them`,
      })
  }
  const looking = run()
  return {
    async stop() {
      stopping.abort()
      await looking
      await Promise.all([...running.values()].map((one) => one.stop({ graceMs })))
    },
  }
}

/** Plain names of tables are those of the generation. */
function handlerOf({ options }: ProjectionConfig, generation: Generation): BatchHandlerDefinition {
  const { on, concurrency, timeout, retry } = options
  const path = `"${generationSchema(generation)}", public`
  return {
    name: generationHandler(generation),
    group: options.name,
    on,
    batch,
    start: 'earliest',
    // A projection that left an event out would be wrong for ever: its subject waits.
    afterDead: 'block',
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(retry === undefined ? {} : { retry }),
    async handle(events, ctx) {
      await ctx.sql.query(`select set_config('search_path', $1, true)`, [path])
      for (const event of events) await options.apply(event, ctx)
    },
  }
}
