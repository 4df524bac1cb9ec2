import { EvtError, toError } from '../../core/errors.ts'
import { isOutage, type Place, translateError } from '../../store/errors.ts'
import { createProblems, type Problems, type ProblemsOptions } from '../problems.ts'

export function createLogProblems(init: Omit<ProblemsOptions, 'translate'> & { readonly place: Place }): Problems {
  return createProblems({
    ...init,
    translate(thrown) {
      const error = translateError(toError(thrown), init.place)
      return passes(error) ? undefined : error
    },
  })
}

function passes(error: Error): boolean {
  return isOutage(error) || (error instanceof EvtError && (error.code === 'timeout' || error.code === 'closed'))
}
