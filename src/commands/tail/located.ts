import { EvtError, toError } from '../../core/errors.ts'

/** The message with the name of its source, which is the only one that a person may not see from it. */
export const locatedText = ({ message }: Error, source: string): string =>
  message.includes(source) ? message : `cannot tail ${source}: ${message}`

/** The error with the name of its source. A server that does not answer is one that cannot be reached. */
export function located(thrown: unknown, source: string): Error {
  const error = toError(thrown)
  if (!(error instanceof EvtError)) return error
  return new EvtError(error.code === 'timeout' ? 'connect' : error.code, locatedText(error, source), {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    cause: error,
  })
}
