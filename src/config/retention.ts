import { EvtError } from '../core/errors.ts'
import { type RetentionOptions, resolveRetention } from '../core/retention.ts'

/** `90d`, or the days alone as the seed systems write them: how long the class `default` is kept. */
export function parseRetention(text: string): RetentionOptions {
  const retention = { keep: /^\d+$/.test(text) ? `${text}d` : text }
  try {
    resolveRetention(retention)
  } catch (error) {
    if (!(error instanceof EvtError)) throw error
    const { message, hint } = error
    throw new EvtError(error.code, message.replaceAll(`'${retention.keep}'`, `'${text}'`), {
      cause: error,
      ...(hint ? { hint } : {}),
    })
  }
  return retention
}

export function shownRetention(retention: RetentionOptions | undefined): string {
  if (retention === undefined) return ''
  const { keep, classes = {}, types = {}, archive } = retention
  const days = Object.entries({ ...classes, ...(keep === undefined ? {} : { default: keep }) })
  return [
    ...days.map(([name, text]) => `${name} ${text}`),
    ...Object.entries(types).map(([pattern, name]) => `${pattern} is ${name}`),
    ...(archive === undefined ? [] : [`archived to ${archive}`]),
  ].join(', ')
}
