import { askConsent, type ConsentAnswers, refuseAboveMaxAffected, refuseWhenReadonly } from '../line/consent.ts'
import type { Runtime } from '../runtime.ts'
import type { PlannedBench } from './plan.ts'

export interface Asked {
  readonly options: ConsentAnswers & { readonly live: boolean }
  readonly typed: ReadonlySet<string>
  /** The command line that would repeat the run. */
  readonly reproduce: string
}

/** Everything that the bench makes is scratch and its own; only a profile that is guarded wants to be asked. */
export async function askToLoad(
  runtime: Runtime,
  { plan }: PlannedBench,
  { shown, asked }: { readonly shown: string; readonly asked: Asked },
): Promise<void> {
  refuseWhenReadonly(runtime, `load ${shown}`)
  const isAsked = runtime.config.profile?.protect === true
  if (!isAsked && asked.options.maxAffected === undefined) return
  const { createWorkload } = await import('../../bench/plan.ts')
  const sending = {
    verb: 'send',
    noun: 'scratch events',
    count: createWorkload(plan).total,
    target: shown,
    options: asked.options,
    typed: asked.typed,
  }
  if (isAsked) await askConsent(runtime, sending)
  else refuseAboveMaxAffected(sending)
}
