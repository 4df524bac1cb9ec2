import { formatDuration } from '../../core/duration.ts'
import type { Expectation } from '../../generators/scenario/program.ts'

/** `account.deleted where data.user_id == "…" within 5s`. */
export const shownExpectation = ({ pattern, where, withinMs }: Expectation): string =>
  `${pattern}${where === undefined ? '' : ` where ${where}`} within ${formatDuration(withinMs)}`
