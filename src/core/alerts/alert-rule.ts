export const severities = ['info', 'warning', 'critical'] as const
export type Severity = (typeof severities)[number]

/** What events of a pattern rule have in common: those are counted and followed on their own. */
export const groupings = ['all', 'subject', 'correlation', 'user', 'tenant'] as const
export type Grouping = (typeof groupings)[number]

/** A pattern of types, or types and an expression as of `evt tail --where`. */
export type EventSelector = string | { readonly type: string | readonly string[]; readonly where?: string | undefined }

/** At least so many within the time. */
export interface CountCondition {
  readonly count: EventSelector
  readonly atLeast: number
  readonly within: string
  readonly by?: Grouping | undefined
}

/** One after the other, all within the time. */
export interface SequenceCondition {
  readonly sequence: readonly EventSelector[]
  readonly within: string
  readonly by?: Grouping | undefined
}

/** With `after`: what should follow it did not within the time. Without: nothing came for that time. */
export interface AbsenceCondition {
  readonly missing: EventSelector
  readonly after?: EventSelector | undefined
  /** May be left out without `after`: then each type that came regularly is expected as it used to come. */
  readonly within?: string | undefined
  readonly by?: Grouping | undefined
}

export type EventCondition = CountCondition | SequenceCondition | AbsenceCondition

export interface AlertRule {
  /** One of the built-in rules' names changes that rule, field by field. */
  readonly name: string
  /**
   * When it fires: an expression over what is measured (`handler.failedPerMinute > 5`; with `handler.`, `sink.`, `saga.` or `bridge.` for each of
   * them), or a pattern of events.
   */
  readonly when?: string | EventCondition | undefined
  /** How long that has to hold; default at once. */
  readonly for?: string | undefined
  /** Default 'warning'. */
  readonly severity?: Severity | undefined
  /** `log`, `event` (`alert.raised`, `alert.resolved`) or the URL of a webhook; default log alone. */
  readonly to?: readonly string[] | undefined
  /** While it fires it is told again after so long; default '1h'. */
  readonly repeat?: string | undefined
  /** Switches a rule off. */
  readonly off?: boolean | undefined
}
