import { EvtError } from '../../core/errors.ts'
import { createProblems, type Problems, type ProblemsOptions } from '../problems.ts'
import { isOutage, type RedisPlace, translateError } from './errors.ts'

export function createRedisProblems(
  init: Omit<ProblemsOptions, 'translate'> & { readonly place: RedisPlace },
): Problems {
  return createProblems({
    ...init,
    translate(thrown) {
      const error = translateError(thrown, init.place)
      return isOutage(thrown) || error.code === 'closed' || error.code === 'timeout' ? undefined : error
    },
  })
}

/** The log behind a lane is not at hand, and something is missing. */
export function missingEntries(topic: string, after: bigint, through: bigint): EvtError {
  return new EvtError(
    'conflict',
    `cannot hand out what ${topic} lost: entries of the log after ${after} and up to ${through} are gone from Redis`,
    { hint: 'give the handlers the store that the log is in; then evt fetches them from there' },
  )
}
