import { EvtError } from '../../core/errors.ts'
import { formatCount } from '../../core/quantity.ts'
import type { Store } from '../../store/connection.ts'
import type { Replay } from '../../store/replays.ts'
import { askConsent, type ConsentAnswers } from '../line/consent.ts'
import { auditAs } from '../line/operator.ts'
import type { Runtime } from '../runtime.ts'

/** Throws EvtError('usage') for an unknown one, and for one that has ended. */
export async function openReplay(store: Store, id: string, verb: string): Promise<Replay> {
  const { findReplay } = await import('../../store/replays.ts')
  const replay = await findReplay(store, id)
  const hint = 'see `evt replay list`'
  if (!replay)
    throw new EvtError('usage', `cannot ${verb} replay ${id}: there is none of this id on ${store.url}`, { hint })
  if (replay.status === 'done' || replay.status === 'stopped')
    throw new EvtError('usage', `cannot ${verb} replay ${id}: it is ${replay.status}`, { hint })
  return replay
}

export const nameOf = ({ target, handlers }: Pick<Replay, 'target' | 'handlers'>): string =>
  target ?? handlers.join(', ')

/** Pauses or stops one that runs here or elsewhere: whoever runs it hears of it within a second. */
export async function tell(
  store: Store,
  runtime: Runtime,
  {
    id,
    to,
    options,
    typed,
  }: {
    readonly id: string
    readonly to: 'pause' | 'stop'
    readonly options: ConsentAnswers
    readonly typed: ReadonlySet<string>
  },
): Promise<void> {
  const { endReplay, tellReplay } = await import('../../store/replays.ts')
  const replay = await openReplay(store, id, to)
  const go = await askConsent(runtime, {
    verb: to,
    noun: `replay (${id} to ${nameOf(replay)})`,
    count: 1,
    target: store.url,
    facts: [`${formatCount(replay.matched)} events, positions ${replay.after + 1n} to ${replay.upto}`],
    ...(to === 'stop' ? { consequence: 'what is left of it is not replayed' } : {}),
    options,
    typed,
  })
  if (!go) return
  const audit = await auditAs(`replay ${to}`, { target: `replay ${id}`, reason: options.reason })
  const status = to === 'pause' ? 'paused' : 'stopped'
  if (!(await tellReplay(store, id, status, audit)))
    throw new EvtError('usage', `cannot ${to} replay ${id}: it has ended`)
  // Nobody else does it where nobody runs it.
  if (to === 'stop' && !replay.owner) await endReplay(store, replay, { status: 'stopped', done: replay.done })
  runtime.output.result({
    data: { replayId: id, status, owner: replay.owner ?? null },
    meta: { store: store.url },
    render: () => `replay ${id} is ${status}${replay.owner ? `: ${replay.owner} ends within seconds` : ''}`,
  })
}
