import { setTimeout as delay } from 'node:timers/promises'
import { formatAge } from '../../core/duration.ts'
import { EvtError } from '../../core/errors.ts'
import { timesHeader } from '../../relay/encode.ts'
import type { EventStages, StageReader } from '../../store/observe-stages.ts'
import type { Received } from '../../transports/transport.ts'
import type { Seen } from './source.ts'

/** Where an event's time went, ms; null is what nobody measured, or not yet. */
export interface Stages {
  /** Written → sequenced. */
  readonly relayMs: number | null
  /** Sequenced → stored by the broker; only of what was read there. */
  readonly sinkMs?: number | null
  readonly handlers: readonly {
    readonly handler: string
    /** Sequenced → the handler's transaction began. */
    readonly deliverMs: number | null
    /** → committed. */
    readonly handleMs: number | null
  }[]
}

/** What the headers of a relayed event say of its way, ms since the epoch. */
export interface Hops {
  readonly writtenMs?: number
  readonly sequencedMs?: number
  readonly storedMs?: number
}

/** Undefined for an event that no relay of ours carried. */
export function hopsOf({ headers, sequencedMs, timeMs }: Received): Hops | undefined {
  const times = headers[timesHeader]
  if (times === undefined && sequencedMs === undefined) return undefined
  const [written, sequenced] = (times ?? '').split('/').map(Number)
  const knownMs = Number.isFinite(sequenced) ? sequenced : sequencedMs
  if (knownMs === undefined) return undefined
  return {
    ...(written !== undefined && Number.isFinite(written) ? { writtenMs: written } : {}),
    sequencedMs: knownMs,
    ...(timeMs === undefined ? {} : { storedMs: timeMs }),
  }
}

/** As far as headers tell: what handlers did is known to no broker. */
export const withHops = (seen: Seen): Seen => ({
  ...seen,
  evt: {
    ...seen.evt,
    stages: {
      relayMs: between(seen.hops?.writtenMs, seen.hops?.sequencedMs),
      sinkMs: between(seen.hops?.sequencedMs, seen.hops?.storedMs),
      handlers: [],
    },
  },
})

/** How long after it was written a followed event is shown: what handlers do within is known by then. */
export const settleMs = 2_000

/** For the start-up line: what is measured, and what is not. */
export const stagesText = ({ knowsCommits }: StageReader) =>
  `stages: relay is written → sequenced, deliver → the handler's transaction began, handle → it committed${
    knowsCommits ? '' : ', unknown: this server keeps no commit times (track_commit_timestamp is off)'
  }; shown ${formatAge(settleMs)} after it was written`

export interface Settling {
  /** Waits until all of them are old enough. */
  readonly follow: boolean
  /** Ends the wait: then what is known now is all. */
  readonly signal: AbortSignal
}

/** The same events with `evt.stages`. While following, a store that is away leaves all of them unknown. */
export async function withStages(
  reader: StageReader,
  batch: readonly Seen[],
  { follow, signal }: Settling,
): Promise<readonly Seen[]> {
  if (batch.length === 0) return batch
  const events = batch.map(({ event, stored }) => ({ ...placeOf(stored), id: event.id, time: event.time }))
  const read = () => reader.read(events).catch((error: unknown) => awayUnless(follow, error))
  let known = await read()
  const youngestMs = batch.reduce((youngest, { recordedMs }) => Math.max(youngest, recordedMs), 0)
  const waitMs = known ? Math.min(settleMs, youngestMs + settleMs - known.nowMs) : settleMs
  if (follow && waitMs > 0) {
    await delay(waitMs, undefined, { signal }).catch(() => {})
    known = await read()
  }
  return batch.map((seen, i) => staged(seen, known?.stages[i] ?? { sequenced: undefined, handlers: [] }))
}

function awayUnless(follow: boolean, error: unknown): undefined {
  if (!follow || !(error instanceof EvtError) || error.code !== 'connect') throw error
}

const placeOf = (stored: Seen['stored']) => ({
  position: stored?.position,
  sequencedMs: stored?.sequencedMs,
  seq: stored?.seq,
})

function staged(seen: Seen, { sequenced, handlers }: EventStages): Seen {
  const stages: Stages = {
    relayMs: between(seen.recordedMs, sequenced?.atMs),
    handlers: handlers.map(({ handler, begunMs, committedMs }) => ({
      handler,
      deliverMs: between(sequenced?.atMs, begunMs),
      handleMs: between(begunMs, committedMs),
    })),
  }
  const position = sequenced ? { position: String(sequenced.position) } : {}
  return { ...seen, evt: { ...seen.evt, ...position, stages } }
}

const between = (fromMs: number | undefined, toMs: number | undefined) =>
  fromMs === undefined || toMs === undefined ? null : Number((toMs - fromMs).toFixed(3))

/** `+2ms relay +9ms deliver +41ms handle (icons.usage, the last of 4)`; `?` for what is not known. */
export function renderStages({ relayMs, sinkMs, handlers }: Stages): string {
  const last = handlers.reduce<Stages['handlers'][number] | undefined>(
    (latest, one) => (latest && endOf(latest) > endOf(one) ? latest : one),
    undefined,
  )
  const who = last && ` (${last.handler}${handlers.length > 1 ? `, the last of ${handlers.length}` : ''})`
  const sink = sinkMs === undefined ? [] : [hop('sink', sinkMs)]
  const hops = [hop('relay', relayMs), ...sink, hop('deliver', last?.deliverMs), hop('handle', last?.handleMs)]
  return `${hops.join(' ')}${who ?? ''}`
}

const endOf = ({ deliverMs, handleMs }: Stages['handlers'][number]) => (deliverMs ?? 0) + (handleMs ?? 0)

const hop = (name: string, ms: number | null | undefined) =>
  ms === null || ms === undefined ? `${name} ?` : `+${formatAge(ms)} ${name}`
