import { stat } from 'node:fs/promises'
import { EvtError } from '../../core/errors.ts'
import type { EvtEvent } from '../../core/event.ts'
import type { Instant } from '../../core/instant.ts'
import { countDue, createSchedule, type Schedule } from '../../core/pacer.ts'
import type { RateShape } from '../../core/rate.ts'
import type { Registry } from '../../core/registry.ts'
import type { Where } from '../../core/where.ts'
import type { Corruption } from '../../generators/corruption.ts'
import type { Assignment } from '../../generators/overrides.ts'
import { readNdjson } from '../../generators/read-ndjson.ts'
import { refuseExpandedGlob } from '../line/expanded-glob.ts'
import { openInput } from '../line/input.ts'
import { loadRegistry } from '../line/services.ts'
import type { Runtime } from '../runtime.ts'
import { isScenario } from './find-scenarios.ts'
import { generated } from './generated.ts'
import { readEvent } from './read-event.ts'
import { newSeed, startOf } from './seed.ts'
import type { Stage } from './stage.ts'

export interface GenOptions {
  readonly count?: number | undefined
  readonly rate?: RateShape | undefined
  readonly duration?: number | undefined
  readonly seed?: number | undefined
  readonly at?: Instant | undefined
  readonly set: readonly Assignment[]
  readonly setString: readonly Assignment[]
  readonly weights?: Readonly<Record<string, number>> | undefined
  readonly corrupt?: readonly Corruption[] | undefined
  readonly ratio: number
  readonly speed?: number | undefined
  readonly tenants?: number | undefined
  readonly input?: string | undefined
  readonly learn?: string | undefined
  readonly check: boolean
  readonly where?: Where | undefined
  readonly dryRun: boolean
}

/** An event whose bytes are fixed already has the text of its data. */
export type SourceEvent = EvtEvent & { readonly dataText?: string }

/** Where the events come from, and when. */
export interface EventSource {
  /** What is read; undefined when they are generated. */
  readonly name: string | undefined
  /** How many there will be; undefined when that is not known before the end. */
  readonly total: number | undefined
  /** No more than this, where only that is known. */
  readonly atMost?: number
  /** Due times; without one they come as fast as they are taken. */
  readonly schedule: Schedule | undefined
  /** Ends the run also when more could come. */
  readonly durationMs: number | undefined
  /** Events with ids of their own: publishing one twice is recognised. */
  readonly keyed: boolean
  readonly where: Where | undefined
  /** [] at the end. */
  take(max: number): readonly SourceEvent[] | Promise<readonly SourceEvent[]>
  /** Of scenarios, whose instances wait for each other's time and for what the system says: in place of `take`. */
  readonly stage?: Stage
  /** Some step waits for what the system says. */
  readonly expects?: boolean
}

interface GenInput {
  readonly args: { readonly types: readonly string[] }
  readonly options: GenOptions
}

/** Checks everything that the line says, and reads nothing yet. */
export async function eventSource({ args, options }: GenInput, runtime: Runtime): Promise<EventSource> {
  if (options.input !== undefined) return inputSource(args.types, options, runtime)
  if (args.types.some(isScenario)) {
    const { scenarioSource } = await import('./scenario-source.ts')
    return scenarioSource(args.types, options, runtime)
  }
  if (options.learn !== undefined) {
    await refuseExpandedGlob(args.types, 'evt gen', runtime)
    const { learnedSource } = await import('./learned-source.ts')
    return learnedSource(args.types, options.learn, options, runtime)
  }
  if (options.speed !== undefined) {
    throw new EvtError(
      'usage',
      'cannot use --speed: it shortens the think times of scenarios, and the gaps of --learn',
      {
        hint: '--rate says how many events come a second',
      },
    )
  }
  await refuseExpandedGlob(args.types, 'evt gen', runtime)
  return generatorSource(args.types, options, runtime)
}

async function generatorSource(types: readonly string[], options: GenOptions, runtime: Runtime): Promise<EventSource> {
  const { createGenerator } = await import('../../generators/generator.ts')
  const schedule = options.rate ? createSchedule({ shape: options.rate }) : undefined
  const total = totalOf(options, schedule)
  const generator = createGenerator({
    registry: await loadRegistry(runtime),
    types,
    seed: options.seed ?? newSeed(runtime),
    nowMs: startOf(options, runtime.now()),
    // Without a rate they pass faster than any store takes them, so that no event's time lies in the future.
    schedule: schedule?.paced ? schedule : { at: (k) => Math.floor(k / 200) },
    set: [...options.set, ...options.setString],
    ...(options.corrupt ? { corrupt: { kinds: options.corrupt, ratio: options.ratio } } : {}),
    ...(options.weights ? { weights: options.weights } : {}),
    ...(options.tenants === undefined ? {} : { tenants: options.tenants }),
  })
  return generated(generator, { total, schedule: schedule?.paced ? schedule : undefined }, options)
}

function totalOf({ count, duration, rate }: GenOptions, schedule: Schedule | undefined): number | undefined {
  const bounds = [
    count,
    schedule?.total,
    schedule?.paced && duration !== undefined ? countDue(schedule, duration) : undefined,
  ]
  const known = bounds.filter((bound) => bound !== undefined)
  if (known.length > 0) return Math.min(...known)
  return rate === undefined && duration === undefined ? 1 : undefined
}

async function inputSource(types: readonly string[], options: GenOptions, runtime: Runtime): Promise<EventSource> {
  const unfit = options.corrupt
    ? '--corrupt'
    : options.weights
      ? '--weights'
      : options.set.length + options.setString.length > 0
        ? '--set'
        : options.learn !== undefined
          ? '--learn'
          : options.speed !== undefined
            ? '--speed'
            : options.tenants !== undefined
              ? '--tenants'
              : types[0]
  if (unfit) throw new EvtError('usage', `cannot use ${unfit} with --input: those events are published as they are`)
  const registry = options.check ? await loadRegistry(runtime) : undefined
  const limit = options.count ?? Number.POSITIVE_INFINITY
  if (registry) await checkFile(options.input as string, { limit, registry }, runtime)
  const input = await openInput(options.input as string, runtime.stdin)
  const lines = readNdjson(input.bytes)
  let taken = 0
  let failure: unknown
  return {
    name: input.name,
    total: options.count,
    schedule: options.rate ? createSchedule({ shape: options.rate }) : undefined,
    durationMs: options.duration,
    keyed: true,
    where: options.where,
    async take(max) {
      const events: SourceEvent[] = []
      if (failure) throw failure
      try {
        while (events.length < max && taken < limit) {
          const line = await lines.next()
          if (line.done) break
          taken++
          events.push(readEvent(line.value, { nowMs: runtime.now(), registry }))
        }
      } catch (error) {
        // What stands before the bad line is good.
        if (events.length === 0) throw error
        failure = error
      }
      return events
    },
  }
}

/** Of a file nothing is published before all of it is good; what comes through a pipe is read once. */
async function checkFile(
  path: string,
  { limit, registry }: { readonly limit: number; readonly registry: Registry },
  { stdin, signal, now }: Runtime,
): Promise<void> {
  const isFile = path !== '-' && (await stat(path).catch(() => undefined))?.isFile()
  if (!isFile) return
  const { bytes } = await openInput(path, stdin)
  let read = 0
  for await (const line of readNdjson(bytes)) {
    if (signal.aborted || ++read > limit) break
    readEvent(line, { nowMs: now(), registry })
  }
}
