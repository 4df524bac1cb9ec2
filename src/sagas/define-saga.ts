import type { z } from 'zod'
import { parseDuration } from '../core/duration.ts'
import { EvtError, toError } from '../core/errors.ts'
import { assertKnownKeys, assertOneOf, type KeysOf, type Refuse } from '../core/known-keys.ts'
import type { RetryPolicy } from '../handle/handler.ts'
import { assertRetry } from '../handle/handler-shape.ts'
import type { Saga } from '../handle/saga.ts'
import type { SagaOptions, Stage, StepMaker, StepOptions } from './saga.ts'
import type { SagaConfig, State, StepConfig } from './saga-config.ts'

type AnyOptions = SagaOptions<State, unknown, unknown>
type AnyStep = StepOptions<State, unknown, unknown>

/**
 * Declares a saga: what begins it, its state, its steps in their order, and how each is undone. The events of the steps have the
 * data types of their contracts. Fields, defaults and promises are in `SagaOptions` and `StepOptions`. Throws EvtError('config')
 * naming the saga and the field.
 *
 *     defineSaga({
 *       name: 'accounts.registration', startsOn: userRegistered, state: z.object({ userId: z.string() }), timeout: '5m',
 *       steps: ({ step }) => [
 *         step('profile', { run: (state, ctx) => ctx.publish(…), awaits: profileCreated, compensate: (state, ctx) => ctx.publish(…) }),
 *       ],
 *     })
 */
export function defineSaga<S extends object, E, C = unknown>(options: SagaOptions<S, E, C>): Saga {
  return resolveSaga(options as unknown as AnyOptions)
}

const namePattern = /^(?=.{1,100}$)[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*$/
const stepPattern = /^[a-z][a-z0-9_-]{0,62}$/i

function resolveSaga(options: AnyOptions): SagaConfig {
  const name = (options as AnyOptions | undefined)?.name
  const refuse: Refuse = (reason, hint) =>
    new EvtError('config', `cannot define saga ${JSON.stringify(name)}: ${reason}`, hint === undefined ? {} : { hint })
  if (typeof name !== 'string' || !namePattern.test(name))
    throw refuse('a name is lower-case words with dots', 'for example accounts.registration')
  assertKnownKeys(options, sagaKeys, { refuse })
  assertOneOf(options.perKey, ['one-at-a-time', 'once'], { field: 'perKey', refuse })
  assertOneOf(options.start, ['earliest', 'latest'], { field: 'start', refuse })
  if (typeof options.startsOn?.type !== 'string')
    throw refuse('it begins with nothing', 'give a contract in `startsOn`')
  if (typeof options.state?.safeParse !== 'function') throw refuse('its state has no schema', 'state: z.object({ … })')
  if (typeof options.steps !== 'function') throw refuse('it has no steps', 'steps: ({ step }) => [step(…)]')
  const stages = stagesOf(options, refuse)
  const all = stages.flatMap(({ steps }) => steps)
  const steps = new Map<string, StepConfig>()
  for (const one of all) {
    if (steps.has(one.name)) throw refuse(`it has two steps of the name ${one.name}`, 'a name stands for one step')
    steps.set(one.name, resolveStep(one.name, one.options, { refuse, byKey: options.correlate !== undefined }))
  }
  const { runTimeout = '30s' } = options
  msOf(runTimeout, 'runTimeout', refuse)
  const concurrency = wholeFrom1(options.concurrency ?? 4, 'concurrency', refuse)
  return {
    kind: 'saga',
    name,
    version: wholeFrom1(options.version ?? 1, 'version', refuse),
    startsOn: options.startsOn,
    correlate: options.correlate ? (event) => options.correlate?.(event) : ({ subject }) => subject,
    schema: options.state as z.ZodType,
    begin: options.begin ? (event) => options.begin?.(event) : ({ data }) => data,
    beginsAsData: options.begin === undefined,
    stages: stages.map((stage) => stage.steps.map((one) => one.name)),
    steps,
    cancelledBy: cancellationOf(options, refuse),
    timeoutMs: options.timeout === undefined ? undefined : msOf(options.timeout, 'timeout', refuse),
    once: options.perKey === 'once',
    keepEarlyMs: msOf(options.keepEarly ?? '1h', 'keepEarly', refuse),
    runTimeout,
    concurrency,
    start: options.start ?? 'latest',
    onCompleted: options.onCompleted?.bind(options),
    onFailed: options.onFailed?.bind(options),
  }
}

const sagaKeys: KeysOf<AnyOptions> = {
  name: true,
  version: true,
  startsOn: true,
  correlate: true,
  state: true,
  begin: true,
  steps: true,
  cancelledBy: true,
  timeout: true,
  perKey: true,
  keepEarly: true,
  runTimeout: true,
  concurrency: true,
  start: true,
  onCompleted: true,
  onFailed: true,
}
const stepKeys: KeysOf<AnyStep> = {
  run: true,
  awaits: true,
  refusedBy: true,
  correlate: true,
  from: true,
  sender: true,
  on: true,
  timeout: true,
  onTimeout: true,
  retry: true,
  compensate: true,
}

function cancellationOf(
  { cancelledBy, correlate: own, startsOn }: AnyOptions,
  refuse: Refuse,
): SagaConfig['cancelledBy'] {
  if (cancelledBy === undefined) return undefined
  const wrong = (reason: string, hint: string) => refuse(`cancelledBy ${reason}`, hint)
  if (typeof cancelledBy?.event?.type !== 'string')
    throw wrong('names no event', 'cancelledBy: { event: orderCancelled, correlate: … }')
  const { event, correlate } = cancelledBy
  if (event.type === startsOn.type) throw wrong('is the event that begins it', 'name another one')
  if (own && !correlate)
    throw wrong(`does not say which saga a ${event.type} belongs to`, 'the saga has `correlate`: this needs one')
  return { event, correlate: correlate ? (one) => correlate.call(cancelledBy, one) : ({ subject }) => subject }
}

function stagesOf(options: AnyOptions, refuse: Refuse): readonly Stage<State>[] {
  const make: StepMaker<State> = {
    step: (name, own) => ({ steps: [{ name, options: own as unknown as AnyStep }] }),
    parallel: (stages) => ({ steps: stages.flatMap(({ steps }) => steps) }),
  }
  const stages = options.steps(make)
  if (stages.length > 0 && stages.every(({ steps }) => steps.length > 0)) return stages
  throw refuse(stages.length === 0 ? 'it has no steps' : 'one of its `parallel` has no steps')
}

interface Within {
  readonly refuse: Refuse
  /** The saga says itself what its key is. */
  readonly byKey: boolean
}

function resolveStep(name: string, options: AnyStep, { refuse, byKey }: Within): StepConfig {
  if (typeof name !== 'string' || !stepPattern.test(name))
    throw refuse(`${JSON.stringify(name)} is no name of a step`, 'letters, digits, dashes and underscores')
  if (typeof options !== 'object' || options === null)
    throw refuse(`step ${name} does nothing`, 'give it `run` or `awaits`')
  const { awaits, refusedBy, from, sender, correlate, onTimeout = 'fail', retry = {} } = options
  const wrong = (reason: string, hint?: string) => refuse(`step ${name} ${reason}`, hint)
  const ofStep: Refuse = (reason, hint) => refuse(`step ${name}: ${reason}`, hint)
  assertKnownKeys(options, stepKeys, { refuse: ofStep })
  assertRetry(retry, ofStep)
  if (typeof onTimeout !== 'function') assertOneOf(onTimeout, ['fail', 'retry'], { field: 'onTimeout', refuse: ofStep })
  if (!options.run && !awaits) throw wrong('does nothing and waits for nothing', 'give it `run` or `awaits`')
  if (!awaits) {
    const idle = (['refusedBy', 'from', 'sender', 'on', 'timeout'] as const).find((key) => options[key] !== undefined)
    if (idle) throw wrong(`has \`${idle}\` and waits for nothing`, 'say in `awaits` which event it waits for')
  }
  if ((from === undefined) !== (sender === undefined))
    throw wrong('has `from` or `sender` alone', '`from` lists whom it waits for, `sender` says whose event it is')
  if (awaits && byKey && !correlate)
    throw wrong(`does not say which saga a ${awaits.type} belongs to`, 'the saga has `correlate`: its steps need one')
  if (refusedBy && refusedBy.type === awaits?.type) throw wrong(`is done and refused by the same event`)
  if (onTimeout !== 'fail' && options.timeout === undefined) throw wrong('has `onTimeout` and no `timeout`')
  return {
    name,
    run: options.run?.bind(options),
    awaits,
    refusedBy,
    correlate: correlate ? (event) => correlate.call(options, event) : ({ subject }) => subject,
    from: from?.bind(options),
    sender: sender?.bind(options),
    on: options.on?.bind(options),
    timeoutMs: options.timeout === undefined ? undefined : msOf(options.timeout, `timeout of step ${name}`, refuse),
    onTimeout,
    ...retryOf(retry, name, refuse),
    compensate: options.compensate?.bind(options),
  }
}

function retryOf(retry: RetryPolicy, step: string, refuse: Refuse): Pick<StepConfig, 'attempts' | 'backoff'> {
  return {
    attempts: wholeFrom1(retry.attempts ?? 5, `retry.attempts of step ${step}`, refuse),
    backoff: {
      backoff: retry.backoff ?? 'exponential',
      initialMs: msOf(retry.initial ?? '1s', `retry.initial of step ${step}`, refuse),
      maxMs: msOf(retry.max ?? '10m', `retry.max of step ${step}`, refuse),
    },
  }
}

function wholeFrom1(value: number, field: string, refuse: Refuse): number {
  if (Number.isInteger(value) && value >= 1 && value <= 1000) return value
  throw refuse(`${field} is ${String(value)}, not a whole number from 1 to 1000`)
}

function msOf(text: string, field: string, refuse: Refuse): number {
  try {
    const ms = parseDuration(text)
    if (ms > 0) return ms
  } catch (error) {
    throw refuse(`${field}: ${toError(error).message}`, 'write it as 250ms, 30s or 10m')
  }
  throw refuse(`${field} is not above zero`)
}
