import { type Profiler, type Runtime, Session } from 'node:inspector'
import { setTimeout as delay } from 'node:timers/promises'
import type { ProfileAnswer } from '../../store/profiles.ts'

export interface TakeProfile {
  readonly forMs: number
  /** The function that is asked about, where it is known. */
  readonly handle: unknown
  /** Ends it early: what was seen until then is given. */
  readonly signal: AbortSignal
}

export interface TakenProfile {
  readonly profile: Profiler.Profile
  readonly place: ProfileAnswer['place']
}

/** However long it takes, so many samples at most. */
const mostSamples = 60_000
const leastUs = 500

/** A CPU profile of this process, all of it, and where in it the function stands. */
export async function takeProfile({ forMs, handle, signal }: TakeProfile): Promise<TakenProfile> {
  const session = new Session()
  session.connect()
  try {
    const place = handle ? await placeOf(session, handle) : null
    await post(session, 'Profiler.enable')
    const interval = Math.max(leastUs, Math.ceil((forMs * 1000) / mostSamples))
    await post(session, 'Profiler.setSamplingInterval', { interval })
    await post(session, 'Profiler.start')
    await delay(forMs, undefined, { signal }).catch(() => {})
    const { profile } = await post<Profiler.StopReturnType>(session, 'Profiler.stop')
    return { profile, place }
  } finally {
    session.disconnect()
  }
}

const hand = Symbol.for('evt.profiled')

/** Only the inspector knows where a function stands, and it takes functions by what can be evaluated. */
async function placeOf(session: Session, handle: unknown): Promise<ProfileAnswer['place']> {
  const global = globalThis as { [hand]?: unknown }
  global[hand] = handle
  try {
    const expression = 'globalThis[Symbol.for("evt.profiled")]'
    const { result } = await post<Runtime.EvaluateReturnType>(session, 'Runtime.evaluate', { expression })
    const properties = { objectId: result.objectId, ownProperties: true }
    const found = await post<Runtime.GetPropertiesReturnType>(session, 'Runtime.getProperties', properties)
    const location = found.internalProperties?.find(({ name }) => name === '[[FunctionLocation]]')?.value?.value
    if (!location) return null
    const { scriptId, lineNumber: line, columnNumber: column } = location as Location
    return { scriptId, line, column }
  } finally {
    delete global[hand]
  }
}

interface Location {
  readonly scriptId: string
  readonly lineNumber: number
  readonly columnNumber: number
}

const post = <T>(session: Session, method: string, parameters: object = {}): Promise<T> =>
  new Promise((resolve, reject) => {
    session.post(method, parameters, (error, result) => (error ? reject(error) : resolve(result as T)))
  })
