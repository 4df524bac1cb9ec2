import type { EvtError } from '../core/errors.ts'

/** What became of one event that was published outside of a transaction. */
export type PublishOutcome =
  /** The broker has said that it holds the event; `duplicate`: it held this id before. */
  | { readonly state: 'stored' | 'duplicate'; readonly id: string; readonly at?: string }
  /** Publishing is switched off, `EVENT_BUS_TYPE=noop`: nothing was sent, and nothing was looked at. */
  | { readonly state: 'unsent'; readonly id: undefined }
  /**
   * `refused`: it is nowhere, and trying again as it is would not help. `unknown`: the broker did not answer in time; it may
   * be there. Publishing it again under the same id is then safe: handlers know the id. `id` is absent where the event is none.
   */
  | {
      readonly state: 'refused' | 'unknown'
      readonly id: string | undefined
      readonly error: EvtError
      /** It lies with its reason where dead letters are. */
      readonly isDeadLetter?: true
    }
