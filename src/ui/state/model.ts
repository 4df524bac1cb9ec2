// Room ui/state: what the dashboard knows and how it changes, without React, Ink, clocks or servers: `update` is a pure
// function of model and action.
import type { Snapshot } from '../../watch/snapshot.ts'
import type { Window } from '../../watch/window.ts'

/** In the order of Tab. */
export const panels = ['handlers', 'backlog', 'dead', 'tail'] as const
export type Panel = (typeof panels)[number]

/** In the order of `s`. */
export const sortKeys = ['name', 'rate', 'p99', 'errors', 'lag'] as const
export type SortKey = (typeof sortKeys)[number]

/** One event of the live tail. */
export interface TailLine {
  readonly id: string
  /** When it was stored, ms since the epoch. */
  readonly timeMs: number
  readonly type: string
  readonly subject: string
  readonly position: string
  /** One line of JSON, untrusted. */
  readonly data: string
}

/** What was last heard, and the rates of the seconds before: one point a snapshot. */
export interface History {
  readonly sequencedPerSecond: readonly number[]
  readonly handledPerSecond: readonly number[]
  readonly failedPerSecond: readonly number[]
  readonly byHandler: ReadonlyMap<string, readonly number[]>
}

/** A handler's name, a cause, or a line of the tail itself: the tail forgets. */
export type Opened = { readonly key: string } | { readonly line: TailLine }

export interface Model {
  readonly snapshots: readonly Snapshot[]
  /** Over the last `windowSnapshots` snapshots; undefined before the second one. */
  readonly window: Window | undefined
  readonly history: History
  readonly tail: readonly TailLine[]
  /** Events that the feed left out because they came faster than they can be shown. */
  readonly tailSkipped: number
  readonly focus: Panel
  readonly selected: Readonly<Record<Panel, number>>
  readonly sort: SortKey
  readonly filter: string
  /** The filter while it is typed; undefined when it is not. */
  readonly typing: string | undefined
  /** Why the filter was not taken. */
  readonly filterError: string | undefined
  /** Frozen: what came since is counted, not shown. */
  readonly paused: { readonly newEvents: number } | undefined
  readonly overlay: 'help' | 'detail' | undefined
  /** What the details are of, whatever moves or leaves its panel meanwhile. */
  readonly opened: Opened | undefined
  readonly scroll: number
  /** Lines of the overlay that do not fit the screen: as far as it scrolls. Reported by whoever draws. */
  readonly overflow: number
  /** What the feed could not reach; what is on screen is then old. */
  readonly trouble: string | undefined
  /** How often the operator asked for the shell. */
  readonly suspensions: number
  /** Asked to end. */
  readonly quitting: boolean
}

/** Ten seconds of snapshots: long enough for a p99, short enough to follow an incident. */
export const windowSnapshots = 10
export const historyPoints = 60
export const tailLines = 500

export function createModel(): Model {
  return {
    snapshots: [],
    window: undefined,
    history: { sequencedPerSecond: [], handledPerSecond: [], failedPerSecond: [], byHandler: new Map() },
    tail: [],
    tailSkipped: 0,
    focus: 'handlers',
    selected: { handlers: 0, backlog: 0, dead: 0, tail: 0 },
    sort: 'name',
    filter: '',
    typing: undefined,
    filterError: undefined,
    paused: undefined,
    overlay: undefined,
    opened: undefined,
    scroll: 0,
    overflow: 0,
    trouble: undefined,
    suspensions: 0,
    quitting: false,
  }
}
