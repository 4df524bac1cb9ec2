import type { Store } from '../store/connection.ts'
import { readDue } from '../store/due.ts'
import type { DueJob, OwnedLane } from './item.ts'
import type { Workers } from './workers.ts'

/** How often the store is asked what is due: redrives and other processes' leavings are found by that. */
const pollMs = 1000
/** What is due later than this is found by a later poll. */
const horizonMs = 1500

/** Tells workers when something of their lanes is due: one poll for a whole process, and a timer for what is near. */
export interface DueSchedule {
  own(owned: OwnedLane, handler: string, workers: Pick<Workers, 'ring' | 'isPaused'>): void
  add(owned: OwnedLane, job: DueJob, delayMs: number): void
  stop(): void
}

interface Owner {
  readonly owned: OwnedLane
  readonly handler: string
  readonly workers: Pick<Workers, 'ring' | 'isPaused'>
}

export function createDueSchedule(store: Store, onError: (error: unknown) => void): DueSchedule {
  const owners = new Map<string, Owner>()
  const byLane = new WeakMap<OwnedLane, Owner>()
  const timers = new Map<OwnedLane, Map<string, NodeJS.Timeout>>()
  let stopped = false
  let poll: NodeJS.Timeout | undefined = setTimeout(look, pollMs)

  const placeOf = (handler: string, lane: string) => `${handler}\n${lane}`
  const keyOf = (job: DueJob) => ('subject' in job ? `s${job.subject}` : `i${job.id}`)

  function add(owned: OwnedLane, job: DueJob, delayMs: number): void {
    if (stopped || owned.closed || delayMs > horizonMs) return
    const key = keyOf(job)
    const own = timers.get(owned) ?? new Map<string, NodeJS.Timeout>()
    timers.set(owned, own)
    // A job of the same queue that is on its way already looks at the same head.
    if (own.has(key) && delayMs > 0) return
    clearTimeout(own.get(key))
    const fire = () => {
      own.delete(key)
      if (owned.closed || stopped) return
      if (!owned.due.some((other) => keyOf(other) === key)) owned.due.push(job)
      byLane.get(owned)?.workers.ring()
    }
    if (delayMs <= 0) fire()
    else own.set(key, setTimeout(fire, delayMs))
  }

  function forgetClosed(): void {
    for (const [place, { owned }] of owners) {
      if (!owned.closed) continue
      owners.delete(place)
      for (const timer of timers.get(owned)?.values() ?? []) clearTimeout(timer)
      timers.delete(owned)
    }
  }

  async function lookOnce(): Promise<void> {
    forgetClosed()
    if (owners.size === 0) return
    const awake = [...owners.values()].filter(({ workers }) => !workers.isPaused())
    if (awake.length === 0) return
    const places = awake.map(({ handler, owned }) => ({ handler, lane: owned.lane.id }))
    for (const due of await readDue(store, places, horizonMs)) {
      const owner = owners.get(placeOf(due.handler, due.lane))
      const job = due.subject !== null ? { subject: due.subject } : { id: due.id ?? '' }
      if (owner) add(owner.owned, job, Math.max(0, due.inMs))
    }
  }

  function look(): void {
    poll = undefined
    lookOnce()
      .catch(onError)
      .finally(() => {
        if (!stopped) poll = setTimeout(look, pollMs)
      })
  }

  /** A lane that is new here may have had its time. */
  function lookSoon(): void {
    if (!poll) return
    clearTimeout(poll)
    poll = setTimeout(look, 20)
  }

  return {
    own(owned, handler, workers) {
      const owner = { owned, handler, workers }
      owners.set(placeOf(handler, owned.lane.id), owner)
      byLane.set(owned, owner)
      lookSoon()
    },
    add,
    stop() {
      stopped = true
      clearTimeout(poll)
      poll = undefined
      for (const own of timers.values()) for (const timer of own.values()) clearTimeout(timer)
    },
  }
}
