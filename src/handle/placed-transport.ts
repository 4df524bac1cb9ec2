import { setTimeout as delay } from 'node:timers/promises'
import type { EvtError } from '../core/errors.ts'
import type { Store } from '../store/connection.ts'
import {
  type Entry,
  enterPlace,
  type Intake,
  leavePlaces,
  type Passage,
  passPlace,
  readGivenUp,
} from '../store/handler-places.ts'
import { createKeepAsking } from '../store/keep-asking.ts'
import type { Lane, LaneOptions, Received, Transport } from '../transports/transport.ts'
import { createFence, type Fence, fencedLane, passingLane } from './guarded-lanes.ts'
import type { HandlerLog } from './handler.ts'
import { type keepingMs, keepPlaces } from './keep-places.ts'
import { createMoveLog } from './say-moves.ts'

export interface PlacedOptions {
  readonly store: Store
  readonly instance: string
  readonly log: HandlerLog
  readonly intake: Intake
  /** Of the intake. */
  readonly transport: Transport
  /** In a sink: whose positions its messages name. */
  readonly logId?: string
  /** The log; closed by who opens it. */
  openLog(): Promise<Transport>
  readonly timesMs?: typeof keepingMs
}

export interface Placed {
  /** Its lanes are, for each handler, those of the log until it may go on in the sink. */
  readonly transport: Transport
  stop(): Promise<void>
}

type Given = [topics: readonly string[], group: string, options: LaneOptions]

const waitMs = 500
const passMs = 250
const lookMs = 20

/** Handlers that are moved between the log and sinks, or from sink to sink, miss nothing and keep the order of each subject. */
export function placeTransport(options: PlacedOptions): Placed {
  const { store, instance, log, intake, transport } = options
  const isLog = intake.name === 'log'
  const reading = new Map<string, readonly string[]>()
  /** Handlers whose group in the intake is there, or who are on their way to it. */
  const settled = new Map<string, PromiseWithResolvers<void>>()
  const settledOf = (group: string) => {
    const found = settled.get(group) ?? Promise.withResolvers<void>()
    settled.set(group, found)
    return found
  }
  const moves = createMoveLog(log)
  const keeper = isLog ? undefined : keepPlaces({ ...options, reading })

  /** Undefined when it is to stop before. */
  async function enter(group: string, { start, lanes, signal }: LaneOptions) {
    let said = false
    while (!signal.aborted) {
      const entry = await enterPlace(store, { handler: group, instance, intake, start, lanes })
      if (entry.state !== 'waiting') {
        say(group, entry)
        return entry
      }
      if (!said) {
        log.warn('a handler waits: other bridges run it over something else', {
          handler: group,
          to: intake.name,
          bridges: entry.members.join(', '),
          reads: entry.intake,
          hint: 'it goes on here as soon as they have stopped',
        })
        settledOf(group).resolve()
      }
      said = true
      await delay(waitMs, undefined, { signal }).catch(() => {})
    }
    return undefined
  }

  function say(handler: string, entry: Exclude<Entry, { state: 'waiting' }>): void {
    const { left } = entry
    if (left)
      moves.say('handlers move from a sink to the log', handler, {
        from: left.intake,
        position: left.position,
        events: left.behind,
      })
    if (entry.state === 'passing')
      moves.say('handlers move from the log to a sink, and read the log to its end first', handler, {
        to: intake.name,
        events: entry.behind,
      })
  }

  async function* lanesOfLog(...given: Given): AsyncGenerator<Lane> {
    const [, group, laneOptions] = given
    const entry = await enter(group, laneOptions)
    if (!entry) return
    const isGivenUp = await givenUp(group, entry)
    for await (const lane of transport.lanes?.(...given) ?? []) {
      settledOf(group).resolve()
      yield isGivenUp ? passingLane(lane, isGivenUp) : lane
    }
  }

  async function givenUp(group: string, entry: { readonly since: bigint; readonly at: Date }) {
    const ids = await readGivenUp(store, group, entry)
    return ids.size === 0 ? undefined : ({ id }: Received) => ids.has(id)
  }

  async function* lanesOfSink(...given: Given): AsyncGenerator<Lane> {
    const [topics, group, laneOptions] = given
    const entry = await enter(group, laneOptions)
    if (!entry) return
    let { since } = entry
    if (entry.state === 'passing') {
      // What the sink gets from here on waits for it there.
      if (transport.join) await transport.join(...given)
      settledOf(group).resolve()
      const through = yield* passThroughLog(group, laneOptions, await givenUp(group, entry))
      if (through === undefined) return
      since = through
    }
    reading.set(group, topics)
    const start = entry.state === 'there' && entry.isNew ? laneOptions.start : 'earliest'
    const isPassed = ({ log: position, logId }: Received) =>
      position !== undefined && position <= since && (logId === undefined || logId === options.logId)
    try {
      for await (const lane of transport.lanes?.(topics, group, { ...laneOptions, start }) ?? []) {
        settledOf(group).resolve()
        yield passingLane(lane, isPassed)
      }
    } finally {
      reading.delete(group)
    }
  }

  /** Gives the position after which the sink goes on; undefined when it is to stop before. */
  async function* passThroughLog(
    group: string,
    laneOptions: LaneOptions,
    isGivenUp: ((message: Received) => boolean) | undefined,
  ): AsyncGenerator<Lane, bigint | undefined> {
    const fence = createFence()
    const leaving = new AbortController()
    const signal = AbortSignal.any([laneOptions.signal, leaving.signal])
    const passing = pass(group, fence, laneOptions.signal).finally(() => leaving.abort())
    // Looked at below; until then nobody is to be told.
    passing.catch(() => {})
    const owned: Lane[] = []
    try {
      const logTransport = await options.openLog()
      for await (const lane of logTransport.lanes?.(['log'], group, { ...laneOptions, signal }) ?? []) {
        owned.push(lane)
        yield fencedLane(isGivenUp ? passingLane(lane, isGivenUp) : lane, fence)
      }
      const since = await passing
      if (since !== undefined) await Promise.all(owned.map((lane) => lane.release()))
      return since
    } catch (error) {
      // Whoever tries again fences them anew: these would hand out what is behind that.
      await Promise.allSettled(owned.map((lane) => lane.release()))
      throw error
    } finally {
      leaving.abort()
    }
  }

  async function pass(group: string, fence: Fence, signal: AbortSignal): Promise<bigint | undefined> {
    let said = ''
    const onLost = ({ message }: EvtError) =>
      log.warn('the store does not answer; handlers stay with the log', { handler: group, error: message })
    const ask = createKeepAsking({ onLost }, signal)
    while (!signal.aborted) {
      const { upto, handed } = fence
      const passage = await ask(
        () => passPlace(store, { handler: group, instance, intake, applied: upto, handed }),
        undefined,
      )
      if (!passage) return undefined
      if (passage.since !== undefined) {
        moves.say('handlers read a sink now, and no more the log', group, {
          to: intake.name,
          position: passage.since,
        })
        return passage.since
      }
      fence.move(passage.upto)
      const why = whyNot(passage)
      if (why !== '' && why !== said) moves.say(`handlers stay with the log: ${why}`, group, { to: intake.name })
      said = why
      await delay(passMs, undefined, { signal }).catch(() => {})
    }
    return undefined
  }

  async function join(...given: Given): Promise<void> {
    const [topics, group, { signal }] = given
    if (transport.join) return transport.join(...given)
    const { promise } = settledOf(group)
    let isSettled = false
    void promise.then(() => {
      isSettled = true
    })
    while (!signal.aborted && !isSettled) {
      // By its first lane, or because others of its group have them all.
      const { groups } = reading.has(group) || isLog ? await transport.inspect(topics) : { groups: [] }
      if (groups.some((one) => one.group === group)) return
      await Promise.race([promise, delay(lookMs, undefined, { signal }).catch(() => {})])
    }
  }

  return {
    transport: withLanes(transport, { lanes: isLog ? lanesOfLog : lanesOfSink, join }),
    async stop() {
      moves.flush()
      await keeper?.stop()
      await leavePlaces(store, instance)
    },
  }
}

function whyNot({ strays, isUncarried }: Passage): string {
  if (isUncarried) return 'no leader carries to that sink yet'
  return strays ? 'events wait in its lanes for a retry or for an operator' : ''
}

function withLanes(transport: Transport, own: Pick<Transport, 'lanes' | 'join'>): Transport {
  const others = Object.entries(Object.getOwnPropertyDescriptors(transport)).filter(([name]) => !(name in own))
  return Object.defineProperties({ ...own }, Object.fromEntries(others)) as unknown as Transport
}
