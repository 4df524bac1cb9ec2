import { backoffMs } from '../../core/backoff.ts'
import { typeIn } from '../../core/codec.ts'
import type { EvtEvent } from '../../core/event.ts'
import { classify } from '../classify.ts'
import { factsOf } from '../failure.ts'
import type { RunTimes } from '../item.ts'
import { loadKeys } from '../load-keys.ts'
import type { Prepared } from '../prepare.ts'
import type { ProcessingResult } from '../results.ts'
import { wallMs } from '../wall-clock.ts'
import { bury, type Death } from './bury.ts'
import { type DirectResult, runDirect } from './direct-attempt.ts'
import { finishJobs, type Job, type Line } from './direct-lane.ts'
import type { DirectRuntime } from './direct-runtime.ts'

/** One attempt of what is first in a line; resolves with how long the line waits for its next one, ms. */
export type Step = (line: Line) => Promise<number>

interface Runnable {
  readonly job: Job
  readonly event: EvtEvent
}

/** Who was beside it may have been counted once, and once more before its settling was durable. */
const leastDeliveries = 3

export function createStep(runtime: DirectRuntime): Step {
  const { config, meter } = runtime

  async function step(line: Line): Promise<number> {
    const jobs = line.jobs.slice(0, line.most)
    line.begun = jobs.length
    meter.started(jobs.length)
    const runnable = await sift(line, jobs)
    const restMs = runnable.length > 0 ? await attempt(line, runnable) : 0
    line.begun = 0
    meter.finished(jobs.length)
    const left = line.owned.closed ? 0 : jobs.filter((job) => line.jobs.includes(job)).length
    if (left > 0) meter.taken(left)
    return restMs
  }

  /** What has to be run: what is known needs nothing more, and what is spent or cannot be read is buried. */
  async function sift(line: Line, jobs: readonly Job[]): Promise<Runnable[]> {
    const runnable: Runnable[] = []
    const loading = loadKeys(runtime, jobs)
    if (loading && !(await loading)) return []
    for (const job of jobs) {
      const { id } = job.message
      if (runtime.duplicates.has(id) || runnable.some((one) => one.job.message.id === id)) {
        meter.skipped(1)
        finishJobs(line, [job])
        note(job, { state: 'skipped', durationMs: 0 })
        continue
      }
      const prepared = runtime.preparer.prepare(job.message)
      const death = deathOf(job, prepared)
      if (death === undefined && prepared.kind === 'event') runnable.push({ job, event: prepared.event })
      else if (death) {
        // What is before it in the line has its turn first.
        if (runnable.length > 0) return runnable
        if (!(await die(line, job, death))) return []
      }
    }
    return runnable
  }

  /** Why it is given up without an attempt; undefined when it is not. */
  function deathOf({ message, attempt }: Job, prepared: Prepared): Death | undefined {
    const ended = message.deliveries - 1
    if (message.deliveries > Math.max(config.attempts, leastDeliveries))
      return { class: 'ProcessEnded', message: `the process ended in ${ended} attempts`, attempts: ended }
    if (prepared.kind === 'event') return undefined
    if (prepared.kind === 'bad') {
      const { class: name, message: reason } = runtime.preparer.discreet(factsOf(prepared.thrown), prepared)
      return { class: name, message: reason, attempts: attempt }
    }
    const reason = `this process does not know ${prepared.heldFor} yet`
    return { class: 'NewerVersion', message: reason, attempts: attempt }
  }

  async function attempt(line: Line, runnable: readonly Runnable[]): Promise<number> {
    const jobs = runnable.map(({ job }) => job)
    if (jobs.some((job) => job.attempt > 1)) meter.retried()
    const result = await runDirect(
      runtime,
      jobs,
      runnable.map(({ event }) => event),
    )
    if (result.ok) return succeeded(line, jobs, result)
    return result.why === 'interrupted' ? 0 : failed(line, jobs, result)
  }

  function succeeded(line: Line, jobs: readonly Job[], times: RunTimes): number {
    const doneMs = wallMs()
    runtime.outcomes(jobs.length, 0)
    const { breaker } = runtime
    breaker.succeeded(breaker.isCounting ? jobs.map(keyOf) : [])
    for (const job of jobs) {
      meter.handled(timesOf(job, times, doneMs), job.message.headers['ce-type'])
      runtime.duplicates.add(job.message.id)
      if (runtime.results) note(job, { state: 'handled', durationMs: times.runUs / 1000 })
    }
    widenBehind(line, jobs)
    finishJobs(line, jobs)
    return 0
  }

  async function failed(line: Line, jobs: readonly Job[], result: Extract<DirectResult, { ok: false }>) {
    const thrown = factsOf(result.thrown)
    const failure = jobs.reduce(
      (facts, { message }) => runtime.preparer.discreet(facts, runtime.preparer.prepare(message)),
      thrown,
    )
    const error = `${failure.class}: ${failure.message}`
    const [job] = jobs
    if (jobs.length > 1 || !job) {
      runtime.log.warn('a batch failed; it is tried in halves', { handler: config.name, events: jobs.length, error })
      meter.failed(error)
      runtime.outcomes(0, 1)
      line.narrowUntil ??= jobs.at(-1)
      line.most = Math.ceil(jobs.length / 2)
      return 0
    }
    const durationMs = result.runUs / 1000
    const isHopeless = classify(result.thrown, thrown, config.nonRetryable) === 'hopeless'
    if (!isHopeless) runtime.breaker.failed(keyOf(job), error)
    // Open, the handler fails and not the event: it has its attempt again.
    const isFree = !isHopeless && runtime.breaker.isOpen
    if (!isFree && (isHopeless || job.attempt >= config.attempts)) {
      await die(line, job, { class: failure.class, message: failure.message, attempts: job.attempt, durationMs })
      return 0
    }
    meter.failed(error)
    runtime.outcomes(0, 1)
    const facts = { handler: config.name, event: job.message.id, attempt: job.attempt, error }
    runtime.log.warn('an attempt failed; its subject waits', facts)
    note(job, { state: 'retried', durationMs, error: { class: failure.class, message: failure.message } })
    if (isFree) return config.breaker?.probeMs ?? 0
    const restMs = backoffMs(config.backoff, job.attempt, Math.random())
    job.attempt += 1
    return restMs
  }

  /** False when it could not be buried before the lane was lost: then it comes again. */
  async function die(line: Line, job: Job, death: Death): Promise<boolean> {
    meter.failed(`${death.class}: ${death.message}`)
    runtime.outcomes(0, 1)
    if (!(await bury(runtime, job, death))) return false
    const { class: name, message, attempts, durationMs = 0 } = death
    note({ ...job, attempt: attempts }, { state: 'dead', durationMs, error: { class: name, message } })
    widenBehind(line, [job])
    finishJobs(line, [job])
    return true
  }

  function note(
    { message: { id: eventId, headers, key: subject }, attempt }: Job,
    known: Pick<ProcessingResult, 'state' | 'durationMs' | 'error'>,
  ): void {
    const { name: handler, service: group } = config
    runtime.results?.note({ handler, group, eventId, type: typeIn(headers), subject, attempt, ...known })
  }

  function widenBehind(line: Line, jobs: readonly Job[]): void {
    if (!line.narrowUntil || !jobs.includes(line.narrowUntil)) return
    line.most = config.batch
    line.narrowUntil = undefined
  }

  return step
}

const keyOf = ({ message }: Job): string => message.key ?? message.id

function timesOf({ message, takenMs }: Job, { startedMs, runUs }: RunTimes, doneMs: number) {
  const us = (fromMs: number, toMs: number) => Math.max(0, toMs - fromMs) * 1000
  const { timeMs } = message
  return {
    runUs,
    endToEndUs: timeMs === undefined ? undefined : us(timeMs, doneMs),
    relayUs: undefined,
    deliverUs: timeMs === undefined ? undefined : us(timeMs, takenMs),
    queueUs: us(takenMs, startedMs),
    handleUs: us(startedMs, doneMs),
  }
}
