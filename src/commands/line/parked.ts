import { EvtError } from '../../core/errors.ts'
import { formatCount } from '../../core/quantity.ts'
import type { Store } from '../../store/connection.ts'
import type { ParkedQueue } from '../../store/parked-list.ts'
import type { Repaired } from '../../store/parked-repair.ts'
import type { Runtime } from '../runtime.ts'

const most = 100_000

/** The queues that a person names, by subject or by the event that they begin with. Throws `usage` for what is not there. */
export async function namedParked(
  store: Store,
  named: { readonly which: readonly string[]; readonly handler: string | undefined; readonly all: boolean },
): Promise<readonly ParkedQueue[]> {
  const { which, handler, all } = named
  const refuse = (reason: string, hint: string) =>
    new EvtError('usage', `cannot choose what is parked: ${reason}`, { hint })
  if (all && which.length > 0) throw refuse('both names and --all are given', 'give one of them')
  if (!all && which.length === 0) throw refuse('nothing is named', 'give a SUBJECT or an event ID, or --all')
  const { listParked } = await import('../../store/parked-list.ts')
  const { queues } = await listParked(store, { handler, which: all ? undefined : which, limit: most })
  const missing = which.find((name) => !queues.some(({ subject, head }) => name === subject || name === head))
  if (missing === undefined) return queues
  const at = handler === undefined ? store.url : `${handler} on ${store.url}`
  throw new EvtError('usage', `cannot find ${missing} at ${at}: nothing parked has that subject or event`, {
    hint: 'see `evt parked list`',
  })
}

/** Why a queue waits, in a few words. */
export function whyParked({ reason, waitsFor }: ParkedQueue): string {
  if (reason === 'contract') return `waiting for contract ${waitsFor?.replace('@', ' v')}`
  if (reason === 'dead-letter') return `blocked by dead letter ${waitsFor}`
  return reason === 'retry' ? (waitsFor ?? '') : 'its turn comes next'
}

export const parkedSample = (queue: ParkedQueue): string =>
  `${queue.handler} ${queue.subject ?? queue.head}: ${queue.type ?? ''} ${whyParked(queue)}`.replace(/ {2,}/g, ' ')

const whyLeft = {
  running: 'an attempt of it is under way',
  changed: 'it went on meanwhile',
} as const satisfies Record<Exclude<Repaired, 'done'>, string>

export interface LeftParked extends ParkedQueue {
  readonly why: string
}

/** Each for itself, until the signal; what could not be done is told with its reason. */
export async function repairParked(
  queues: readonly ParkedQueue[],
  { signal, output }: Pick<Runtime, 'signal' | 'output'>,
  repair: (queue: ParkedQueue) => Promise<Repaired>,
): Promise<{ readonly done: readonly ParkedQueue[]; readonly left: readonly LeftParked[] }> {
  const done: ParkedQueue[] = []
  const left: LeftParked[] = []
  for (const queue of queues) {
    const repaired = signal.aborted ? undefined : await repair(queue)
    if (repaired === 'done') done.push(queue)
    else left.push({ ...queue, why: repaired === undefined ? 'interrupted' : whyLeft[repaired] })
  }
  if (left.length > 0)
    output.warn(
      `left ${formatCount(left.length)}: ${parkedSample(left[0] as LeftParked)}: ${left[0]?.why}`,
      'see `evt parked list`',
    )
  return { done, left }
}
