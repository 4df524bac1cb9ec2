// Room serve: HTTP as a door to publishing and watching. It knows fastify, and of the bridge only what is handed to it here.
import type { EvtError } from '../core/errors.ts'
import type { NewEvent } from '../core/event.ts'
import type { Masker } from '../core/masker.ts'
import type { HandlerLog } from '../handle/handler.ts'
import type { LogReader } from '../store/log.ts'
import type { LiveToken } from '../store/tokens.ts'

/** One event of a request, or what is wrong with it. */
export type Candidate =
  /** `dataText`: the JSON of the data where parsing it lost digits. */
  | { readonly event: NewEvent; readonly dataText?: string | undefined }
  | { readonly id?: string | undefined; readonly error: EvtError }

/** What became of it. `stored`: committed. The sequencer drops a second one that was committed before the first was sequenced. */
export type Outcome =
  | { readonly id: string; readonly outcome: 'stored' | 'duplicate' }
  | {
      readonly id?: string | undefined
      readonly outcome: 'refused'
      readonly code: string
      readonly reason: string
      readonly hint?: string | undefined
    }

export interface Denial {
  /** A token's name, or an address. Never a token. */
  readonly who: string
  readonly target: string
  readonly reason: string
}

/** Taking events in, and following the log. */
export interface EventPorts {
  /** All that is not refused is committed when it resolves, in one statement. Throws what the store throws. */
  publish(given: readonly Candidate[], mayPublish: (type: string) => boolean): Promise<readonly Outcome[]>
  readonly log: Pick<LogReader, 'read' | 'head' | 'positionAt' | 'start' | 'beyond'>
}

export interface HttpPorts {
  /** Absent: this process is only looked at. */
  readonly events?: EventPorts | undefined
  readonly tokens: {
    live(): Promise<readonly LiveToken[]>
    used(ids: readonly string[]): Promise<void>
  }
  /** Into the audit log: so many times since it was last told. */
  denied(denial: Denial, times: number): Promise<void>
  /** Why this process is not ready; [] when it is. */
  health(): Promise<readonly string[]>
  /** JSON: counters and mergeable histograms of this process. */
  stats(): unknown
  /** Prometheus' text, or what the query asks for. */
  metrics(query: { readonly accept?: string; readonly format?: string }): Promise<{
    readonly contentType: string
    readonly text: string
  }>
  /** Hides what is personal from everybody who follows the log. */
  readonly masker: Masker
  readonly version: string
  readonly report: HandlerLog
}
