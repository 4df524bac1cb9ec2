/** A flow of events as data: what one user, order or shift goes through, step by step. See docs/generating.md. */
export interface ScenarioDefinition {
  /** Lower-case letters, digits and hyphens: `evt gen scenario:NAME`. */
  readonly scenario: string
  readonly summary?: string | undefined
  readonly steps: readonly ScenarioStep[]
}

export type ScenarioStep = PublishStep | ThinkStep | ChooseStep | RepeatStep | ExpectStep | IncludeStep

/** An event: what `set` does not give is drawn from the contract, and is about the things that earlier steps were about. */
export interface PublishStep {
  /** A type, or `type@version`; without one the latest. */
  readonly publish: string
  /** A name for the event: later steps write `${name.data.user_id}`, `${name.subject}`, `${name.id}`. */
  readonly as?: string | undefined
  /**
   * Dotted paths of the event and their values. A text that is nothing but one reference becomes the value itself; elsewhere references
   * are put into the text. `$${` is a plain `${`.
   */
  readonly set?: Readonly<Record<string, unknown>> | undefined
  /** May refer to the event itself by its name. Default: from the contract's id field. */
  readonly subject?: string | undefined
  /** The name of the event that caused it. Default: the event of the scenario before it. */
  readonly causedBy?: string | undefined
}

/** Time that passes: `5s`, or between two times, `2s..30s`. */
export interface ThinkStep {
  readonly think: string
}

/** One of these, by shares that sum to 1. Names given in a branch are known in that branch. */
export interface ChooseStep {
  readonly choose: readonly { readonly share: number; readonly steps: readonly ScenarioStep[] }[]
}

/** So many times, or between two numbers, `3..8`. Names given in it are known in it. */
export interface RepeatStep {
  readonly repeat: number | string
  readonly steps: readonly ScenarioStep[]
}

/** Waits for an event of the system: where it does not come, the run ends with exit 1. */
export interface ExpectStep {
  /** A type or a pattern. */
  readonly expect: string
  /** An expression as `--where`, with references: `data.user_id == ${user.data.user_id}`. */
  readonly where?: string | undefined
  /** Default 5s. */
  readonly within?: string | undefined
}

/** The steps of another scenario, as if they stood here, with their names. */
export interface IncludeStep {
  readonly include: string
}
