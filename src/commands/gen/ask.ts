import { EvtError } from '../../core/errors.ts'
import { askConsent, type ConsentAnswers, refuseAboveMaxAffected } from '../line/consent.ts'
import type { Runtime } from '../runtime.ts'
import type { EventSource } from './source.ts'

export interface PublishInput {
  readonly options: ConsentAnswers
  readonly typed: ReadonlySet<string>
}

interface Asked extends PublishInput {
  /** Without the password. */
  readonly target: string
  /** The operator's own: nobody is asked. */
  readonly own: boolean
}

/** Throws EvtError('refused') when nobody allows it, or when it is more than the line allows. */
export async function askToPublish(runtime: Runtime, source: EventSource, asked: Asked): Promise<void> {
  const { target, own, options, typed } = asked
  if (own && options.maxAffected === undefined) return
  const total = source.total ?? source.atMost
  if (total === undefined) {
    const why = own ? '--max-affected is given' : 'it is not this machine'
    throw new EvtError('refused', `cannot publish to ${target}: ${why}, and the number of events is not known`, {
      hint: 'bound it with --count, or with --rate and --duration',
    })
  }
  const plan = { verb: 'publish', noun: 'synthetic events', count: total, target, samples: [], options, typed }
  if (own) refuseAboveMaxAffected(plan)
  else await askConsent(runtime, plan)
}
