import type { z } from 'zod'
import type { BackoffPolicy } from '../core/backoff.ts'
import type { Contract } from '../core/contract.ts'
import type { EvtEvent } from '../core/event.ts'
import type { Saga } from '../handle/saga.ts'
import type { SagaContext, SagaKey } from './saga.ts'

/** JSON, as the saga's schema has it. */
export type State = Record<string, unknown>

/** A definition with its defaults filled in and its texts parsed. */
export interface SagaConfig extends Saga {
  readonly version: number
  readonly startsOn: Contract
  readonly correlate: (event: EvtEvent) => SagaKey | undefined
  readonly schema: z.ZodType
  readonly begin: (event: EvtEvent) => unknown
  /** The state at first is the event's data. */
  readonly beginsAsData: boolean
  /** The names of its steps, stage by stage. */
  readonly stages: readonly (readonly string[])[]
  readonly steps: ReadonlyMap<string, StepConfig>
  readonly cancelledBy:
    | { readonly event: Contract; readonly correlate: (event: EvtEvent) => SagaKey | undefined }
    | undefined
  /** Undefined: the bridge's. */
  readonly timeoutMs: number | undefined
  readonly once: boolean
  readonly keepEarlyMs: number
  readonly runTimeout: string
  readonly concurrency: number
  readonly start: 'earliest' | 'latest'
  readonly onCompleted: ((state: State, ctx: SagaContext) => unknown) | undefined
  readonly onFailed: ((state: State, ctx: SagaContext & { readonly reason: string }) => unknown) | undefined
}

export interface StepConfig {
  readonly name: string
  readonly run: ((state: State, ctx: SagaContext) => unknown) | undefined
  readonly awaits: Contract | undefined
  readonly refusedBy: Contract | undefined
  readonly correlate: (event: EvtEvent) => SagaKey | undefined
  readonly from: ((state: State) => readonly string[]) | undefined
  readonly sender: ((event: EvtEvent) => string) | undefined
  readonly on: ((state: State, event: EvtEvent, ctx: SagaContext) => unknown) | undefined
  readonly timeoutMs: number | undefined
  readonly onTimeout: 'fail' | 'retry' | ((state: State, missing: readonly string[], ctx: SagaContext) => unknown)
  readonly attempts: number
  readonly backoff: BackoffPolicy
  readonly compensate: ((state: State, ctx: SagaContext) => unknown) | undefined
}

/** The types that a step wants to hear of. */
export const typesOf = ({ awaits, refusedBy }: StepConfig): readonly string[] =>
  [awaits, refusedBy].flatMap((contract) => (contract ? [contract.type] : []))

/** What the saga reads: each once; one type in two versions is for the handler to refuse. */
export function contractsOf({ startsOn, steps, cancelledBy }: SagaConfig): readonly Contract[] {
  const all = [
    startsOn,
    cancelledBy?.event,
    ...[...steps.values()].flatMap(({ awaits, refusedBy }) => [awaits, refusedBy]),
  ]
  const byVersion = new Map(all.flatMap((one) => (one ? [[`${one.type}@${one.version}`, one] as const] : [])))
  return [...byVersion.values()]
}
