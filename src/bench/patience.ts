import { EvtError } from '../core/errors.ts'

/** True when `work` ended within the time. Its failure is thrown; what it does after the time is nobody's business. */
export async function endsWithin(work: Promise<unknown>, withinMs: number): Promise<boolean> {
  work.catch(() => {})
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), withinMs)
  })
  return Promise.race([work.then(() => true), late]).finally(() => clearTimeout(timer))
}

/** How long what is under way may go on after an interruption. */
const graceMs = 2_000

/**
 * What `work` gives. Throws `interrupted` when the signal fires and `work` does not end soon after that; `abandoned` gets
 * what it gives later.
 */
export async function unlessInterrupted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  abandoned: (late: T) => unknown = () => {},
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const interruption = Promise.withResolvers<never>()
  const interrupt = () => {
    timer = setTimeout(() => {
      interruption.reject(interrupted())
      work.then(abandoned, () => {})
    }, graceMs)
  }
  if (signal.aborted) interrupt()
  else signal.addEventListener('abort', interrupt, { once: true })
  return Promise.race([work, interruption.promise]).finally(() => {
    signal.removeEventListener('abort', interrupt)
    clearTimeout(timer)
  })
}

export const interrupted = () =>
  new EvtError('interrupted', 'cannot measure anything: interrupted before the load began')
