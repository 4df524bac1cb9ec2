import { EvtError } from '../../core/errors.ts'
import type { EvtEvent } from '../../core/event.ts'
import type { Instant } from '../../core/instant.ts'
import { planTopics } from '../../core/layout.ts'
import { redactUrl } from '../../core/mask.ts'
import type { SinkOptions } from '../../core/sinks-and-sources.ts'
import type { ObservedEvent } from '../../store/observe.ts'
import type { StageReader } from '../../store/observe-stages.ts'
import type { Capabilities, Transport } from '../../transports/transport.ts'
import { requireStore } from '../line/store.ts'
import type { Runtime } from '../runtime.ts'
import { located } from './located.ts'
import type { Hops, Stages } from './stages.ts'
import { openStoreSource } from './store-source.ts'
import { openTransportSource } from './transport-source.ts'

/** One event on its way to the screen. `event.data` is parsed when it is first looked at. */
export interface Seen {
  /** Of what cannot be decoded: what is known of it, the rest made up. */
  readonly event: EvtEvent
  /** Only of what cannot be decoded: its attributes as they stand. */
  readonly attributes?: Readonly<Record<string, string>>
  /** The JSON of `data` as it was stored; bytes that are no JSON as JSON text. */
  readonly dataText: string
  /** Where it was read: what NDJSON carries as `evt`. */
  readonly evt: {
    readonly transport: string
    readonly topic: string
    readonly position?: string
    /** When the source took it; the event's own time is another. RFC 3339. */
    readonly recordedAt: string
    /** It has no body at all; its data is null. `key` is what it deletes where keys are compacted. */
    readonly tombstone?: true
    readonly key?: string | null
    /** Why it cannot be decoded. */
    readonly error?: string
    /** With --explain: how it was decoded, and by which marks. */
    readonly dialect?: string
    readonly because?: string
    /** With --stages. */
    readonly stages?: Stages
  }
  /** In no known shape: shown as it is. */
  readonly isUnknown?: boolean
  /** Its row, when it comes from a store. */
  readonly stored?: ObservedEvent
  /** What its headers say of its way, when it comes from elsewhere. */
  readonly hops?: Hops
  /** When the source took it, ms since the epoch. */
  readonly recordedMs: number
}

export interface Span {
  readonly from: Instant
  readonly follow: boolean
  readonly signal: AbortSignal
  /** Called once, when nothing that is committed from then on can be missed. */
  readonly onReady: () => void
  /** While following: the source went away, and is asked until it is back. */
  readonly onLost: (error: EvtError) => void
  readonly onBack: () => void
}

export interface TailSource {
  /** For messages: a URL without its password. */
  readonly name: string
  /** How it observes: said when it starts. */
  readonly how: string
  /** Where it can start, besides now. */
  readonly seeks: Capabilities['seeks']
  /** What nobody hears is gone: it is read without waiting for the reader, and may be dropped. */
  readonly isLive: boolean
  /** What is recorded later comes later, over all that it has. */
  readonly isInOrder: boolean
  /** Its events come from several topics. */
  readonly hasTopics: boolean
  read(span: Span): AsyncIterable<readonly Seen[]>
  /** To be opened before `read`; absent where headers alone tell of stages. The caller closes it. */
  openStages?(): Promise<StageReader>
  /** What is known of it when nothing comes. */
  explain(): Promise<Quiet>
  /** What a reader could leave behind there; absent where it cannot be asked. */
  footprint?(): Promise<Readonly<Record<string, string>>>
  close(): Promise<void>
}

/** Facts about a source that shows nothing. */
export interface Quiet {
  readonly facts: string
  /** When its last event was recorded. */
  readonly lastMs?: number
  /** The last ones that are in its log, the oldest first. */
  readonly recent?: readonly Seen[]
}

export interface OpenOptions {
  /** Say of each event how it was decoded. */
  readonly explain: boolean
  now(): number
  /** Something is not as it should be, and reading goes on. */
  onProblem(error: Error, source: string): void
}

/**
 * A store's log, or with `?channel=` a NOTIFY channel; other schemes by their transport. Connects to all of them at once;
 * when one fails, closes the others and throws, naming each that failed.
 */
export async function openSources(places: readonly Place[], options: OpenOptions): Promise<readonly TailSource[]> {
  const opened = await Promise.allSettled(places.map((place) => openSource(place, options)))
  const failed = opened.flatMap((result, i) =>
    result.status === 'rejected' ? [located(result.reason, redactUrl(places[i]?.url ?? ''))] : [],
  )
  const sources = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  if (failed.length === 0) return sources
  await Promise.allSettled(sources.map((source) => source.close()))
  throw together(failed)
}

async function openSource(place: Place, options: OpenOptions): Promise<TailSource> {
  const isStore = /^postgres(ql)?:/.test(place.url) && !/[?&]channel=/.test(place.url)
  return isStore ? openStoreSource(place.url, options) : openTransportSource(place, options)
}

/** A wrong word in a URL before a server that is away: it stays wrong. */
function together(failed: readonly Error[]): Error {
  const isUsage = (error: Error) => error instanceof EvtError && error.code === 'usage'
  const first = failed.find(isUsage) ?? (failed[0] as Error)
  const others = failed.filter((error) => error !== first).map(({ message }) => message)
  if (others.length === 0 || !(first instanceof EvtError)) return first
  return new EvtError(first.code, `${first.message}; and ${others.join('; and ')}`, {
    ...(first.hint === undefined ? {} : { hint: first.hint }),
    cause: first,
  })
}

/** What is tailed: a URL, and where the configuration says so, other topics than those that it names. */
export interface Place {
  readonly url: string
  /** Names the topics where the URL names none, or other ones. */
  readonly topicsOf?: (transport: Transport) => readonly string[]
}

/**
 * `--source` as URLs, names of the configuration's sources and sinks, and `store`; else the store. Throws `usage` for what is neither and for
 * one that is given twice.
 */
export async function placesOf(given: readonly string[], runtime: Runtime): Promise<readonly Place[]> {
  const named = configuredPlaces(runtime)
  const ofStore = async () => ({ url: (await requireStore(runtime)).url })
  const places = await Promise.all(
    given.map(async (word) => named.get(word) ?? (storeNames.includes(word) ? await ofStore() : { url: word })),
  )
  for (const { url } of places) {
    if (hasHiddenPassword(url))
      throw new EvtError(
        'usage',
        `cannot tail ${redactUrl(url)}: its password was replaced by *** when it was printed`,
        {
          hint: '-s store is the store in use; else write the URL with its password, or name it in the configuration',
        },
      )
    if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(url))
      throw new EvtError('usage', `cannot tail ${redactUrl(url)}: it is no URL`, {
        hint: `such as redis://host/0?stream=user.events, or postgres://host/database?channel=user_events; -s store is the store in use${
          named.size > 0 ? `; the configuration names ${[...named.keys()].join(', ')}` : ''
        }`,
      })
  }
  const twice = places.find(({ url }, i) => places.findIndex((place) => place.url === url) !== i)
  if (twice)
    throw new EvtError('usage', `cannot tail ${redactUrl(twice.url)} twice: each of its events would come twice`)
  return places.length > 0 ? places : [await ofStore()]
}

/** The configured store, else the embedded one that runs. */
const storeNames: readonly string[] = ['store', 'embedded']

const hasHiddenPassword = (url: string): boolean =>
  /^[a-z][a-z0-9+.-]*:\/\/(?:\*{3}|[^@/?#]*:\*{3}@)|[?&]password=\*{3}(?:&|$)/i.test(url)

function configuredPlaces({ config }: Runtime): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>()
  for (const sink of config.get('sinks').value) places.set(sink.name, { url: sink.url, topicsOf: sinkTopics(sink) })
  for (const { name, url, topic } of config.get('sources').value)
    places.set(name, topic === undefined ? { url } : { url, topicsOf: () => [topic].flat() })
  return places
}

/** Those that the relay writes; of a topic for each type, all by a glob. */
const sinkTopics =
  (sink: SinkOptions) =>
  ({ named, separator }: Transport): readonly string[] => {
    if (sink.topic === undefined && sink.layout !== 'per-type' && named.length > 0) return named
    const plan = planTopics({ ...sink, separator })
    return plan.fixed ?? [plan.topicOf('*')]
  }
