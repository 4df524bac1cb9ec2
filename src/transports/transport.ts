// Room transports: the contract that every substrate fulfils, and one folder for each. Knows bytes, topics and lanes;
// may not know handlers, contracts or commands. `test/transports/conformance.ts` holds every promise below.
import type { EvtError } from '../core/errors.ts'
import type { History } from '../core/history.ts'

export type Headers = Readonly<Record<string, string>>

/** Where an event stands in the store's log: dense, starting at 1. */
export type LogPosition = bigint

export interface Message {
  readonly id: string
  /** The ordering key (the event's subject); null has no order. */
  readonly key: string | null
  readonly headers: Headers
  readonly body: Uint8Array
  /** Set when the message comes from the store's log; consumers drop what is not after the last one they settled. */
  readonly log?: LogPosition
  /** Which log the position is of; positions of different logs are never compared. Absent: there is only one. */
  readonly logId?: string
  /** It has no body at all; `body` is empty then. Where keys are compacted, its key is deleted. */
  readonly isTombstone?: true
}

export interface Received extends Message {
  readonly topic: string
  /** Opaque position in the lane; what `inspect` prints and `Selector.from` takes. */
  readonly at: string
  /** When the substrate stored it, ms since the epoch. */
  readonly timeMs?: number
  /** When the log sequenced it, ms since the epoch. */
  readonly sequencedMs?: number
  /**
   * 1 for a first delivery. Above 1: earlier owners may have started it and died; count it durably before running it. Above 2 such a message comes
   * alone: `take` hands out nothing else of the lane until it is settled. With 2 it comes with at most `LaneOptions.suspects` of its kind, nothing else.
   */
  readonly deliveries: number
}

export type Published =
  /** `at` is absent where the substrate orders later (the log: an event gets its position when it is sequenced). */
  | { readonly state: 'stored' | 'duplicate'; readonly at?: string }
  | { readonly state: 'refused' | 'unknown'; readonly error: EvtError }

/** What a lane owner writes through when effects and position must commit together. */
export interface SqlExecutor {
  query(text: string, values?: readonly unknown[]): Promise<{ readonly rows: readonly Record<string, unknown>[] }>
}

/**
 * An ordered shard of a topic that one consumer owns alone, for a while.
 * There is no nack and no delay: the runtime retries inside the lane, or parks the subject in the store, and settles.
 * When other members need a share, the transport hands out nothing more, waits for what is unsettled (bounded), releases
 * the lane by itself and aborts `lost`.
 */
export interface Lane {
  readonly id: string
  /** Grows with every change of owner; fences what an earlier owner still tries to commit. */
  readonly epoch: bigint
  /** Aborted when the lane was taken away or released. After it, nothing this owner commits has an effect. */
  readonly lost: AbortSignal
  /**
   * Waits for at least one message; [] once the lane is lost or released, or when `signal` aborts. Unsettled messages never
   * exceed the prefetch: at it, `take` waits for a settle. One `take` of a lane at a time.
   */
  take(max: number, signal: AbortSignal): Promise<readonly Received[]>
  /**
   * Finished, dead or parked elsewhere: any order, idempotent, no effect once the lane is lost. The durable position only ever
   * covers a settled prefix and may follow later (within a second, and at `release`): after a crash, settled messages may come again.
   */
  settle(done: readonly Received[]): Promise<void>
  /**
   * Gives the lane back: the settled prefix is durable afterwards, what is after it goes to the next owner, in
   * order; while this member's iteration of lanes goes on, that may be itself. Idempotent.
   */
  release(): Promise<void>
}

/** The settled part of one lane, to commit inside a transaction of the caller. */
export interface LaneProgress {
  readonly lane: Lane
  /** May be empty: then only the ownership of the lane is checked, and held until the transaction ends. */
  readonly done: readonly Received[]
}

export interface LaneOptions {
  /** Unsettled messages that one lane may hand out. */
  readonly prefetch: number
  /** Of what one dead owner may have started, so many may be out together, at most; default 1. A transport may hand out fewer. */
  readonly suspects?: number
  /** Only types (header `ce-type`) that match one of these; a substrate that cannot filter hands out all. The pattern language of core. */
  readonly patterns: readonly string[]
  /** Where a group that never existed starts. */
  readonly start: 'earliest' | 'latest'
  /** Ordered shards of the group, fixed when it is created. Where the publisher shards (streams, queues, partitions), the topic's count counts. */
  readonly lanes: number
  /** Names this process among the group's members. */
  readonly member: string
  readonly signal: AbortSignal
}

export interface Selector {
  readonly topics: readonly string[]
  readonly patterns: readonly string[]
}

export interface ObserveOptions {
  /** `now`, `start`, a time in ms since the epoch, or a position: that one is shown too. */
  readonly from: 'now' | 'start' | { readonly timeMs: number } | { readonly position: string }
  /** Ends the iteration when what existed at the start has been shown. */
  readonly follow: boolean
  readonly signal: AbortSignal
}

export interface TopicSpec {
  readonly name: string
  readonly lanes: number
}

export interface Difference {
  readonly topic: string
  readonly problem: string
  readonly remedy: string
  /** It is missing, and `create` does not make it: it is for others to make. */
  readonly madeElsewhere?: true
}

export interface GroupState {
  readonly group: string
  readonly topic: string
  /** Messages after the group's settled positions, wanted or not. */
  readonly lagMessages: number
  /** Members elsewhere may hold more, handed out and not settled: the substrate tells only what waits. */
  readonly lagIsLeast?: true
  /** Age of the oldest unsettled message; undefined when there is none. */
  readonly oldestAgeMs?: number
  readonly members: number
}

/** Something about the server that will cost messages or speed one day: an eviction policy, no persistence, a replica. */
export interface ServerProblem {
  readonly problem: string
  readonly remedy: string
}

/** A message that was given up, where the substrate itself keeps it. */
export interface BuriedMessage {
  /** Names it within its dead-letter topic, for as long as it lies there. */
  readonly id: string
  /** As it was first published: without what its death added. Undecodable ones too. */
  readonly message: Message
  /** Where it came from, as far as the grave says; without `topic` a replay has to be told where to. */
  readonly origin: { readonly topic?: string; readonly at?: string; readonly group?: string }
  readonly error?: { readonly class: string; readonly message: string; readonly stack?: string }
  readonly attempts?: number
  /** When it died, ms since the epoch. */
  readonly deadMs?: number
}

export interface Burial {
  readonly message: Received
  readonly group: string
  readonly error: { readonly class: string; readonly message: string }
  readonly attempts: number
}

/** Dead letters in the substrate: what a topology without a store, and foreign systems, have. */
export interface DeadLetterTopics {
  /** The dead-letter topic of a topic: `orders` → `orders:dlq`, `orders-dlt`, … */
  nameOf(topic: string): string
  /** Durable when it answers `stored`; the caller then settles the original. Ids are kept. */
  bury(topic: string, burials: readonly Burial[], signal: AbortSignal): Promise<readonly Published[]>
  /** All that lie in this dead-letter topic (its own name), oldest first, foreign shapes too. Changes nothing; throws `refused` where it would. */
  list(deadLetterTopic: string, signal: AbortSignal): AsyncIterable<readonly BuriedMessage[]>
  /** Where `replay` hands them, in words, when handlers are not groups of that place: nobody can be watched there. */
  readonly replaysInto?: string
  /** Publishes these again, with their ids, to where they came from or to `to`; each leaves only when it was confirmed. One result an id, in
   * order; one that does not lie there is `refused`. Safe to repeat after a crash. */
  replay(
    deadLetterTopic: string,
    ids: readonly string[],
    options: { readonly to?: string; readonly headers?: Headers; readonly signal: AbortSignal },
  ): Promise<readonly Published[]>
  /** Where `list` refuses: how many lie there, and the place beside it to look at them; undefined where it looks. */
  beside?(deadLetterTopic: string): Promise<{ readonly messages: number; readonly to: string } | undefined>
  /** Moves all of them there; how many. Each leaves its place when it was confirmed in the other; safe to repeat after a crash. */
  moveBeside?(deadLetterTopic: string, signal: AbortSignal): Promise<number>
}

/** Writes entries of the log to one topic, for one leader: fenced, idempotent by position, a prefix per lane. */
export interface LogAppender {
  /**
   * How far the substrate has the log: every entry up to it is stored, or was and is done with. 0n for nothing. It is the substrate's own
   * word, asked anew each time: after a fail-over or a loss it is lower than before, and the relay goes on from there.
   */
  mark(): Promise<LogPosition>
  /**
   * Appends, in log order, what is after its lane's own mark; the rest is `duplicate`. `through`: no entry for this topic up to there
   * is missing; marks may move to it. Throws `fenced` when a later epoch was here; then nothing of the lane was written.
   */
  append(batch: readonly Message[], through: LogPosition, signal: AbortSignal): Promise<readonly Published[]>
  close(): Promise<void>
}

export interface Inspection {
  readonly topics: readonly {
    readonly topic: string
    readonly messages: number
    readonly head: string
    readonly lastTimeMs?: number
  }[]
  readonly groups: readonly GroupState[]
}

/** What a substrate can promise. The conformance suite skips, by name, what is not promised here. */
export interface Capabilities {
  /** Messages of one key reach a group in the order of publishing. */
  readonly order: 'per-key' | 'none'
  /** A message survives the death of this process. */
  readonly durable: boolean
  /** A group that starts later can read what was published before. Without it, a group gets what follows its first `lanes()`. */
  readonly history: boolean
  /** `publish` recognises a message id that it stored before. */
  readonly deduplicates: boolean
  /** `settleIn` exists: position and effects commit in one transaction. */
  readonly transactional: boolean
  /** Several members may share a group. */
  readonly shared: boolean
  /** What a dead owner may have started comes with `deliveries` above 1, and nothing else does. Without it, that is always 1. */
  readonly marksStarted: boolean
  /** `bytes`: any body, any header. `events`: CloudEvents in binary mode (`ce-` headers) with a JSON body, and nothing else. */
  readonly content: 'bytes' | 'events'
  /** Where `observe` can start, besides now. */
  readonly seeks: readonly ('start' | 'time' | 'position')[]
  /** `openLog` exists: a sink that goes on from its own mark. Without it the relay's cursor counts, and consumers see what follows it again after a crash. */
  readonly ownMark: boolean
  /** `deadLetters` exists. */
  readonly deadLetters: boolean
  /** `remove` exists. */
  readonly removes: boolean
}

export interface TransportOptions {
  /** Something behind the lanes fails and is tried again, other than a server that is away: once for each message, which says what is lost. */
  readonly onProblem?: ((error: Error) => void) | undefined
  /** For who writes there for long: what `checkServer` finds, once, soon after the start. */
  readonly onServerProblem?: ((problem: ServerProblem) => void) | undefined
  /** The log behind a sink, from which what the substrate lost is fetched: entries with `after < log <= through`, in order. */
  readonly readLog?: ((after: LogPosition, through: LogPosition) => AsyncIterable<readonly Message[]>) | undefined
  /** Lanes of the log get no more than this. */
  readonly history?: History | undefined
}

/** A connected substrate. Methods may be called concurrently; errors of drivers arrive as EvtError. */
export interface Transport {
  readonly name: string
  readonly capabilities: Capabilities
  /** What the URL names (`?stream=`, a path), in the words that `topics` takes everywhere; patterns of the substrate only for `observe`. */
  readonly named: readonly string[]
  /** What people write there between the parts of a topic's name; `.` when absent. */
  readonly separator?: string
  readonly isNowhere?: true // It takes everything and keeps nothing.
  /** How it observes, in the substrate's words, for the operator: `XREAD, no group`. */
  readonly observes: string
  /** What is wrong with the server, as far as this user may ask. Absent where nothing can be. */
  checkServer?(): Promise<readonly ServerProblem[]>
  /** Compares what exists with the specification; `create` also makes what is missing. Never changes what exists. */
  ensure(topics: readonly TopicSpec[], mode: 'check' | 'create'): Promise<readonly Difference[]>
  /** One result a message. Per lane a prefix is stored: nothing after a refusal. An abort gives `unknown`, never a throw. */
  publish(topic: string, batch: readonly Message[], signal: AbortSignal): Promise<readonly Published[]>
  /**
   * Lanes as this member becomes their owner; ends when `signal` aborts, and then claims no more: lanes in hand stay owned
   * until they are released, so that they can be drained. A dead member's lanes move within seconds.
   * Absent where the substrate can only be observed.
   */
  lanes?(topics: readonly string[], group: string, options: LaneOptions): AsyncIterable<Lane>
  /** Makes the group, where there is no history: what is published from then on reaches it, also while no member of it runs. */
  join?(topics: readonly string[], group: string, options: LaneOptions): Promise<void>
  /**
   * Settles inside the caller's transaction; throws `fenced` when a lane is no longer owned. Its statements are sent before it
   * returns, and one that is refused fails the transaction in the server: the caller may send its commit behind them without
   * waiting. After the commit call `lane.settle(done)` (only then do the messages leave the prefetch); after a rollback do not.
   * Needs `transactional`.
   */
  settleIn?(sql: SqlExecutor, progress: readonly LaneProgress[]): Promise<void>
  /** Looks without a trace: joins no group, acknowledges nothing, writes nothing. */
  observe(selector: Selector, options: ObserveOptions): AsyncIterable<readonly Received[]>
  inspect(topics: readonly string[]): Promise<Inspection>
  /** Product and version of the server, for the reader of a report: `Redis 7.0.15`. Absent where there is no server. */
  about?(): Promise<string>
  /** Removes topics that `ensure` made, with messages, groups and dead letters, and nothing of somebody else's; idempotent. Needs `removes`. */
  remove?(topics: readonly string[]): Promise<void>
  /** What a reader could leave behind: groups, offsets, pending entries, queues, locks. Equal before and after an `observe`. Absent where there is no server. */
  footprint?(topics: readonly string[]): Promise<Readonly<Record<string, string>>>
  /** For the relay; the lease's epoch fences. Throws `fenced`. Needs `ownMark`. */
  openLog?(topic: string, epoch: bigint): Promise<LogAppender>
  readonly deadLetters?: DeadLetterTopics
  /** Releases every lane. Idempotent; works while calls are blocked: they end. */
  close(): Promise<void>
}
