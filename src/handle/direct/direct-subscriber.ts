import { setTimeout as delay } from 'node:timers/promises'
import { EvtError, toError } from '../../core/errors.ts'
import type { Lane, LaneOptions, Received } from '../../transports/transport.ts'
import { createInterrupted } from '../interrupted.ts'
import { createCrew } from './crew.ts'
import { closeDirectLane, createDirectLane, type DirectLane } from './direct-lane.ts'
import type { DirectRuntime } from './direct-runtime.ts'
import { typeOfReceived } from './foreign.ts'

/** One handler, subscribed without a store. */
export interface DirectSubscriber {
  readonly handler: string
  /** Resolves with the first lane: then its group exists. Never rejects. */
  readonly joined: Promise<void>
  pause(state: boolean): void
  /** Takes nothing more, waits for what runs, settles it, gives the lanes back. */
  drain(): Promise<void>
  /** What runs now is interrupted, and comes again elsewhere. */
  force(reason: unknown): void
}

/** Ordered shards of a group, where the group decides. */
const lanesOf = (concurrency: number) => (concurrency <= 16 ? 16 : 64)
const mostTaken = 200
const againMs = 1_000
/**
 * Others wait for their turn meanwhile. A lane that has come back hands out the suspect for which it was given back, and then the next one; one
 * that is slower is given back again.
 */
const suspectWithinMs = { first: 500, next: 50 }
/** With so many attempts there is room to count a bystander that was out when a second owner died. */
const patientFrom = 5

export function startDirectSubscriber(runtime: DirectRuntime, topics: readonly string[]): DirectSubscriber {
  const { config, transport, log } = runtime
  const takeSize = config.takes ?? mostTaken
  const crew = createCrew(runtime)
  runtime.breaker.attach({ hold: crew.halt, probe: crew.probe })
  const interrupted = createInterrupted()
  const lanes = new Set<DirectLane>()
  const stopping = new AbortController()
  const { signal } = stopping
  const joined = Promise.withResolvers<void>()
  const options: LaneOptions = {
    // Others of a lane flow past a subject that waits for as long as there is room.
    prefetch: Math.max(takeSize, config.concurrency * 4, config.batch * 2),
    patterns: config.patterns,
    start: config.start,
    lanes: lanesOf(config.concurrency),
    member: runtime.instance,
    signal,
  }

  /**
   * Of what one owner died of, nearly all is innocent: each lane hands out one at a time, beside those of other lanes. What was out when another
   * one died comes alone in the process.
   */
  const aloneAbove = config.attempts >= patientFrom ? 2 : 1
  const isSuspect = ({ deliveries }: Received) => deliveries > aloneAbove
  /** Lanes, by their ids, that had something that dead owners may have started. */
  const suspected = new Set<string>()
  const waits = { paused: false, down: false }
  /** For one reason or both. */
  let paused = false
  /** Resolves when this handler is not paused any more, or stops. */
  let resumed = Promise.withResolvers<void>()
  resumed.resolve()

  async function subscribe(): Promise<void> {
    for await (const lane of transport.lanes?.(topics, runtime.group, options) ?? []) {
      joined.resolve()
      void takeFrom(lane)
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      await subscribe().catch((error: unknown) =>
        log.error('cannot subscribe; trying again', { handler: config.name, error: toError(error).message }),
      )
      if (!signal.aborted) await delay(againMs, undefined, { signal }).catch(() => {})
    }
  }

  async function takeFrom(lane: Lane): Promise<void> {
    const owned = createDirectLane(runtime, lane)
    lanes.add(owned)
    const onLost = () => {
      if (!owned.closed) interrupted.lost(inHandOf(owned))
      closeDirectLane(runtime, owned, lane.lost.reason)
      lanes.delete(owned)
    }
    lane.lost.addEventListener('abort', onLost, { once: true })
    // It may have gone before anyone listened.
    if (lane.lost.aborted) onLost()
    if (suspected.has(lane.id)) await takeSuspects(owned)
    while (!owned.closed && !signal.aborted) {
      const batch = await take(lane, signal)
      if (batch.some(isSuspect)) return giveBack(owned)
      accept(owned, batch)
      await runtime.breathe()
    }
  }

  /** Its suspects wait their turn: beside one that ends the process they would be counted as started with it. Released, they are not. */
  async function giveBack({ lane, settled }: DirectLane): Promise<void> {
    suspected.add(lane.id)
    await settled()
    await lane
      .release()
      .catch((error: unknown) =>
        log.warn('cannot give a lane back; it comes back by itself', { lane: lane.id, error: toError(error).message }),
      )
  }

  /**
   * What dead owners may have started comes first, each message alone, and in this process one at a time over all handlers. So a handler that
   * ends its process ends it a bounded number of times, and takes no bystander along.
   */
  async function takeSuspects(owned: DirectLane): Promise<void> {
    let withinMs = suspectWithinMs.first
    let more = true
    while (more && !owned.closed && !signal.aborted) {
      // Not within the turn: handlers that run must not wait for what waits here.
      await resumed.promise
      more = await runtime.suspects.turn(() => takeSuspect(owned, withinMs))
      withinMs = suspectWithinMs.next
    }
    owned.onIdle = undefined
    owned.alone = false
    suspected.delete(owned.lane.id)
  }

  /** False when there is none left. */
  async function takeSuspect(owned: DirectLane, withinMs: number): Promise<boolean> {
    if (paused) return true
    // Else a pause has left the last one in hand.
    if (owned.lines.size === 0) {
      const batch = await take(owned.lane, AbortSignal.any([signal, AbortSignal.timeout(withinMs)]))
      owned.held = batch.some(isSuspect)
      owned.alone = owned.held
      accept(owned, batch)
      if (!owned.held) return false
    }
    // It was out alone when an owner ended: it is the likely one, and nobody is to be counted with it.
    if (inHandOf(owned).some(({ deliveries }) => deliveries > aloneAbove + 1)) await runtime.suspects.untilDurable()
    crew.hold(owned, false)
    const look = () => owned.onIdle?.()
    signal.addEventListener('abort', look, { once: true })
    const isLeft = () => owned.lines.size > 0 && !owned.closed && !signal.aborted
    // One that waits for `resume` must not keep the turn from other handlers.
    while (isLeft() && (!paused || crew.isBusy(owned))) {
      await new Promise<void>((resolve) => {
        owned.onIdle = resolve
      })
    }
    signal.removeEventListener('abort', look)
    // It has to have its turn again.
    if (isLeft()) crew.hold(owned, true)
    else runtime.suspects.settled()
    return true
  }

  async function take(lane: Lane, until: AbortSignal): Promise<readonly Received[]> {
    try {
      return interrupted.forgive(await lane.take(takeSize, until))
    } catch (error) {
      const facts = { handler: config.name, lane: lane.id, error: toError(error).message }
      if (!signal.aborted && !lane.lost.aborted) log.warn('cannot take from a lane; trying again', facts)
      await delay(againMs, undefined, { signal: AbortSignal.any([signal, lane.lost]) }).catch(() => {})
      return []
    }
  }

  /** What is not for this handler is done; nobody can say that of one without a type, so it is. */
  function accept(owned: DirectLane, batch: readonly Received[]): void {
    if (owned.closed) interrupted.lost(batch)
    if (owned.closed || batch.length === 0) return
    const isWanted = (message: Received) => {
      const type = typeOfReceived(message)
      return type === '' || config.wanted.matches(type)
    }
    const wanted = batch.filter(isWanted)
    if (wanted.length < batch.length) owned.settle(batch.filter((message) => !isWanted(message)))
    if (wanted.length > 0) crew.add(owned, wanted)
  }

  function applyWaits(): void {
    const state = waits.paused || waits.down
    if (state && !paused) resumed = Promise.withResolvers()
    paused = state
    crew.pause(state)
    if (state) for (const owned of lanes) owned.onIdle?.()
    else resumed.resolve()
  }

  runtime.check?.begin((isDown) => {
    waits.down = isDown
    applyWaits()
  })
  const running = run()

  return {
    handler: config.name,
    joined: joined.promise,
    pause(state) {
      waits.paused = state
      runtime.meter.paused(state)
      applyWaits()
    },
    async drain() {
      runtime.breaker.stop()
      const ended = crew.stop()
      stopping.abort(new EvtError('interrupted', `${config.name} stops`))
      resumed.resolve()
      await ended
      const all = [...lanes]
      await Promise.all(all.map((owned) => owned.settled()))
      for (const owned of all) closeDirectLane(runtime, owned, signal.reason)
      await Promise.all(all.map(({ lane }) => lane.release().catch(() => {})))
      await running
      joined.resolve()
    },
    force(reason) {
      for (const owned of lanes) closeDirectLane(runtime, owned, reason)
    },
  }
}

const inHandOf = ({ lines }: DirectLane) =>
  [...lines.values()].flatMap(({ jobs }) => jobs.map(({ message }) => message))
