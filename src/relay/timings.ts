/** All in milliseconds. */
export interface RelayTimings {
  /** A leader that does not renew for this long is replaced. */
  readonly lease: number
  readonly renew: number
  /** How often a standby looks whether it may lead. */
  readonly standby: number
  /** Between two steps when something happens. */
  readonly busyGap: number
  /** Steps without an event before it parks. */
  readonly emptySteps: number
  /** Longest time between two looks while parked, with and without working notifications. */
  readonly backstop: number
  readonly blindBackstop: number
  /** Between two rounds of upkeep. */
  readonly upkeep: number
  /** How long the step under way may take when told to stop; then it is cut off, and whoever leads next repeats it. */
  readonly stopping: number
}

export const defaultTimings: RelayTimings = {
  lease: 2_500,
  renew: 600,
  standby: 500,
  busyGap: 2,
  emptySteps: 5,
  backstop: 250,
  blindBackstop: 30,
  upkeep: 60_000,
  stopping: 2_000,
}
