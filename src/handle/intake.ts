import { setTimeout as delay } from 'node:timers/promises'
import { typeIn } from '../core/codec.ts'
import { toError } from '../core/errors.ts'
import { wakeHeld } from '../store/due.ts'
import { readBuried, readParked } from '../store/parked.ts'
import type { Lane } from '../transports/transport.ts'
import type { HandlerRuntime } from './handler-runtime.ts'
import { closeLane, createItem, createOwnedLane, lowWater, type OwnedLane } from './item.ts'
import { settle } from './settle.ts'
import { wallMs } from './wall-clock.ts'
import type { Workers } from './workers.ts'

const againMs = 100

/** Messages asked for at once. */
const takeSize = 200

/** Brings one lane's messages to the workers, from the moment we own it until it is lost or given back. */
export async function takeIn(
  runtime: HandlerRuntime,
  lane: Lane,
  at: { readonly workers: Workers; readonly signal: AbortSignal },
): Promise<OwnedLane | undefined> {
  const { workers, signal } = at
  const owned = await openLane(runtime, lane, signal)
  if (!owned) return undefined
  const onLost = () => {
    closeLane(owned, runtime.meter)
    workers.interrupt(lane.lost.reason, owned)
  }
  lane.lost.addEventListener('abort', onLost, { once: true })
  // It may have gone while we read, before anyone listened.
  if (lane.lost.aborted) onLost()
  workers.bind(owned)
  void pump(runtime, owned, at)
  return owned
}

/** What waits in this lane is known before its first message is looked at. */
async function openLane(runtime: HandlerRuntime, lane: Lane, signal: AbortSignal): Promise<OwnedLane | undefined> {
  const handler = runtime.config.name
  while (!signal.aborted && !lane.lost.aborted) {
    try {
      const heldFor = new Set(await wakeHeld(runtime.store, { handler, lane: lane.id }, runtime.preparer.isKnown))
      const parked = await readParked(runtime.store, handler, lane.id)
      // Where position and dead letter commit together, no dead letter comes again.
      const { transactional } = runtime.transport.capabilities
      const buried = transactional ? new Set<string>() : await readBuried(runtime.store, handler, lane.id)
      return createOwnedLane(lane, { parked, buried, heldFor })
    } catch (error) {
      runtime.log.warn('cannot read what waits in a lane; trying again', {
        handler,
        lane: lane.id,
        error: toError(error).message,
      })
      await runtime.storeIsBack()
    }
  }
  await lane.release().catch(() => {})
  return undefined
}

async function pump(
  runtime: HandlerRuntime,
  owned: OwnedLane,
  { workers, signal }: { readonly workers: Workers; readonly signal: AbortSignal },
): Promise<void> {
  const { lane, buffer } = owned
  while (!owned.closed && !signal.aborted && !lane.lost.aborted) {
    const batch = await lane.take(takeSize, signal).catch(async (error: unknown) => {
      runtime.log.warn('cannot take from a lane; trying again', {
        handler: runtime.config.name,
        lane: lane.id,
        error: toError(error).message,
      })
      await runtime.storeIsBack()
      return []
    })
    if (owned.closed) return
    if (batch.length === 0) {
      // The store may be well while the transport is not; and a lane that is being given back needs turns to end.
      await delay(againMs, undefined, { signal }).catch(() => {})
      continue
    }
    const takenMs = wallMs()
    // Where the substrate cannot filter: what nobody wants is settled, and so never comes again.
    const foreign = batch.filter(
      ({ id, headers }) => !runtime.config.wanted.matches(typeIn(headers)) || owned.buried.has(id),
    )
    if (foreign.length > 0) await settle(runtime, lane, foreign)
    const wanted = foreign.length === 0 ? batch : batch.filter((message) => !foreign.includes(message))
    for (const message of wanted) buffer.push(createItem(owned, message, takenMs))
    runtime.meter.taken(wanted.length)
    if (wanted.length > 0) workers.ring()
    // Many at once: a take costs the transport about as much as an event's transaction.
    if (buffer.length > lowWater) await new Promise<void>((resolve) => (owned.onLow = resolve))
  }
}
